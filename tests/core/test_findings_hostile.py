"""Reports from hostile hands: any bytes lead to findings or to ReportInvalid, and no critical one is lost."""

import json
import tracemalloc
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.adapters.cvss_scores import base_score
from cicd.core.findings import LONGEST, Place, Scan, SeverityPolicy, place_of
from cicd.core.findings_formats import READERS, read_findings
from cicd.core.findings_json import LARGEST, MOST_VALUES
from cicd.core.redaction import redacted
from cicd.core.security_gate import judge_findings
from cicd.core.security_summary import annotations, security_section
from cicd.errors import ReportInvalid
from tests.core.scanned import REPORTS, SECRETS, found, read, real, sarif, scans

TODAY = date(2026, 6, 1)
FILES = sorted(path.name for path in REPORTS.iterdir() if path.suffix in (".json", ".sarif"))


def shown(found: list[Scan]) -> str:
    """All that may come to light of scans."""
    gate = judge_findings(found, SeverityPolicy(unknown="warn"), TODAY)
    told = [f"{one.title} {one.message} {one.file}" for one in annotations(gate, 1000)]
    return "\n".join([security_section(gate, 100_000), gate.sentence, str(gate.error("x")), *told])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "line 1"),
        (b'{"runs": [', "line 1"),
        (b'{"runs": [], "runs": []}', "`runs` is given twice"),
        (b'{"version": NaN}', "NaN"),
        (b'[{"x": -Infinity}]', "Infinity"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b'{"a": "\xff"}', "no UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "no UTF-8"),
        (b"[" + b"9" * 10_000 + b"]", "digits"),
        (b"[" + b"," * (MOST_VALUES + 1) + b"]", "values"),
        (b" " * LARGEST + b"[]", "64 MiB"),
        (b"null", "no scanner"),
        (b'"\\ud800"', "no scanner"),
    ],
)
def test_what_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ReportInvalid, match=said):
        scans(data)


def test_200_megabytes_are_refused_before_they_are_read() -> None:
    data = b'{"runs":[' + b" " * (200 * 1024 * 1024) + b"]}"
    tracemalloc.start()
    try:
        with pytest.raises(ReportInvalid, match="64 MiB"):
            scans(data)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_key_that_hides_the_findings() -> None:
    whole = json.dumps(sarif({"ruleId": "R1", "properties": {"security-severity": "9.9"}}))
    with pytest.raises(ReportInvalid, match="twice"):
        scans(whole.replace('"results":', '"results": [], "results":', 1).encode())


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for tool in ("", *READERS):
        harmless(data, tool)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.data(), st.sampled_from(FILES), JSON)
def test_a_real_report_with_any_value_anywhere(data: st.DataObject, name: str, value: object) -> None:
    report = json.loads(real(name))
    node: Any = report
    while isinstance(node, dict | list) and node:
        key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            node[key] = value
            break
        node = node[key]
    harmless(json.dumps(report).encode(), "")


@given(st.data(), st.sampled_from(FILES))
def test_a_real_report_cut_off_is_never_read(data: st.DataObject, name: str) -> None:
    whole = real(name).rstrip()
    with pytest.raises(ReportInvalid):
        scans(whole[: data.draw(st.integers(0, len(whole) - 1))])


def harmless(data: bytes, tool: str) -> None:
    """It is read or refused; and what is read can be shown and written."""
    try:
        found = read_findings(data, "x.json", base_score, tool=tool)
    except ReportInvalid as error:
        str(error).encode()
        return
    assert found
    text = shown(found)
    text.encode()
    assert not any(secret in text for secret in SECRETS.values())


SEVERE = st.builds(
    lambda id, text, level, extra: {
        "ruleId": id,
        "message": {"text": text},
        "level": level,
        "properties": {"security-severity": "9.8"},
        **extra,
    },
    st.text(),
    st.text(),
    JSON,
    st.fixed_dictionaries({}, optional={"rank": JSON, "locations": st.just([]), "partialFingerprints": JSON}),
)


