"""The reports of a verdict as files, for one artifact: the page, one JUnit report of all shards, coverage as LCOV."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cicd.adapters.junit_merge import merge
from cicd.core.covered_lines import Lines
from cicd.core.lcov import lcov
from cicd.core.report_page import report_page
from cicd.core.verdict_report import VerdictReport

PAGE, JUNIT, COVERAGE = "report.html", "junit.xml", "coverage.lcov"


def write_reports(
    report: VerdictReport,
    about: str,
    reports: Sequence[tuple[str, Path]],
    lines: Mapping[str, Lines],
    folder: Path,
) -> list[str]:
    """Write them; gives what is left out, in sentences. Raises OSError.

    Args:
        about: what was tested, for the page.
        reports: name of each shard, and its JUnit report.
        lines: of all shards and suites.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(report_page(report, about), encoding="utf-8", errors="replace")
    _, wrong = merge(reports, folder / JUNIT)
    if lines:
        with (folder / COVERAGE).open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(lcov(lines))
    return wrong
