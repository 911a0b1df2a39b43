"""Findings of scanners on their lines; changed lines that no test ran, and what measures do not show: as warnings."""

from pathlib import Path

from cicd.adapters.failure_annotations import from_workspace
from cicd.adapters.runner import Runner
from cicd.core.changed_lines import spans
from cicd.core.security_summary import annotations
from cicd.core.suite import Outcome
from cicd.core.words import counted

WARNINGS = 8  # GitHub shows 10 warnings of a step: these, their rest as a number, and one of something else
ERRORS = 5  # findings: the tests that failed want some of the 10, too
UNSURE = 3  # of them at most for measures


def annotate_gates(outcome: Outcome, folder: Path, runner: Runner) -> None:
    """Annotate them.

    Args:
        folder: the project's, which the files are named from.
    """
    if outcome.security:
        for found in annotations(outcome.security, ERRORS):
            where = from_workspace(found.file, folder, runner)
            runner.annotate(found.level, found.message, file=where, line=found.line, title=found.title)
    unsure = [one for one in outcome.judged if one.verdict == "inconclusive"]
    for one in unsure[:UNSURE]:
        runner.annotate("warning", one.why, title=f"{outcome.suite}: not compared for certain")
    places = [(file, span) for file, lines in sorted(outcome.coverage.missing.items()) for span in spans(lines)]
    shown = places[: WARNINGS - min(len(unsure), UNSURE)]
    for file, (first, last) in shown:
        told = f"no test ran line {first}" if first == last else f"no test ran lines {first} to {last}"
        where = from_workspace(file, folder, runner)
        runner.annotate("warning", told if where else f"{file}: {told}", file=where, line=first, title=outcome.suite)
    left = [
        *([counted(len(unsure) - UNSURE, "measure")] if unsure[UNSURE:] else []),
        *([f"{counted(len(places) - len(shown), 'place')} that no test ran"] if places[len(shown) :] else []),
    ]
    if left:
        runner.annotate("warning", f"{' and '.join(left)} more: see the summary", title=outcome.suite)
