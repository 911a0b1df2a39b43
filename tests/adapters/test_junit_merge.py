"""All shards' reports as one: every test is in it, and a bad one spoils none of the others."""

import tracemalloc
from pathlib import Path

import pytest

from cicd.adapters.junit_merge import merge
from cicd.core.junit import Report, read_report

FAILURE = '<failure message="&lt;x&gt; &amp;">trés\n]]&gt;</failure>'
SUITE = f'<testsuite name="pytest" failures="1"><testcase name="a">{FAILURE}</testcase></testsuite>'
ONE = f"<testsuites>{SUITE}</testsuites>"
OTHER = "<testsuite tests='1'><testcase classname='c' name='b' time='2.5'/><system-out>bye</system-out></testsuite>"
BAD = [
    "",
    "<html/>",
    ONE[:-20],
    '<!DOCTYPE a [<!ENTITY b "c">]><testsuite/>',
    "<testsuite>" + "<a>" * 100 + "</a>" * 100 + "</testsuite>",
    "<testsuite></testsuites>",
]


def read(path: Path) -> Report:
    return read_report([path.read_bytes()], path.name)


def test_all_tests_are_in_it(tmp_path: Path) -> None:
    (tmp_path / "1.xml").write_text(ONE)
    (tmp_path / "2.xml").write_text(OTHER)
    found = merge([("unit 1/2", tmp_path / "1.xml"), ("unit 2/2", tmp_path / "2.xml")], tmp_path / "junit.xml")
    assert found == (2, [])
    report = read(tmp_path / "junit.xml")
    assert (report.tests, report.failed, report.seconds) == (2, 1, 2.5)
    assert report.failures[0].message == "<x> &"
    assert report.failures[0].text == "trés\n]]>"
    text = (tmp_path / "junit.xml").read_text()
    assert '<testsuite name="unit 1/2: pytest" failures="1">' in text
    assert '<testsuite tests="1" name="unit 2/2">' in text


@pytest.mark.parametrize("text", BAD)
def test_a_bad_one_is_left_out_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.xml").write_text(text)
    (tmp_path / "good.xml").write_text(OTHER)
    (tmp_path / "link.xml").symlink_to(tmp_path / "good.xml")
    given = [("bad", tmp_path / "bad.xml"), ("good", tmp_path / "good.xml"), ("link", tmp_path / "link.xml")]
    merged, wrong = merge(given, tmp_path / "junit.xml")
    assert merged == 1
    assert [sentence.split(" is not in")[0] for sentence in wrong] == [
        f"The JUnit report of {n}" for n in ("bad", "link")
    ]
    assert read(tmp_path / "junit.xml").tests == 1


def test_memory_does_not_grow_with_the_report(tmp_path: Path) -> None:
    def peak(tests: int) -> int:
        cases = "".join(f'<testcase classname="c" name="test_{n}" time="0.01"/>' for n in range(tests))
        (tmp_path / "big.xml").write_text(f"<testsuite>{cases}</testsuite>")
        tracemalloc.start()
        try:
            assert merge([("big", tmp_path / "big.xml")], tmp_path / "junit.xml") == (1, [])
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(60_000) < 1.5 * peak(20_000)


def test_a_tag_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "long.xml").write_text(f"<testsuite><testcase name='{'x' * 10_000_000}'/></testsuite>")
    _, wrong = merge([("long", tmp_path / "long.xml")], tmp_path / "junit.xml")
    assert "a tag of more than" in wrong[0]
