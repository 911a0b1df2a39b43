"""The reports of load and benchmark tools that a command has left on this machine."""

from collections.abc import Sequence
from pathlib import Path

from cicd.core.performance import Budget, Judged, Measure, judge
from cicd.core.performance_formats import LARGEST, invalid, read_measures
from cicd.errors import ReportInvalid


def measured_against(budget: Budget, patterns: Sequence[str], folder: Path, since: float) -> list[Judged]:
    """The measures in the reports that the command has left, held against their limits. What is missing has failed.

    Args:
        since: seconds since 1970 when the command began; a report from before is not its own.
    """
    measures, wrong = list[Measure](), list[Judged]()
    for pattern in patterns:
        try:
            found = sorted(
                path for path in folder.glob(pattern) if path.is_file() and path.stat().st_mtime >= since - 1
            )
        except (ValueError, NotImplementedError, OSError):  # such as an absolute pattern
            found = []
        if not found:
            why = f"there is no performance report `{pattern}` of this run"
            wrong.append(Judged(measure=pattern, what="measured", verdict="failed", why=why))
        for path in found:
            try:
                measures += read_measures(_bounded(path), path.name)
            except ReportInvalid as error:
                wrong.append(Judged(measure=path.name, what="measured", verdict="failed", why=str(error)))
    return [*wrong, *judge(measures, budget)]


def _bounded(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise invalid(path.name, f"it has {path.stat().st_size:,} bytes")
    return path.read_bytes()
