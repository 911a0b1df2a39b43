"""A suite's result as Markdown, within a budget of bytes. Names and messages of tests are hostile: they come from a
pull request, and land on a page with links, images and HTML."""

import html

from cicd.core.gate_tables import measures_table, missing_table
from cicd.core.junit import Failure, Report
from cicd.core.markdown import code, inline, visible
from cicd.core.page import Page
from cicd.core.security_summary import security_section
from cicd.core.suite import Outcome, success
from cicd.core.words import counted
from cicd.errors import CicdError

ROWS = 100  # of the table of failures
SECURITY = 256 * 1024  # bytes of the findings
LINES = 120  # of one traceback: its end


def suite_summary(outcome: Outcome, error: CicdError | None, budget: int) -> str:
    """The job summary of a suite.

    Args:
        outcome: what happened.
        error: why it is red, or None.
        budget: bytes that there are for it. What does not fit is left out from the end, whole pieces, and counted.
    """
    page = Page(budget)
    page.add(_head(outcome, error))
    if outcome.tested:
        page.add(_figures(outcome))
    if outcome.security:
        page.add(security_section(outcome.security, min(page.left // 2, SECURITY)))
    report = outcome.seen
    for part in (missing_table(outcome.coverage), measures_table(outcome.judged)):
        if part:
            page.add(part)
    if report.failures:
        _failure_table(page, report)
    if report.slowest and report.seconds:
        page.add(_slowest(report))
    _tracebacks(page, report)
    return "\n\n".join(page.parts)


def _head(outcome: Outcome, error: CicdError | None) -> str:
    if error is None:
        return f"### ✅ {inline(success(outcome), 500)}"
    lines = [f"### ❌ {inline(error.what, 500)}"]
    lines += [f"Cause: {inline(error.cause, 1000)}"] if error.cause else []
    lines += [f"Next: {inline(error.next_step, 1000)}"] if error.next_step else []
    return "\n\n".join(lines)


def _figures(outcome: Outcome) -> str:
    report = outcome.seen
    rows = [
        ("tests", f"{report.ran:,}"),
        ("passed", f"{report.passed:,}"),
        ("failed", f"{report.failed:,}"),
        ("skipped", f"{report.skipped:,}"),
    ]
    rows += [("passed when run again", f"{report.flaky:,}")] if report.flaky else []
    rows += [("time", f"{outcome.seconds:.1f} s")]
    gate = outcome.coverage
    if gate.wanted:
        figure = f"{gate.found.shown}%" if gate.found else "not measured"
        rows += [("line coverage", f"{figure}{'' if gate.least is None else f' (≥ {gate.least:g}%)'}")]
    top = "| " + " | ".join(name for name, _ in rows) + " |\n" + "|" + " ---: |" * len(rows)
    return f"{top}\n| " + " | ".join(value for _, value in rows) + f" |\n\nCommand: {code(outcome.command, 500)}"


def _failure_table(page: Page, report: Report) -> None:
    rows = ["| failed | where | what |\n| --- | --- | --- |"]
    room = page.left // 2  # tracebacks want some too
    for failure in report.failures[:ROWS]:
        row = f"| {code(failure.test)} | {_place(failure)} | {inline(failure.message)} |"
        room -= len(row.encode()) + 1
        if room < 0:
            break
        rows.append(row)
    missing = report.failed - (len(rows) - 1)
    more = f"\n\n… and {counted(missing, 'failure')} more, in the JUnit report." if missing else ""
    page.add("\n".join(rows) + more)


def _place(failure: Failure) -> str:
    return code(f"{failure.file}:{failure.line}" if failure.line else failure.file) if failure.file else ""


def _slowest(report: Report) -> str:
    rows = [f"| {timing.seconds:.2f} | {code(timing.test)} |" for timing in report.slowest]
    share = 100 * sum(timing.seconds for timing in report.slowest) / report.seconds
    title = f"The slowest {len(rows)}: {share:.0f}% of the tests' time" if len(rows) > 1 else "The slowest"
    table = "\n".join(["| seconds | test |\n| ---: | --- |", *rows])
    return f"<details><summary>{title}</summary>\n\n{table}\n\n</details>"


def _tracebacks(page: Page, report: Report) -> None:
    shown = 0
    told = [failure for failure in report.failures if failure.text]
    for failure in told:
        lines = visible(failure.text).splitlines()
        text = html.escape("\n".join([*(["…"] if len(lines) > LINES else []), *lines[-LINES:]]), quote=False)
        # <pre> ends at its own end tag only, which cannot be in what is escaped; a fence can be closed from inside.
        part = f"<details><summary>{code(failure.test)}</summary>\n\n<pre>{text}</pre>\n\n</details>"
        if not page.add(part):
            break
        shown += 1
    if left := len(told) - shown:
        page.parts.append(f"… and {counted(left, 'traceback')} more, in the JUnit report: the summary has no room.")
