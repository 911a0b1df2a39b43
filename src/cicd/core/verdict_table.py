"""Rows of a verdict as Markdown, for the check run and the comment."""

from collections.abc import Iterator

from cicd.core.junit import Failure
from cicd.core.markdown import code, inline
from cicd.core.page import Page
from cicd.core.verdict_report import SuiteReport, VerdictReport
from cicd.core.words import counted


def figures_table(page: Page, report: VerdictReport) -> str:
    """One row for each suite, red ones first, with the change against the branch's last green run; and what to say of
    those without room."""
    head = "| suite | | tests | failed | longest shard | coverage |\n| --- | --- | ---: | ---: | ---: | ---: |"
    rows = [_row(one) for one in sorted(report.suites, key=lambda one: one.green)]
    missing = len(rows) - page.add_rows(head, rows, most=page.left // 2)
    return f"… and {counted(missing, 'suite')} more." if missing else ""


def paragraphs(page: Page, report: VerdictReport) -> str:
    """What is red, flaky or excused; and what to say of what has no room."""
    told = list(what_is_red(report))
    missing = sum(not page.add(paragraph) for paragraph in told)
    return f"{counted(missing, 'remark')} more in the run's summary." if missing else ""


def _row(one: SuiteReport) -> str:
    if one.proof:
        return f"| {code(one.suite, 100)} | ≡ | proven before | | | |"
    before = one.before
    tests = f"{one.ran:,}{change(one.ran - before.tests) if before.tests else ''}"
    shards = f" of {len(one.shards)}" if len(one.shards) > 1 else ""
    seconds = f"{one.seconds:.1f} s{shards}{seconds_changed(one.seconds, before.seconds)}"
    coverage = f"{one.coverage}%" if one.coverage else ""
    if one.coverage and before.coverage:
        coverage += change(round(float(one.coverage) - _number(before.coverage), 2))
    sign = "✅" if one.green else "❌"
    return f"| {code(one.suite, 100)} | {sign} | {tests} | {one.failed:,} | {seconds} | {coverage} |"


def _number(text: str) -> float:
    try:
        return float(text[:8])
    except ValueError:
        return 0.0


def change(difference: float) -> str:
    """` (+3)`; nothing where nothing changed."""
    return f" ({difference:+,.10g})" if difference else ""


def seconds_changed(seconds: float, before: float) -> str:
    """` (+1.5 s)`, where it is more than the noise of a machine: a tenth, and a second."""
    difference = seconds - before
    noise = abs(difference) < max(1.0, before / 10)
    return "" if not before or noise else f" ({difference:+.1f} s)"


def what_is_red(report: VerdictReport) -> Iterator[str]:
    """A paragraph for each red suite: what, cause, next step; then what is flaky or excused."""
    for one in report.suites:
        if not one.green:
            told = [inline(one.what, 500)]
            told += [f"Cause: {inline(one.cause, 500)}."] if one.cause else []
            told += [f"Next: {inline(one.next_step, 500)}."] if one.next_step else []
            yield f"❌ {' '.join(told)}"
    for one in report.suites:
        if one.flaky:
            named = [f"{code(test.test)} ({test.percent:.0f}% of the runs before)" for test in one.flaky_tests[:10]]
            yield _listed(f"{inline(one.suite)}: flaky, passed only when run again:", named, one.flaky)
        if one.excused:
            named = [f"{code(test.test)} ({inline(test.owner)}, {inline(test.until)})" for test in one.excused_tests]
            yield _listed(f"{inline(one.suite)}: failing in quarantine:", named[:10], one.excused)


def _listed(head: str, named: list[str], total: int) -> str:
    more = f" … and {total - len(named):,} more, in the run's summary." if total > len(named) else "."
    return f"{head} {', '.join(named)}{more}"


def failure_row(failure: Failure) -> str:
    """`| test | file:line | message |`."""
    place = f"{failure.file}:{failure.line}" if failure.line else failure.file
    return f"| {code(failure.test)} | {code(place) if place else ''} | {inline(failure.message)} |"
