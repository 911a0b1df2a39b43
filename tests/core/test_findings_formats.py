"""Reports as scanners really write them (tests/reports), and the corners of their formats."""

import json
from typing import Any

import pytest

from cicd.core.findings import NOT_SCANNED, Place
from cicd.errors import ReportInvalid
from tests.core.scanned import SECRETS, read, real, sarif, scans


def test_bandit() -> None:
    scan = read(real("bandit.json"))
    assert (scan.tool, len(scan.findings), scan.unfinished) == ("bandit", 9, "")
    shell = next(one for one in scan.findings if one.id == "B602")
    assert (shell.severity, shell.file, shell.line) == ("high", "app/main.py", 9)
    assert shell.title == "subprocess call with shell=True identified, security issue."
    assert shell.url.startswith("https://bandit.readthedocs.io/")


def test_bandit_quotes_passwords_and_we_do_not() -> None:
    told = [one.title for one in read(real("bandit.json")).findings if one.id in ("B105", "B107")]
    assert told == ["Possible hardcoded password: ‹redacted›"] * 2


def test_a_file_that_bandit_could_not_read() -> None:
    report = {"results": [], "generated_at": "", "errors": [{"filename": "./a/b.py", "reason": "syntax error"}]}
    (one,) = read(report).findings
    assert (one.id, one.severity, one.file, one.title) == (NOT_SCANNED, "unknown", "a/b.py", "syntax error")


@pytest.mark.parametrize("name", ["gitleaks.json", "gitleaks.sarif", "trivy.json", "trivy.sarif"])
def test_a_secret_is_critical_and_never_repeated(name: str) -> None:
    (scan,) = scans(real(name))
    found = [one for one in scan.findings if one.file == "app/settings.env"]
    assert [(one.severity, one.line) for one in sorted(found, key=lambda one: one.line)] == [
        ("critical", 1),
        ("critical", 2),
    ]
    assert not any(secret in str(scan) for secret in SECRETS.values())


def test_a_secret_in_a_title_or_a_name_of_a_file_is_not_repeated_either() -> None:
    secret = "correct horse battery staple"
    leak = {"RuleID": "x", "Description": f"found {secret}", "File": f"a/{secret}.txt", "Secret": secret, "Match": ""}
    (one,) = read([leak]).findings
    assert "horse" not in str(one)
    assert one.severity == "critical"


def test_zizmor() -> None:
    scan = read(real("zizmor.json"))
    found = {one.id: (one.severity, one.places[0]) for one in scan.findings}
    assert found["template-injection"] == ("high", Place(".github/workflows/ci.yml", 8))
    assert found["artipacked"] == ("medium", Place(".github/workflows/ci.yml", 6))
    assert {one.id: one.severity for one in read(real("zizmor.sarif")).findings} == {
        f"zizmor/{id}": severity for id, (severity, _) in found.items()
    }


def test_what_zizmor_was_told_to_ignore_is_counted() -> None:
    audits = json.loads(real("zizmor.json"))
    audits[0]["ignored"] = True
    scan = read(audits)
    assert (len(scan.findings), scan.suppressed) == (4, 1)


def test_trivy() -> None:
    scan = read(real("trivy.json"))
    docker = next(one for one in scan.findings if one.id == "DS-0001")
    assert (docker.severity, docker.file, docker.line) == ("medium", "Dockerfile", 1)
    assert docker.title == "':latest' tag used: Specify a tag in the 'FROM' statement for image 'python'"
    in_sarif = next(one for one in read(real("trivy.sarif")).findings if one.id == "DS-0001")
    assert (in_sarif.severity, in_sarif.file, in_sarif.line) == ("medium", "Dockerfile", 1)


VULNERABLE = {
    "VulnerabilityID": "CVE-2018-18074",
    "VendorIDs": ["GHSA-x84v-xcm2-53pg"],
    "PkgName": "requests",
    "InstalledVersion": "2.19.0",
    "FixedVersion": "2.20.0",
    "Severity": "HIGH",
    "Title": "python-requests: Redirect from HTTPS to HTTP does not remove Authorization header",
    "PrimaryURL": "https://avd.aquasec.com/nvd/cve-2018-18074",
    "CVSS": {
        "nvd": {"V2Vector": "AV:N/AC:L/Au:N/C:P/I:N/A:N", "V3Vector": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}
    },
}


def trivy(**result: Any) -> dict[str, Any]:
    return {"SchemaVersion": 2, "ArtifactName": ".", "Results": [{"Target": "requirements.txt", **result}]}


def test_a_vulnerability_of_trivy() -> None:
    (one,) = read(trivy(Class="lang-pkgs", Vulnerabilities=[VULNERABLE])).findings
    assert (one.id, one.aliases, one.severity, one.score) == (
        "CVE-2018-18074",
        ("GHSA-X84V-XCM2-53PG",),
        "high",
        7.5,
    )
    assert (one.package, one.version, one.fixed_in, one.file) == ("requests", "2.19.0", "2.20.0", "requirements.txt")


