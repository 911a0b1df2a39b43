import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.junit import KEPT_FAILURES, KEPT_TEXT, Report, locate, read_report, seconds_of
from cicd.errors import ReportInvalid


def read(text: str | bytes, root: str = "") -> Report:
    return read_report([text.encode() if isinstance(text, str) else text], "junit.xml", root)


def suite(cases: str, attributes: str = "") -> str:
    return f"<testsuites><testsuite name='s' {attributes}>{cases}</testsuite></testsuites>"


PYTEST = suite(
    """
    <testcase classname="tests.test_a.TestIt" name="test_ok" time="0.5"/>
    <testcase classname="tests.test_a" name="test_bad" time="0.25">
      <failure message="assert 1 == 2">def test_bad():
&gt;       assert 1 == 2
E       assert 1 == 2

tests/test_a.py:12: AssertionError</failure></testcase>
    <testcase classname="tests.test_a" name="test_broken" time="0"><error message="no fixture">x</error></testcase>
    <testcase classname="tests.test_a" name="test_later"><skipped type="pytest.skip" message="later"/></testcase>
    <testcase classname="tests.test_a" name="test_known"><skipped type="pytest.xfail" message=""/></testcase>
    """,
    'tests="5" failures="1" errors="1" skipped="2"',
)


def test_a_report_of_pytest() -> None:
    report = read(PYTEST)
    assert (report.tests, report.ran, report.passed, report.failed, report.skipped) == (5, 4, 2, 2, 1)
    assert (report.claimed, report.marked) == (2, 2)
    assert report.seconds == 0.75
    bad, broken = report.failures
    assert (bad.test, bad.kind, bad.message) == ("tests.test_a::test_bad", "failure", "assert 1 == 2")
    assert (bad.file, bad.line) == ("tests/test_a.py", 12)
    assert "assert 1 == 2" in bad.text
    assert (broken.kind, broken.file, broken.line) == ("error", "", 0)
    assert [timing.test for timing in report.slowest][:2] == ["tests.test_a.TestIt::test_ok", "tests.test_a::test_bad"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("   ", "no element found"),
        ("<testsuites><testsuite><testcase name='a'", "unclosed token"),
        ("<testsuites><testsuite><testcase name='a'/>", "no element found"),
        ("<html></html>", "its root is <html>"),
        ("no xml", "syntax error"),
        ("<testsuite><testcase name='&#0;'/></testsuite>", "invalid character"),
        (b"<testsuite><testcase name='\xff'/></testsuite>", "not well-formed"),
        ("<?xml version='1.0' encoding='nonsense'?><testsuite/>", "nonsense"),
        ("<testsuite>&a;</testsuite>", "undefined entity"),
        ("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><testsuite/>", "DTD"),
        (
            "<!DOCTYPE a [<!ENTITY a 'ha'>"
            + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 9))
            + "]><testsuite>&a8;</testsuite>",
            "DTD",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(text: str | bytes, said: str) -> None:
    with pytest.raises(ReportInvalid) as caught:
        read(text)
    assert "junit.xml" in str(caught.value)
    assert said in str(caught.value)
    assert "Next: " in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<testsuites/>", (0, 0, 0)),
        ("<testsuite/>", (0, 0, 0)),
        (suite("<testsuite><testsuite><testcase name='a'/></testsuite><testcase name='b'/></testsuite>"), (2, 0, 0)),
        (suite("<testcase><failure/></testcase>"), (1, 1, 0)),
        (suite("<testcase name='a'><failure/><failure/></testcase>"), (1, 1, 0)),
        (suite("<testcase name='a'><skipped/></testcase>"), (1, 0, 1)),
        (suite("<failure message='setup of the whole suite'/>"), (1, 1, 0)),
        (suite("<testcase name='a'><failure/><testcase name='b'/></testcase>"), (2, 1, 0)),
        (suite("<testcase name='a'><failure><testcase name='b'/></failure></testcase>"), (1, 1, 0)),
        ("<j:testsuite xmlns:j='x'><j:testcase name='a'><j:error/></j:testcase></j:testsuite>", (1, 1, 0)),
    ],
)
def test_odd_shapes_are_counted(text: str, expected: tuple[int, int, int]) -> None:
    report = read(text)
    assert (report.tests, report.failed, report.skipped) == expected
    assert len(report.failures) == report.failed
    assert all(failure.test for failure in report.failures)


def test_a_failing_teardown_of_a_failed_test_counts_once() -> None:
    case = "<testcase classname='m' name='a'><{0} message='{0}'/></testcase>"
    report = read(suite(case.format("failure") + "<testcase name='b'/>" + case.format("error")))
    assert (report.tests, report.failed, report.marked) == (2, 1, 2)


def test_reruns_are_flaky_not_failed() -> None:
    report = read(
        suite(
            "<testcase name='a'><rerunFailure message='x'/></testcase><testcase name='b'><rerun/></testcase>"
            "<testcase name='c'><rerun/><failure/></testcase>"
        )
    )
    assert (report.tests, report.failed, report.flaky) == (3, 1, 2)


def test_what_the_report_claims_is_kept() -> None:
    assert read("<testsuite failures='3' errors='1'><testcase name='a'/></testsuite>").claimed == 4
    assert read("<testsuite failures='many' errors='-1'/>").claimed == 0


