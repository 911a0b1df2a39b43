"""What a suite's command does to the machine besides its tests, with real processes."""

import contextlib
import os
import sys
from pathlib import Path

import psutil
import pytest

from cicd.adapters import process
from cicd.adapters.suite_run import MARK
from cicd.commands.run_suite import run_suite
from cicd.contract import RunSuite
from cicd.core.results import Result
from cicd.errors import CicdError, ToolMissing, UsageError
from tests.fakes import runner

pytestmark = pytest.mark.real
GREEN = "open('r.xml', 'w').write('<testsuite><testcase name=\"a\"/></testsuite>')\n"
DAEMON = """import os, time
if os.fork() == 0:
    os.close(1); os.close(2)
    time.sleep(300)
"""
SESSION = """import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    open('up', 'w').close()
    time.sleep(300)
while not os.path.exists('up'):
    time.sleep(0.01)
"""


def ran(folder: Path, script: str, **inputs: str) -> tuple[Result, str]:
    (folder / "suite.py").write_text(script)
    here = runner({"PATH": os.environ["PATH"], "RUNNER_TEMP": str(folder / "temp")})
    given = {"run": f"{sys.executable} suite.py", "junit": "r.xml", **inputs}
    result = run_suite(RunSuite(working_directory=str(folder), **given), here, process.run)
    return result, here.stream.getvalue()  # type: ignore[attr-defined]


def left(folder: Path) -> list[int]:
    """Processes of a suite in this folder: other tests run at the same time."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if MARK in one.environ() and "suite.py" in one.cmdline() and Path(one.cwd()).is_relative_to(folder):
                found.append(one.pid)
    return found


@pytest.mark.parametrize("script", [GREEN + DAEMON, GREEN + SESSION])
def test_what_a_green_suite_leaves_running_is_ended_and_said(tmp_path: Path, script: str) -> None:
    result, said = ran(tmp_path, script)
    assert result.exit_code == 0
    assert "Ended what the command had left running: 1 process\n" in said
    assert left(tmp_path) == []


def test_what_a_suite_leaves_after_its_time_is_ended(tmp_path: Path) -> None:
    result, said = ran(tmp_path, GREEN + SESSION + "time.sleep(300)", timeout="0.02")
    assert result.reason_code == "tests-failed"
    assert "Ended what the command had left running: 1 process\n" in said
    assert left(tmp_path) == []


def test_a_suite_that_leaves_nothing_is_told_nothing(tmp_path: Path) -> None:
    result, said = ran(tmp_path, GREEN)
    assert result.exit_code == 0
    assert "left running" not in said


@pytest.mark.parametrize("file", ["a/" * 3000, "a" * 300, "a&#10;b"])
def test_a_report_with_a_file_that_cannot_be(tmp_path: Path, file: str) -> None:
    report = f"<testsuite><testcase name='a' file='{file}' line='1'><failure>x</failure></testcase></testsuite>"
    result, _ = ran(tmp_path, f"open('r.xml', 'w').write({report!r})")
    assert result.reason_code == "tests-failed"


@pytest.mark.parametrize(
    ("temp", "run", "error"),
    [("/proc/nope", "true", UsageError), ("", "./no-shebang", ToolMissing), ("", "true " + "x" * 200_000, ToolMissing)],
)
def test_what_cannot_be_run_is_said(tmp_path: Path, temp: str, run: str, error: type[CicdError]) -> None:
    (tmp_path / "no-shebang").write_bytes(b"\0\1\2")
    (tmp_path / "no-shebang").chmod(0o755)
    here = runner({"PATH": os.environ["PATH"], "RUNNER_TEMP": temp or str(tmp_path / "temp")})
    with pytest.raises(error):
        run_suite(RunSuite(working_directory=str(tmp_path), run=run), here, process.run)