def test_the_target_of_an_image_is_no_file() -> None:
    report = trivy(Class="os-pkgs", Vulnerabilities=[VULNERABLE])
    report["Results"][0]["Target"] = "debian"
    assert read(report).findings[0].file == ""


def test_a_licence_and_a_check_that_passed() -> None:
    licence = {"Severity": "CRITICAL", "Category": "forbidden", "PkgName": "x", "Name": "AGPL-3.0", "FilePath": ""}
    passed = {"ID": "DS-1", "Severity": "HIGH", "Status": "PASS"}
    (one,) = read(trivy(Licenses=[licence], Misconfigurations=[passed])).findings
    assert (one.id, one.severity, one.title) == ("AGPL-3.0", "critical", "licence AGPL-3.0 (forbidden)")


def test_trivy_leaves_results_out_when_it_found_nothing() -> None:
    scan = read({"SchemaVersion": 2, "ArtifactName": "."})
    assert (scan.findings, scan.unfinished) == ((), "")


PIP_AUDIT = {
    "dependencies": [
        {
            "name": "Flask_Foo",
            "version": "0.5",
            "vulns": [
                {
                    "id": "PYSEC-2019-179",
                    "fix_versions": ["1.0"],
                    "aliases": ["CVE-2019-1010083", "GHSA-5wv5-4vpf-pj6m"],
                    "description": "Denial of service.\nMore.",
                }
            ],
        },
        {"name": "acme-internal", "skip_reason": "Dependency not found on PyPI"},
    ],
    "fixes": [],
}


def test_pip_audit() -> None:
    scan = read(PIP_AUDIT)
    one, skipped = scan.findings
    assert (one.name, one.package, one.version, one.fixed_in) == ("CVE-2019-1010083", "Flask_Foo", "0.5", "1.0")
    assert (one.severity, one.title) == ("unknown", "Denial of service. More.")
    assert (skipped.id, skipped.package, skipped.severity) == (NOT_SCANNED, "acme-internal", "unknown")
    assert scan.unfinished == ""


def test_pip_audit_that_audited_nothing_has_not_finished() -> None:
    """Its real answer from an index that has no advisories: exit code 0, and `No known vulnerabilities found`."""
    why = "Dependency not found on PyPI and could not be audited: requests (2.19.0)"
    scan = read({"dependencies": [{"name": "requests", "skip_reason": why}], "fixes": []})
    assert scan.unfinished == f"it audited none of 1 packages: {why}"
    assert read({"dependencies": [], "fixes": []}).unfinished == "it was given no package"


def test_an_empty_list_is_gitleaks_or_zizmor_and_fine() -> None:
    assert read([]).unfinished == ""


@pytest.mark.parametrize("value", [{}, None, 1, "text", [1], [{}], {"results": []}, {"runs": 1}, {"SchemaVersion": 9}])
def test_of_no_scanner(value: object) -> None:
    with pytest.raises(ReportInvalid):
        scans(value)


RESULT = {"ruleId": "R1", "message": {"text": "bad"}}


def severity(result: dict[str, Any], *rules: dict[str, Any]) -> str:
    return read(sarif({**RESULT, **result}, rules=list(rules))).findings[0].severity


def test_severities_of_sarif() -> None:
    def rated(score: object, level: str = "warning") -> dict[str, Any]:
        return {"id": "R1", "properties": {"security-severity": score}, "defaultConfiguration": {"level": level}}

    assert severity({}, rated("9.1")) == "critical"
    assert severity({}, rated(9.1)) == "critical"
    assert severity({"level": "error"}, rated("3.1")) == "low"
    assert severity({"properties": {"security-severity": "9.9"}}, rated("3.1")) == "critical"
    assert severity({"level": "error"}) == "high"
    assert severity({}, {"id": "R1", "defaultConfiguration": {"level": "note"}}) == "low"
    assert severity({}, rated("NaN", "note")) == "unknown"
    assert severity({}) == "unknown"
    assert severity({"kind": "open", "level": "none"}) == "unknown"
    assert severity({"kind": "informational"}) == "none"


def test_results_that_are_no_problem_or_suppressed() -> None:
    def kept(**about: Any) -> int:
        return len(read(sarif({**RESULT, **about})).findings)

    assert kept(kind="pass") == kept(kind="notApplicable") == kept(baselineState="absent") == 0
    assert kept(suppressions=[{"kind": "inSource"}]) == kept(suppressions=[{"status": "accepted"}]) == 0
    assert kept(suppressions=[]) == kept(suppressions=None) == kept(baselineState="new") == 1
    assert kept(suppressions=[{"status": "accepted"}, {"status": "underReview"}]) == 1
    assert kept(suppressions=[{"status": "rejected"}]) == kept(suppressions=[{"status": "whatever"}]) == 1
    assert read(sarif({**RESULT, "suppressions": [{}]})).suppressed == 1


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ({"results": None}, "no results"),
        ({"invocations": [{"executionSuccessful": False}]}, "failed"),
        ({"invocations": [{"executionSuccessful": True}, {"executionSuccessful": False}]}, "failed"),
        ({"invocations": [{}]}, "not that it succeeded"),
        (
            {"invocations": [{"executionSuccessful": True, "processStartFailureMessage": "no such tool"}]},
            "no such tool",
        ),
        ({"externalPropertyFileReferences": {"results": [{}]}}, "other files"),
    ],
)
def test_a_run_that_did_not_finish(run: dict[str, Any], why: str) -> None:
    assert why in read(sarif(**run)).unfinished
    assert read(sarif(invocations=[{"executionSuccessful": True}])).unfinished == ""


