"""Findings as SARIF 2.1.0, the format in which GitHub's code scanning and others take them.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; what GitHub reads of it:
https://docs.github.com/en/code-security/reference/code-scanning/sarif-support-for-code-scanning
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from cicd.core.findings import Finding, Scan
from cicd.core.security_gate import SecurityGate

MOST_RESULTS = 5000  # of a run: GitHub shows the first 5,000
LEVELS = {
    "critical": "error",
    "high": "error",
    "medium": "warning",
    "unknown": "warning",
    "low": "note",
    "none": "none",
}
SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}  # the middle of each range of CVSS v4


def sarif_of(gate: SecurityGate) -> bytes:
    """All findings of a gate, a run for each scanner; those that an exception lets pass are suppressed."""
    excepted = {one.finding.fingerprint: one.exception.reason for one in gate.excepted}
    findings = [*gate.blocking, *gate.warned, *gate.passed_by, *(one.finding for one in gate.excepted)]
    runs = [_run(scan, findings, excepted) for scan in _by_tool((*gate.scans, *gate.excused))]
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": runs}
    return msgspec.json.encode(log)


def _by_tool(scans: Iterable[Scan]) -> list[Scan]:
    """A scan for each tool; one that did not finish stands for it."""
    found: dict[str, Scan] = {}
    for scan in scans:
        if scan.tool not in found or scan.unfinished:
            found[scan.tool] = scan
    return list(found.values())


def _run(scan: Scan, findings: Iterable[Finding], excepted: dict[str, str]) -> dict[str, Any]:
    own = [one for one in findings if one.tool.split(", ")[0] == scan.tool][:MOST_RESULTS]
    rules = {one.name: one for one in own}
    invocation: dict[str, Any] = {"executionSuccessful": not scan.unfinished}
    if scan.unfinished:
        invocation["toolExecutionNotifications"] = [{"level": "error", "message": {"text": scan.unfinished}}]
    return {
        "tool": {"driver": {"name": scan.tool, "rules": [_rule(one) for one in rules.values()]}},
        "invocations": [invocation],
        "results": [_result(one, excepted.get(one.fingerprint)) for one in own],
    }


def _rule(one: Finding) -> dict[str, Any]:
    score = f"{one.score:g}" if one.score is not None else SCORES.get(one.severity)
    rule: dict[str, Any] = {"id": one.name, "shortDescription": {"text": one.title or one.name}}
    if one.url:
        rule["helpUri"] = one.url
    if score:
        rule["properties"] = {"security-severity": score, "tags": ["security"]}
    return rule


def _result(one: Finding, reason: str | None) -> dict[str, Any]:
    package = " ".join(filter(None, (one.package, one.version)))
    text = ": ".join(filter(None, (package, one.title or one.name)))
    fix = f" Fixed in {one.fixed_in}." if one.fixed_in else ""
    result: dict[str, Any] = {
        "ruleId": one.name,
        "level": LEVELS[one.severity],
        "message": {"text": f"{text.rstrip('.')}.{fix}"},
        "partialFingerprints": {"cicd/v1": one.fingerprint},
        "locations": [_location(place.file, place.line) for place in one.places if place.file],
    }
    if reason is not None:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return result


def _location(file: str, line: int) -> dict[str, Any]:
    where: dict[str, Any] = {"artifactLocation": {"uri": file}}
    if line:
        where["region"] = {"startLine": line}
    return {"physicalLocation": where}