@given(st.lists(SEVERE, min_size=1, max_size=4), st.lists(SEVERE.map(lambda one: {**one, "kind": "pass"}), max_size=2))
def test_critical_results_are_never_green(critical: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    try:
        found = scans(sarif(*others, *critical))
    except ReportInvalid:
        return
    gate = judge_findings(found, SeverityPolicy(), TODAY)
    assert gate.blocking
    assert not gate.passed


def test_a_megabyte_of_title_is_cut() -> None:
    log = sarif(
        {"ruleId": "R" * 10**6, "message": {"text": "x" * 10**6}, "level": "error"}, rules=[{"id": "a" * 10**6}]
    )
    (one,) = read(log).findings
    assert len(one.title) == LONGEST
    assert len(one.id) <= 200


HOSTILE = "\x1b[31m::error::x <img src=x onerror=y> [a](http://evil) | `@admin` \u202e #1 <!--\n\n# big\r\n</details>"


def test_titles_do_nothing_on_a_page_and_in_a_log() -> None:
    scan = read(sarif({"ruleId": HOSTILE, "message": {"text": HOSTILE}, "properties": {"security-severity": "9.9"}}))
    gate = judge_findings([scan], SeverityPolicy(), TODAY)
    page = security_section(gate, 100_000)
    for sign in ("<img", "<!--", "[a](", "http://", "@admin", "\x1b", "\u202e", "\r", "</details>", "`"):
        assert sign not in page
    assert page.count("\n| ❌") == 1
    (told,) = annotations(gate, 9)
    for text in (told.message, told.title):
        assert "\x1b" not in text
        assert "\n" not in text


PATHS = st.lists(st.sampled_from(["..", ".", "a", "b.py", "", "C:", "\0", "\n", "\u202e", "~", "\\", " "]), max_size=6)


@given(PATHS.map("/".join) | st.text() | JSON, JSON)
def test_no_path_leaves_the_repository(path: object, line: object) -> None:
    place = place_of(path, line, "/work/project")
    assert place == Place(place.file, place.line)
    parts = place.file.split("/")
    assert ".." not in parts
    assert not place.file.startswith("/")
    assert place.file.isprintable()
    assert place.line >= 0
    place.file.encode()


def test_paths_below_the_root() -> None:
    assert place_of("/work/project/a/./b.py", 2, "/work/project") == Place("a/b.py", 2)
    assert place_of("a\\b.py", True) == Place("a/b.py", 0)
    assert place_of("/work/project2/a.py", 1, "/work/project") == Place()
    assert place_of("/work/project/../x", 1, "/work/project") == Place()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Possible hardcoded password: 'it's me'", "Possible hardcoded password: ‹redacted›"),
        ("api_key = abc in file", "api_key = ‹redacted› in file"),
        (f"found {SECRETS['@GITHUB@']} here", "found ‹redacted› here"),
        ("-----BEGIN RSA PRIVATE KEY----- MIIE", "‹redacted›"),
        ("postgres://me:pw@db/x is open", "‹redacted› is open"),
        ("Use of weak MD5 hash for security", "Use of weak MD5 hash for security"),
        ("credential persistence through artifacts", "credential persistence through artifacts"),
        ("token is written to the log", "token is written to the log"),
    ],
)
def test_redaction(text: str, said: str) -> None:
    assert redacted(text) == said


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=8, max_size=40), st.text(max_size=30))
def test_a_secret_that_gitleaks_knows_is_shown_nowhere(secret: str, around: str) -> None:
    leak = {
        "RuleID": "generic",
        "Description": around + secret,
        "File": f"x/{secret}",
        "Secret": secret,
        "Match": secret,
    }
    text = shown([read([leak])])
    if secret not in shown([read([{"RuleID": "generic", "Description": "", "File": ""}])]):
        assert secret not in text


def test_100_000_findings_are_counted_and_cost_little() -> None:
    many = tuple(found(f"CVE-2026-{number}", package=f"p{number % 1000}", version="1") for number in range(100_000))
    gate = judge_findings([Scan(tool="x", findings=many)], SeverityPolicy(), TODAY)
    assert len(gate.blocking) == 100_000
    assert "… and 99,800 findings more" in security_section(gate, 1_000_000)
