"""The verdict over all suites as Markdown: one line for each, with what changed; then what is red."""

from collections.abc import Sequence

from cicd.core.flaky import rate
from cicd.core.gate_tables import measures_table, missing_table
from cicd.core.history import History
from cicd.core.markdown import code, inline, table
from cicd.core.security_summary import security_section
from cicd.core.suite_summary import suite_summary
from cicd.core.suite_verdict import SuiteVerdict
from cicd.core.words import counted

SECURITY = 64 * 1024  # bytes of a suite's findings
MOST = 30  # flaky or quarantined tests that are listed


def verdict_summary(verdicts: Sequence[SuiteVerdict], history: History, budget: int) -> str:
    """The summary, in no more than `budget` bytes. `history`: before this run."""
    red = [one for one in verdicts if one.error]
    head = f"### {'❌ Red' if red else '✅ Green'}: {counted(len(verdicts), 'suite')}"
    parts = [
        head,
        table(["suite", "", "tests", "longest shard", "coverage", "what"], [_row(one, history) for one in verdicts]),
    ]
    parts += filter(None, (_flaky(verdicts, history), _quarantine(verdicts)))
    text = "\n\n".join(parts)
    left = budget - len(text.encode())
    for one in verdicts:
        tables = _gates(one)
        if tables and len(tables.encode()) + 2 <= left // 2:
            text += f"\n\n{tables}"
            left -= len(tables.encode()) + 2
    for one in red:
        if one.outcome and left > 4000:
            detail = suite_summary(one.outcome, one.error, left // max(1, len(red)))
            text += f"\n\n{detail}"
            left -= len(detail.encode()) + 2
    return text


def _gates(one: SuiteVerdict) -> str:
    """Findings, measures and uncovered lines of a suite that is green; a red one's are among its details."""
    if one.error or one.outcome is None:
        return ""
    found = [measures_table(one.outcome.judged), missing_table(one.outcome.coverage)]
    found += [f"\n\n{security_section(one.outcome.security, SECURITY)}"] if one.outcome.security else []
    return "\n\n".join(f"{code(one.suite)}: {part}" for part in found if part)


def _row(one: SuiteVerdict, history: History) -> tuple[str, ...]:
    if one.proof:
        return (code(one.suite), "≡", "", "", "", inline(one.said[0] if one.said else "proven before", 300))
    before, outcome = history.of(one.suite).figures, one.outcome
    sign = "❌" if one.error else "✅"
    if outcome is None:
        return (code(one.suite), sign, "", "", "", inline(str(one.error), 400))
    seen, found = outcome.seen, outcome.coverage.found
    tests = f"{seen.ran:,}{_change(seen.ran - before.tests) if before.tests else ''}"
    shards = f" of {len(one.shards)}" if len(one.shards) > 1 else ""
    coverage = ""
    if found:
        coverage = f"{found.shown}%"
        if before.coverage:
            coverage += _change(round(float(found.shown) - float(before.coverage), 2))
    what = inline(one.error.what, 300) if one.error else inline(" ".join(one.said[1:]), 300)
    return (code(one.suite), sign, tests, f"{one.seconds:.1f} s{shards}", coverage, what)


def _change(difference: float) -> str:
    return f" ({difference:+g})" if difference else ""


def _flaky(verdicts: Sequence[SuiteVerdict], history: History) -> str:
    rows = [(code(test), f"{rate(history.of(one.suite).rates, test):.0f}%") for one in verdicts for test in one.flaky]
    if not rows:
        return ""
    more = f"\n\n… and {len(rows) - MOST} more." if len(rows) > MOST else ""
    return (
        f"Flaky: {counted(len(rows), 'test')} passed only when run again.\n\n"
        + table(["test", "of the runs before"], rows[:MOST])
        + more
    )


def _quarantine(verdicts: Sequence[SuiteVerdict]) -> str:
    rows, told = list[tuple[str, ...]](), list[str]()
    for one in verdicts:
        if one.sorted is None:
            continue
        rows += [
            (code(test), inline(entry.owner), inline(entry.until), inline(entry.reason, 300))
            for test, entry in one.sorted.excused.items()
        ]
        told += [
            f"{code(entry.test)} was in quarantine until {inline(entry.until)}, and fails."
            for entry in one.sorted.expired
        ]
        told += [f"{code(entry.test)} passes: it can come out of quarantine." for entry in one.sorted.unused]
    parts = []
    if rows:
        parts.append("In quarantine, and failing:\n\n" + table(["test", "owner", "until", "why"], rows[:MOST]))
    parts += told[:MOST]
    return "\n\n".join(parts)
