"""The security gate as Markdown and as annotations. Texts of findings are hostile: they land on a page with links."""

from collections.abc import Iterator
from itertools import islice
from typing import Literal

import msgspec

from cicd.core.findings import Finding
from cicd.core.markdown import code, inline, table
from cicd.core.security_gate import SecurityGate
from cicd.core.words import counted

ROWS = 200
NOTES = 50


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """A message at a line of a file; without a file it is about the whole run."""

    level: Literal["error", "warning"]
    message: str
    title: str
    file: str = ""
    line: int = 0


def security_section(gate: SecurityGate, budget: int) -> str:
    """The gate for the job summary: its sentence, a table of findings, exceptions, scanners.

    Args:
        budget: bytes that there are for it, at least 2,000. Findings that do not fit are counted, the gravest are kept.
    """
    head = f"#### {'✅' if gate.passed else '❌'} Security: {inline(gate.sentence, 600)}"
    tail = "\n\n".join(filter(None, (_unfinished(gate), _notes(gate), _scanners(gate))))
    if len(tail.encode()) > budget // 2:
        tail = _scanners(gate) if len(_scanners(gate).encode()) <= budget // 2 else ""
    room = budget - len(head.encode()) - len(tail.encode()) - 400  # for heads and counts
    rows: list[tuple[str, ...]] = []
    for row in islice(_marked(gate), ROWS):
        room -= sum(len(cell.encode()) + 3 for cell in row) + 2
        if room < 0:
            break
        rows.append(row)
    parts = [head, table(("", "severity", "what", "where", "fixed in", "by"), rows) if rows else ""]
    if left := len(gate.blocking) + len(gate.warned) + len(gate.excepted) - len(rows):
        parts.append(f"… and {counted(left, 'finding')} more, in the scanners' reports.")
    if gate.passed_by:
        parts.append(f"Below the gate: {inline(_by_severity(gate.passed_by))}.")
    return "\n\n".join(filter(None, [*parts, tail]))


def annotations(gate: SecurityGate, most: int) -> list[Annotation]:
    """What to annotate, what blocks first: at most `most`, one place each. What is left out is in the summary."""
    found = [_annotation("error", one) for one in gate.blocking[:most]]
    found += [_annotation("warning", one) for one in gate.warned[: most - len(found)]]
    return found


def _annotation(level: Literal["error", "warning"], finding: Finding) -> Annotation:
    fix = f" Fixed in {finding.fixed_in}." if finding.fixed_in else ""
    more = f" And at {counted(len(finding.places) - 1, 'other place')}." if len(finding.places) > 1 else ""
    what = ": ".join(filter(None, (_package(finding), finding.title)))
    return Annotation(
        level=level,
        message=f"{(what or finding.name).rstrip('.')}.{fix}{more}",
        title=f"{finding.name} ({finding.severity}, {finding.tool})",
        file=finding.file,
        line=finding.line,
    )


def _marked(gate: SecurityGate) -> Iterator[tuple[str, ...]]:
    yield from (_row("❌", one) for one in gate.blocking)
    yield from (_row("⚠️", one) for one in gate.warned)
    for one in gate.excepted:
        owner = f" {inline(one.exception.owner, 60)}" if one.exception.owner else ""
        why = f"excepted until {inline(one.exception.until, 20)}{owner}: {inline(one.exception.reason, 120)}"
        mark, severity, what, *rest = _row("➖", one.finding)
        yield (mark, severity, f"{what}<br>{why}", *rest)


def _row(mark: str, finding: Finding) -> tuple[str, ...]:
    score = f" {finding.score:g}" if finding.score is not None else ""
    name = code(finding.name)
    linked = f'<a href="{inline(finding.url, 600)}">{name}</a>' if finding.url else name
    package = inline(_package(finding))
    where = code(finding.places[0].shown) if finding.file else ""
    more = f" +{len(finding.places) - 1}" if len(finding.places) > 1 else ""
    what = "<br>".join(filter(None, (f"{linked} {package}".strip(), inline(finding.title))))
    return (
        mark,
        f"{finding.severity}{score}",
        what,
        f"{where}{more}",
        inline(finding.fixed_in, 80),
        inline(finding.tool),
    )


def _package(finding: Finding) -> str:
    return " ".join(filter(None, (finding.package, finding.version)))


def _by_severity(findings: tuple[Finding, ...]) -> str:
    counts: dict[str, int] = {}
    for one in findings:
        counts[one.severity] = counts.get(one.severity, 0) + 1
    return ", ".join(f"{number:,} {severity}" for severity, number in counts.items())


def _unfinished(gate: SecurityGate) -> str:
    lines = [
        f"- {mark} {inline(scan.tool)} did not finish: {inline(scan.unfinished, 400)}"
        for mark, scans in (("❌", gate.unfinished), ("⚠️", gate.excused))
        for scan in scans[:NOTES]
    ]
    return "\n".join(lines)


def _notes(gate: SecurityGate) -> str:
    told = [*gate.notes, *(f"{scan.tool}: {scan.note}" for scan in (*gate.scans, *gate.excused) if scan.note)]
    return "\n".join(f"- {inline(note, 400)}" for note in told[:NOTES])


def _scanners(gate: SecurityGate) -> str:
    said = [
        f"{inline(scan.tool)} ({inline(scan.source)}): {len(scan.findings):,}"
        for scan in (*gate.scans, *gate.excused)[:NOTES]
    ]
    return f"Findings as reported: {', '.join(said)}." if said else ""