def test_results_that_are_missing_are_a_scanner_that_did_not_run() -> None:
    log = sarif()
    del log["runs"][0]["results"]
    assert read(log).unfinished
    for runs in ("[]", "null"):
        with pytest.raises(ReportInvalid, match="no run"):
            scans(f'{{"version": "2.1.0", "runs": {runs}}}'.encode())


def test_an_error_of_the_scanner_is_a_finding() -> None:
    notes = [{"level": "error", "message": {"text": "cannot parse a.py"}}, {"level": "note", "message": {"text": "x"}}]
    (one,) = read(sarif(invocations=[{"executionSuccessful": True, "toolExecutionNotifications": notes}])).findings
    assert (one.id, one.title, one.severity) == (NOT_SCANNED, "cannot parse a.py", "unknown")


def test_rules_of_driver_and_extensions() -> None:
    own = {"id": "R1", "properties": {"security-severity": "2.0"}}
    others = [{"id": "E0"}, {"id": "E1", "guid": "g", "properties": {"security-severity": "9.5"}}]
    log = sarif(
        {"ruleId": "E1", "rule": {"index": 1, "toolComponent": {"index": 0}}},
        {"rule": {"index": 1, "toolComponent": {"name": "pack"}}},
        {"rule": {"guid": "g"}},
        {"ruleId": "E1/sub/sub"},
        {"ruleId": "E1", "ruleIndex": 0},
        {"ruleIndex": 0},
        rules=[own],
    )
    log["runs"][0]["tool"]["extensions"] = [{"name": "pack", "rules": others}]
    found = read(log).findings
    assert [(one.id, one.severity) for one in found] == [
        ("E1", "critical"),
        ("E1", "critical"),
        ("E1", "critical"),
        ("E1/sub/sub", "critical"),
        ("E1", "critical"),
        ("R1", "low"),
    ]


def test_places_of_sarif() -> None:
    def place(artifact: dict[str, Any], **run: Any) -> Place:
        physical = {"artifactLocation": artifact, "region": {"startLine": 3}}
        return read(sarif({**RESULT, "locations": [{"physicalLocation": physical}]}, **run)).findings[0].places[0]

    assert place({"uri": "src/a%20b.py"}) == Place("src/a b.py", 3)
    assert place({"uri": "file:///work/project/src/a.py"}) == Place("src/a.py", 3)
    bases = {"SRC": {"uri": "file:///work/project/src/"}}
    assert place({"uri": "a.py", "uriBaseId": "SRC"}, originalUriBaseIds=bases) == Place("src/a.py", 3)
    assert place({"uri": "a.py", "uriBaseId": "SRC"}) == Place("a.py", 3)
    assert place({"index": 0}, artifacts=[{"location": {"uri": "b.py"}}]) == Place("b.py", 3)
    for leaving in ("../a", "/etc/passwd", "file:///etc/passwd", "a/..%2f..%2fb", "https://x/a.py", "C:\\a", "a\0b"):
        assert place({"uri": leaving}) == Place(), leaving


def test_messages_names_and_aliases_of_sarif() -> None:
    rule = {
        "id": "GHSA-x84v-xcm2-53pg",
        "messageStrings": {"default": {"text": "{0} is old"}},
        "deprecatedIds": ["CVE-2018-18074"],
        "properties": {"tags": ["PYSEC-2018-28", "external/cwe/cwe-522"]},
    }
    result = {"ruleId": rule["id"], "message": {"id": "default", "arguments": ["requests"]}}
    (one,) = read(sarif(result, rules=[rule])).findings
    assert one.title == "requests is old"
    assert one.aliases == ("CVE-2018-18074", "PYSEC-2018-28")
    assert one.name == "CVE-2018-18074"


def test_packages_in_the_messages_of_trivy() -> None:
    text = "Package: Requests\nInstalled Version: 2.19.0\nVulnerability CVE-2018-18074\nFixed Version: 2.20.0"
    log = sarif({"ruleId": "CVE-2018-18074", "message": {"text": text}, "level": "error"})
    log["runs"][0]["tool"]["driver"]["name"] = "Trivy"
    (one,) = read(log).findings
    assert (one.package, one.version, one.fixed_in) == ("Requests", "2.19.0", "2.20.0")
