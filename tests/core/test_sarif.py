"""What is written as SARIF is what is read from it."""

import json
from datetime import date

from cicd.adapters.cvss_scores import base_score
from cicd.core.findings import FindingException, Place, Scan, SeverityPolicy, finding
from cicd.core.findings_sarif import read_sarif
from cicd.core.sarif import sarif_of
from cicd.core.security_gate import judge_findings

CODE = finding("bandit", "B602", ("high", None), place=Place("app/x.py", 3), title="shell=True.")
OLD = finding(
    "pip-audit", "PYSEC-2026-1", ("critical", 9.8), aliases=["CVE-2026-1"], package="left", version="1", fixed_in="2"
)
SCANS = [
    Scan(tool="bandit", findings=(CODE,)),
    Scan(tool="pip-audit", findings=(OLD,)),
    Scan(tool="zizmor", unfinished="killed"),
]
POLICY = SeverityPolicy(exceptions=[FindingException(id="CVE-2026-1", reason="not called", until="2026-12-31")])


def test_it_is_read_as_it_was_written() -> None:
    text = sarif_of(judge_findings(SCANS, POLICY, date(2026, 11, 1)))
    again = {scan.tool: scan for scan in read_sarif(json.loads(text), "x", "", base_score)}
    assert [(one.name, one.severity, one.file, one.line) for one in again["bandit"].findings] == [
        ("B602", "high", "app/x.py", 3)
    ]
    assert again["pip-audit"].suppressed == 1
    assert again["zizmor"].unfinished
    assert not again["bandit"].unfinished


def test_the_words_are_for_people() -> None:
    (bandit, audit, _) = json.loads(sarif_of(judge_findings(SCANS, POLICY, date(2026, 11, 1))))["runs"]
    assert bandit["results"][0]["message"]["text"] == "shell=True."
    assert audit["results"][0]["message"]["text"] == "left 1: CVE-2026-1. Fixed in 2."
    assert audit["results"][0]["suppressions"][0]["justification"] == "not called"
    assert audit["tool"]["driver"]["rules"][0]["properties"]["security-severity"] == "9.8"
