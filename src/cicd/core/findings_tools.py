"""The JSON of pip-audit, bandit, gitleaks and zizmor.

https://github.com/pypa/pip-audit#readme · https://bandit.readthedocs.io/en/latest/formatters/json.html ·
https://github.com/gitleaks/gitleaks#readme · https://docs.zizmor.sh/usage/#json-output
"""

from typing import Any

import msgspec

from cicd.core.findings import NOT_SCANNED, Finding, Place, Scan, finding, line_of, place_of
from cicd.core.findings_json import shaped
from cicd.core.redaction import redacted
from cicd.core.severity import Rate, rated


class _Vulnerability(msgspec.Struct, frozen=True):
    id: str
    aliases: list[Any] | None = None
    fix_versions: list[Any] | None = None
    description: Any = ""


class _Dependency(msgspec.Struct, frozen=True):
    name: str
    version: Any = ""
    vulns: list[_Vulnerability] | None = None
    skip_reason: Any = None


class _PipAudit(msgspec.Struct, frozen=True):
    dependencies: list[_Dependency]


def read_pip_audit(value: Any, source: str, root: str, rate: Rate) -> Scan:
    """pip-audit's report. It rates nothing: severities come from OSV (core/osv.py), else they are unknown.

    What it skipped, such as a package that is on no index, is a finding by the name `not-scanned`. Where it audited
    nothing at all, its database does not know these packages, or there were none.
    """
    report = shaped(value, _PipAudit, source, "pip-audit")
    audited = [one for one in report.dependencies if one.vulns is not None]
    skipped = [one for one in report.dependencies if one.vulns is None]
    found = [_vulnerability(one, each) for one in audited for each in one.vulns or []]
    found += [finding("pip-audit", NOT_SCANNED, package=one.name, title=one.skip_reason) for one in skipped]
    if audited:
        return Scan(tool="pip-audit", source=source, findings=tuple(found))
    why = f": {redacted(line_of(skipped[0].skip_reason, 200))}" if skipped else ""
    unfinished = f"it audited none of {len(skipped)} packages{why}" if skipped else "it was given no package"
    return Scan(tool="pip-audit", source=source, unfinished=unfinished)


def _vulnerability(dependency: _Dependency, found: _Vulnerability) -> Finding:
    return finding(
        "pip-audit",
        found.id,
        aliases=found.aliases or [],
        package=dependency.name,
        version=dependency.version,
        fixed_in=", ".join(one for one in (found.fix_versions or [])[:10] if isinstance(one, str)),
        title=found.description,
        url=f"https://osv.dev/vulnerability/{found.id}",
    )


class _Bandit(msgspec.Struct, frozen=True):
    class Result(msgspec.Struct, frozen=True):
        test_id: str
        filename: Any = ""
        line_number: Any = 0
        issue_severity: Any = ""
        issue_text: Any = ""
        more_info: Any = ""

    class Failed(msgspec.Struct, frozen=True):
        filename: Any = ""
        reason: Any = ""

    results: list[Result]
    errors: list[Failed]
    metrics: dict[str, Any] | None = None


def read_bandit(value: Any, source: str, root: str, rate: Rate) -> Scan:
    """Bandit's report. It knows LOW, MEDIUM and HIGH; a file that it cannot parse is a finding, `not-scanned`.

    When it has read no line at all, it was led to the wrong folder, and has not done its work.
    """
    report = shaped(value, _Bandit, source, "bandit")
    found = [
        finding(
            "bandit",
            one.test_id,
            rated(rate, words=[one.issue_severity]),
            place=place_of(one.filename, one.line_number, root),
            title=one.issue_text,
            url=one.more_info,
        )
        for one in report.results
    ]
    found += [
        finding("bandit", NOT_SCANNED, place=place_of(one.filename, 0, root), title=one.reason) for one in report.errors
    ]
    totals = (report.metrics or {}).get("_totals")
    lines, nosec = (totals.get("loc"), totals.get("nosec")) if isinstance(totals, dict) else (None, None)
    return Scan(
        tool="bandit",
        source=source,
        findings=tuple(found),
        unfinished="it found no Python to read" if lines == 0 and not found else "",
        suppressed=nosec if isinstance(nosec, int) and 0 < nosec < 10**9 else 0,
    )


class _Leak(msgspec.Struct, frozen=True, rename="pascal"):
    rule_id: str = msgspec.field(name="RuleID")
    description: Any = ""
    file: Any = ""
    start_line: Any = 0
    secret: Any = ""
    match: Any = ""


def read_gitleaks(value: Any, source: str, root: str, rate: Rate) -> Scan:
    """Gitleaks' report. It rates nothing; a secret that all can read is critical. The secret is not repeated."""
    leaks = shaped(value, list[_Leak], source, "gitleaks")
    return Scan(tool="gitleaks", source=source, findings=tuple(_leak(one, root) for one in leaks))


def _leak(leak: _Leak, root: str) -> Finding:
    known = [text for text in (leak.secret, leak.match) if isinstance(text, str)]
    place = place_of(leak.file, leak.start_line, root)
    hidden = redacted(place.file, known) != place.file
    title = redacted(line_of(leak.description, 300), known)
    id = redacted(line_of(leak.rule_id, 200), known)
    return finding("gitleaks", id, ("critical", None), place=Place() if hidden else place, title=title)


class _Determinations(msgspec.Struct, frozen=True):
    severity: Any = ""


class _Point(msgspec.Struct, frozen=True):
    row: Any = None


class _Span(msgspec.Struct, frozen=True):
    start_point: _Point | None = None


class _Concrete(msgspec.Struct, frozen=True):
    location: _Span | None = None


class _Symbolic(msgspec.Struct, frozen=True):
    key: Any = None
    kind: Any = ""
    annotation: Any = ""


class _Location(msgspec.Struct, frozen=True):
    symbolic: _Symbolic | None = None
    concrete: _Concrete | None = None


class _Audit(msgspec.Struct, frozen=True):
    ident: str
    desc: Any = ""
    url: Any = ""
    determinations: _Determinations | None = None
    locations: list[_Location] | None = None
    ignored: Any = False


def read_zizmor(value: Any, source: str, root: str, rate: Rate) -> Scan:
    """Zizmor's report (`--format json`), rows from 0 on. Findings that its comments or settings ignore are counted."""
    audits = shaped(value, list[_Audit], source, "zizmor")
    found = tuple(_audit(one, root, rate) for one in audits if one.ignored is not True)
    return Scan(tool="zizmor", source=source, findings=found, suppressed=len(audits) - len(found))


def _audit(audit: _Audit, root: str, rate: Rate) -> Finding:
    locations = [one for one in audit.locations or [] if one.symbolic and one.concrete]
    primary = next((one for one in locations if one.symbolic and one.symbolic.kind == "Primary"), None)
    at = primary or next(iter(locations), _Location())
    said = line_of(at.symbolic.annotation, 200) if at.symbolic else ""
    return finding(
        "zizmor",
        audit.ident,
        rated(rate, words=[audit.determinations.severity if audit.determinations else ""]),
        place=_place(at, root),
        title=": ".join(filter(None, (line_of(audit.desc, 300), said))),
        url=audit.url,
    )


def _place(location: _Location, root: str) -> Place:
    key = location.symbolic.key if location.symbolic else None
    local = key.get("Local") if isinstance(key, dict) else None
    path = (local.get("verbatim_path") or local.get("given_path")) if isinstance(local, dict) else ""
    span = location.concrete.location if location.concrete else None
    row = span.start_point.row if span and span.start_point else None
    return place_of(path, row + 1 if isinstance(row, int) and not isinstance(row, bool) else 0, root)
