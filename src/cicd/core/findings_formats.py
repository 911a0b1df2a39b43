"""Reports of scanners, told apart by what is in them: whatever the bytes, findings or ReportInvalid come of them."""

from collections.abc import Callable
from typing import Any

from cicd.core.findings import Scan
from cicd.core.findings_json import invalid, read_json
from cicd.core.findings_sarif import read_sarif
from cicd.core.findings_tools import read_bandit, read_gitleaks, read_pip_audit, read_zizmor
from cicd.core.findings_trivy import read_trivy
from cicd.core.severity import Rate

Reader = Callable[[Any, str, str, Rate], Scan]
READERS: dict[str, Reader] = {
    "pip-audit": read_pip_audit,
    "bandit": read_bandit,
    "gitleaks": read_gitleaks,
    "trivy": read_trivy,
    "zizmor": read_zizmor,
}


def read_findings(data: bytes, source: str, rate: Rate, *, root: str = "", tool: str = "") -> list[Scan]:
    """What the scanners of a report found, by each of its runs; at least one.

    Args:
        data: the file.
        source: its name.
        rate: scores CVSS vectors.
        root: absolute path of the repository: what is below it is shown from there on.
        tool: whose JSON it has to be, one of READERS; empty: any, or SARIF.

    Raises:
        ReportInvalid: it cannot be read, or is of no scanner that is known.
    """
    value = read_json(data, source)
    if not tool and isinstance(value, dict) and "runs" in value:
        return read_sarif(value, source, root, rate)
    wanted = tool or _looks_like(value)
    if not wanted:
        known = "SARIF and the JSON of " + ", ".join(sorted(READERS))
        raise invalid(source, "it is of no scanner that is known here", f"{known} are read")
    return [READERS[wanted](value, source, root, rate)]


def _looks_like(value: Any) -> str:
    """Whose report it is; empty: nobody's."""
    if isinstance(value, dict):
        if "SchemaVersion" in value:
            return "trivy"
        if "dependencies" in value:
            return "pip-audit"
        return "bandit" if {"results", "errors", "generated_at"} <= value.keys() else ""
    if not isinstance(value, list):
        return ""
    first = value[0] if value else {"RuleID": ""}  # gitleaks and zizmor both write [] when they find nothing
    if isinstance(first, dict):
        return "gitleaks" if "RuleID" in first else "zizmor" if "ident" in first else ""
    return ""
