"""Unit tests start no program and reach no server: what does is marked `real`, `docker`, or is in tests/localhub."""

import os
import socket
import subprocess
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # how long an example takes says nothing: machines are shared
settings.load_profile("patient")

for name in [one for one in os.environ if one.startswith(("GITHUB_", "RUNNER_", "ACTIONS_", "INPUT_"))]:
    del os.environ[name]  # of the job that runs the tests: what they start is not in it

FREE = ("real", "slow", "docker")


@pytest.fixture(autouse=True)
def guard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program or a connection in an unmarked test is an error that says so."""
    if any(request.node.get_closest_marker(mark) for mark in FREE) or "localhub" in request.path.parts:
        return

    def refuse(what: str) -> Any:
        def refused(_: object, *arguments: object, **__: object) -> None:
            raise AssertionError(f"a unit test {what} {arguments[:1]}; use a fake, or mark the test `real`")

        return refused

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse("starts"))
    monkeypatch.setattr(subprocess.Popen, "__del__", lambda _: None)
    monkeypatch.setattr(socket.socket, "connect", refuse("connects to"))
    monkeypatch.setattr(socket.socket, "connect_ex", refuse("connects to"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many points of sweeps were tried in the whole run."""
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
