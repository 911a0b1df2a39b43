import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.adapters.cvss_scores import base_score
from cicd.core.findings import Scan, Scanned
from cicd.core.osv import Advisory, names_to_ask, read_advisory, to_ask, with_advisories
from cicd.core.scan import PROGRAMS, Ended, Project, is_offline, last_words, nothing_to_scan, scan_command, scan_of
from cicd.errors import ReportInvalid
from tests.core.scanned import SECRETS, found, read, real
from tests.core.test_findings_formats import PIP_AUDIT

PROJECT = Project(folder="/work/project", requirements=("a.txt", "b.txt"))
KINDS: tuple[Scanned, ...] = ("dependencies", "code", "secrets", "workflows")


def test_commands() -> None:
    audit = scan_command("dependencies", "/bin/pip-audit", "/tmp/r.json", PROJECT)
    assert audit[-6:] == ["--no-deps", "--disable-pip", "--requirement", "a.txt", "--requirement", "b.txt"]
    installed = Project(folder="/work/project", requirements=("a.txt",), site_packages=("/v/lib",))
    assert scan_command("dependencies", "pip-audit", "/tmp/r.json", installed)[-2:] == ["--path", "/v/lib"]
    assert "--redact=100" in scan_command("secrets", "gitleaks", "/tmp/r.json", PROJECT)
    assert "--offline" in scan_command("workflows", "zizmor", "/tmp/r.json", PROJECT)
    assert nothing_to_scan("dependencies", Project(folder="/x"))
    assert not any(nothing_to_scan(kind, PROJECT) for kind in KINDS)


def judged(kind: Scanned, **ended: object) -> Scan:
    return scan_of(kind, Ended(**ended), PROJECT, 60, base_score)  # type: ignore[arg-type]


def test_a_scanner_that_finished() -> None:
    scan = judged("code", report=real("bandit.json"))
    assert (scan.tool, scan.source, scan.unfinished, len(scan.findings)) == ("bandit", "code", "", 9)
    audit = json.dumps(PIP_AUDIT).encode()
    assert judged("dependencies", code=1, report=audit).unfinished == "", "1 says that it found something"


@pytest.mark.parametrize(
    ("kind", "ended", "why"),
    [
        ("code", {"why": "it cannot be installed"}, "it cannot be installed"),
        ("code", {"timed_out": True, "code": -15, "output": "half\n"}, "it was ended after its 60 s: half"),
        ("code", {"code": 2, "output": "usage\n"}, "it ended with 2: usage"),
        ("code", {"code": 2, "report": b'{"results": [], "errors": []}'}, "it ended with 2: it said nothing"),
        ("secrets", {"code": -9}, "it ended with -9"),
        ("code", {}, "it ended with 0 and wrote no report"),
        ("code", {"report": b""}, "it is empty"),
        ("code", {"report": b'{"results": ['}, "cannot be read"),
        ("code", {"report": b"[]"}, "cannot be read"),
        ("code", {"report": real("trivy.json")}, "cannot be read"),
        ("secrets", {"report": real("zizmor.json")}, "cannot be read"),
        ("dependencies", {"code": 1, "output": "x.ProxyError: no way"}, "x.ProxyError: no way"),
        (
            "dependencies",
            {"code": 1, "report": b'{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}'},
            "it ended with 1 and reports nothing",
        ),
        (
            "workflows",
            {"code": 3, "output": "fatal: no audit\nerror: no input\n  0: frame\n"},
            "no audit; error: no input",
        ),
    ],
)
def test_a_scanner_that_did_not_finish(kind: Scanned, ended: dict[str, object], why: str) -> None:
    assert why in judged(kind, **ended).unfinished


@given(st.binary(max_size=100), st.integers(-20, 20), st.text(max_size=50), st.sampled_from(KINDS))
def test_any_end_is_a_scan(report: bytes, code: int, output: str, kind: Scanned) -> None:
    scan = judged(kind, report=report, code=code, output=output)
    assert scan.tool == PROGRAMS[kind]
    assert scan.unfinished or (code in (0, 1) and json.loads(report) is not None)


def test_code_that_bandit_did_not_find() -> None:
    report = {"results": [], "errors": [], "generated_at": "", "metrics": {"_totals": {"loc": 0, "nosec": 0}}}
    assert judged("code", report=json.dumps(report).encode()).unfinished == "it found no Python to read"
    report["metrics"] = {"_totals": {"loc": 10, "nosec": 2}}
    assert (read(report).unfinished, read(report).suppressed) == ("", 2)


def test_want_of_a_network() -> None:
    offline = judged(
        "dependencies", code=1, output="Traceback\nrequests.exceptions.ConnectionError: HTTPSConnectionPool\n"
    )
    assert is_offline(offline)
    assert not is_offline(judged("dependencies", code=1, output="requirement requests is not pinned"))
    assert not is_offline(judged("code", code=1, output="ConnectionError"))


def test_last_words_have_no_secret_and_no_colours() -> None:
    assert last_words(f"\x1b[31merror\x1b[0m: {SECRETS['@GITHUB@']} refused\n") == "error: ‹redacted› refused"
    assert last_words("ProxyError: http://me:password@proxy:1/ is down") == "ProxyError: ‹redacted› is down"
    assert last_words(" \n") == "it said nothing"


RECORD = {
    "id": "GHSA-x84v-xcm2-53pg",
    "aliases": ["CVE-2018-18074", "PYSEC-2018-28"],
    "summary": "Insufficiently Protected Credentials in Requests",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "database_specific": {"severity": "HIGH", "cwe_ids": ["CWE-522"]},
}


def test_advisories_rate_what_pip_audit_found() -> None:
    one = found("PYSEC-2018-28", "unknown", aliases=["ghsa-x84v-xcm2-53pg"], package="requests", version="1", title="d")
    rated_by_others = found("CVE-2026-2", "low", package="x", version="1")
    scan = Scan(tool="pip-audit", findings=(one, rated_by_others))
    assert to_ask(scan) == [["GHSA-x84v-xcm2-53pg", "PYSEC-2018-28"]]
    advisory = read_advisory(json.dumps(RECORD).encode(), "x")
    told = with_advisories(scan, {"GHSA-x84v-xcm2-53pg": advisory}, base_score)
    assert [each.severity for each in told.findings] == ["critical", "low"]
    assert (told.findings[0].score, told.findings[0].name) == (9.8, "CVE-2018-18074")
    assert told.findings[0].title == "Insufficiently Protected Credentials in Requests"
    assert told.note == ""


def test_without_advisories_it_stays_unknown_and_is_said() -> None:
    scan = Scan(tool="pip-audit", findings=(found("CVE-2026-1", "unknown", package="x"),))
    told = with_advisories(scan, {}, base_score, "https://api.osv.dev cannot be asked")
    assert told.findings == scan.findings
    assert told.note == "1 of 1 findings are not rated: https://api.osv.dev cannot be asked"
    empty = with_advisories(scan, {"CVE-2026-1": Advisory(id="CVE-2026-1")}, base_score)
    assert empty.findings[0].severity == "unknown"


def test_only_names_that_are_safe_in_an_address_are_asked_for() -> None:
    assert names_to_ask(found("../../x", aliases=["CVE-2026-1/../..", "CVE-2026-22222"])) == ["CVE-2026-22222"]


@given(st.binary(max_size=60) | st.sampled_from([b"{}", b'{"id": 1}', b'{"id": "x", "severity": 1}']))
def test_any_advisory_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ReportInvalid):
        assert isinstance(read_advisory(data, "x"), Advisory)
