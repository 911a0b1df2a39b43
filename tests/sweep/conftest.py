"""Counts the points of all sweeps of a run, and says so at its end."""

from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    counts: dict[str, int] = {}
    for name, value in (pair for report in reports for pair in report.user_properties):
        if name.startswith("sweep: "):
            counts[name] = counts.get(name, 0) + value
    for name, value in sorted(counts.items()):
        terminalreporter.write_line(f"{name} {value}")


@pytest.fixture
def tell(record_property: Any) -> Any:
    """`tell("kill points survived", 7)` adds to a count that the whole run says at its end."""
    return lambda name, value: record_property(f"sweep: {name}", value)