def test_controls_that_xml_has_no_place_for_do_not_lose_the_report() -> None:
    report = read(
        b"<testsuite><testcase name='a'><failure message='\x1b[31mred\x00'>\x08</failure></testcase></testsuite>"
    )
    assert report.failures[0].message == "?[31mred?"


def test_other_encodings() -> None:
    text = "<?xml version='1.0' encoding='{}'?><testsuite><testcase name='prüfung'/></testsuite>"
    for encoding in ("utf-16", "iso-8859-1"):
        assert read(text.format(encoding).encode(encoding)).slowest[0].test == "prüfung"


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_give_a_report_or_a_refusal(noise: bytes, size: int) -> None:
    for text in (noise, b"<testsuite><testcase name='a'><failure>" + noise + b"</failure></testcase></testsuite>"):
        chunks = [text[start : start + size] for start in range(0, len(text), size)]
        try:
            read_report(chunks, "junit.xml")
        except ReportInvalid:
            continue


@given(st.integers(1, 60))
def test_pieces_do_not_matter(size: int) -> None:
    data = PYTEST.encode()
    assert read_report([data[at : at + size] for at in range(0, len(data), size)], "junit.xml") == read(PYTEST)


def many(count: int, body: str) -> Iterator[bytes]:
    yield b"<testsuites><testsuite name='s'>"
    for number in range(count):
        yield f"<testcase classname='m' name='test_{number}' time='0.1'>{body}</testcase>".encode()
    yield b"</testsuite></testsuites>"


def peak(count: int, body: str) -> int:
    tracemalloc.start()
    try:
        assert read_report(many(count, body), "junit.xml").tests == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("body", ["", f"<failure>{'x' * 500}</failure>"])
def test_memory_does_not_grow_with_the_report(body: str) -> None:
    assert peak(20_000, body) < peak(2_000, body) * 1.5


def test_what_is_kept_has_bounds() -> None:
    report = read_report(many(KEPT_FAILURES + 5, "<failure>" + "x" * 100 + "</failure>"), "junit.xml")
    assert (report.failed, len(report.failures)) == (KEPT_FAILURES + 5, KEPT_FAILURES)
    long = read(suite(f"<testcase name='a'><failure>{'x' * 3 * KEPT_TEXT}\nthe end</failure></testcase>"))
    assert len(long.failures[0].text) <= KEPT_TEXT
    assert long.failures[0].text.endswith("the end")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1.5", 1.5), ("1,234.5", 1234.5), ("", 0), ("-3", 0), ("nan", 0), ("inf", 0), ("soon", 0), ("1e400", 0)],
)
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("tests/test_a.py:3: in test_a\n    f()\nsrc/a.py:7: in f\n    1 / 0\nE   ZeroDivisionError", ("src/a.py", 7)),
        ("tests/test_a.py:3: \n_ _ _\n../lib/python3.11/json/decoder.py:355: JSONDecodeError", ("tests/test_a.py", 3)),
        ("tests/test_a.py:3: \n.venv/lib/python3.11/site-packages/x/y.py:9: Error", ("tests/test_a.py", 3)),
        ("/srv/project/tests/test_a.py:4: AssertionError", ("tests/test_a.py", 4)),
        ("/usr/lib/python3/x.py:4: AssertionError", ("", 0)),
        ('  File "/srv/project/a.py", line 8, in f\n  File "<string>", line 1', ("a.py", 8)),
        (
            "    at Object.<anonymous> (/srv/project/web/a.test.js:10:5)\n    at node:internal/x:1:2",
            ("web/a.test.js", 10),
        ),
        ("    sum_test.go:14: got 3", ("sum_test.go", 14)),
        ("E   ConnectionError: example.com:443", ("", 0)),
        ("E   tests/other.py:5: is what it said", ("", 0)),
        ("x" * 100_000 + ".py:3:", ("", 0)),
        ("a.py:99999999999: no", ("", 0)),
        ("", ("", 0)),
    ],
)
def test_the_line_is_the_deepest_of_the_project_itself(text: str, place: tuple[str, int]) -> None:
    assert locate(text, "/srv/project") == place


def test_attributes_say_where_when_the_text_does_not() -> None:
    report = read(suite("<testcase name='a' file='tests/test_a.py' line='7'><failure/></testcase>"))
    assert (report.failures[0].file, report.failures[0].line) == ("tests/test_a.py", 7)
    report = read(suite("<testcase name='a' file='../../etc/passwd' line='7'><failure/></testcase>"))
    assert report.failures[0].file == ""


@pytest.mark.parametrize("begin", ["<testcase name='", "<testcase name='a' b='", "<!--"])
def test_a_tag_without_an_end_is_not_held(begin: str) -> None:
    pieces = [f"<testsuite>{begin}".encode(), *[b"x" * 1024 * 1024] * 12]
    with pytest.raises(ReportInvalid, match="a tag of more than 8 MiB"):
        read_report(iter(pieces), "junit.xml")


def test_a_long_text_and_a_long_message_are_fine() -> None:
    case = "<testcase name='a'><failure message='{}'>{}</failure></testcase>".format("m" * 2_000_000, "t" * 20_000_000)
    text = f"<testsuite>{case}</testsuite>".encode()
    pieces = [text[at : at + 262_144] for at in range(0, len(text), 262_144)]
    assert read_report(pieces, "junit.xml").failed == 1
