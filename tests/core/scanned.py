"""Short ways to findings and reports, for tests."""

import json
from pathlib import Path
from typing import Any

from cicd.adapters.cvss_scores import base_score
from cicd.core.findings import Finding, Place, Scan, Severity, finding
from cicd.core.findings_formats import read_findings

REPORTS = Path(__file__).parent.parent / "reports"
SECRETS = {"@GITHUB@": "ghp_" + "Zk3" * 12, "@AWS@": "AKIA" + "Q7ZK" * 4}


def real(name: str) -> bytes:
    """A report of tests/reports, with secrets in it."""
    text = (REPORTS / name).read_text()
    for mark, secret in SECRETS.items():
        text = text.replace(mark, secret)
    return text.encode()


def read(value: Any, root: str = "/work/project") -> Scan:
    """The only scan of a report, given as bytes or as what JSON is made of."""
    (scan,) = scans(value, root)
    return scan


def scans(value: Any, root: str = "/work/project") -> list[Scan]:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_findings(data, "report.json", base_score, root=root)


def sarif(*results: dict[str, Any], rules: list[dict[str, Any]] | None = None, **run: Any) -> dict[str, Any]:
    """A SARIF log with one run of the tool `lint`."""
    driver = {"name": "lint", "rules": rules or []}
    return {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": list(results), **run}]}


def found(
    id: str = "CVE-2026-1000",
    severity: Severity = "critical",
    *,
    tool: str = "trivy",
    file: str = "",
    line: int = 0,
    **about: Any,
) -> Finding:
    return finding(tool, id, (severity, None), place=Place(file, line), **about)
