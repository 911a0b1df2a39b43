"""The reports of load and benchmark tools that a command has left on this machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cicd.adapters.bounded_file import read_bounded
from cicd.adapters.suite_run import state
from cicd.core.performance import Budget, Judged, Measure, judge
from cicd.core.performance_formats import LARGEST, invalid, read_measures
from cicd.errors import ReportInvalid

States = Mapping[Path, tuple[int, int, int]]


def measured_against(
    budget: Budget, patterns: Sequence[str], folder: Path, since: float, before: States
) -> list[Judged]:
    """The measures in the reports that the command has left, held against their limits. What is missing has failed.

    Args:
        since: seconds since 1970 when the command began; a report from before is not its own.
        before: the reports that were there then; one that is the same was not written now.
    """
    measures, wrong = list[Measure](), list[Judged]()
    for pattern in patterns:
        found = [path for path in _matching(folder, pattern) if _is_new(path, since, before)]
        if not found:
            why = f"there is no performance report `{pattern}` of this run"
            wrong.append(Judged(measure=pattern, what="measured", verdict="failed", why=why))
        for path in found:
            try:
                measures += read_measures(_bounded(path), path.name)
            except ReportInvalid as error:
                wrong.append(Judged(measure=path.name, what="measured", verdict="failed", why=str(error)))
    return [*wrong, *judge(measures, budget)]


def _is_new(path: Path, since: float, before: States) -> bool:
    return path.stat().st_mtime >= since - 1 and before.get(path) != state(path)


def report_states(patterns: Sequence[str], folder: Path) -> States:
    """The reports that are there, each with what tells it from a later one."""
    return {path: state(path) for pattern in patterns for path in _matching(folder, pattern)}


def new_measures(patterns: Sequence[str], folder: Path, before: States) -> list[Measure]:
    """The measures of the reports that a run has left.

    Args:
        before: the reports that were there before it.

    Raises:
        ReportInvalid: it has left none of one kind, or one cannot be read.
    """
    measures = list[Measure]()
    for pattern in patterns:
        found = [path for path in _matching(folder, pattern) if before.get(path) != state(path)]
        if not found:
            raise invalid(pattern, "this run has left none")
        for path in found:
            measures += read_measures(_bounded(path), path.name)
    return measures


def _matching(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.glob(pattern) if path.is_file())
    except (ValueError, NotImplementedError, OSError):  # such as an absolute pattern
        return []


def _bounded(path: Path) -> bytes:
    try:
        return read_bounded(path, LARGEST)
    except OSError as error:
        raise invalid(path.name, str(error)) from error
