"""A cancelled or hanging suite: its processes are ended, what had ended is said, and the verdict is red."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.real
ENTRY = Path(__file__).resolve().parents[2] / "src" / "cicd" / "__main__.py"
TESTS = """
import pathlib, subprocess, sys, time

def test_quick():
    pass

def test_hangs():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    pathlib.Path("pid").write_text(str(child.pid))
    time.sleep(300)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def begin(project: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-I", str(ENTRY), "run-suite", "--run", f"{sys.executable} -m pytest -q", "--json"]
    return subprocess.Popen(
        [*command, *options],
        cwd=project,
        env={"PATH": os.environ["PATH"], "RUNNER_TEMP": str(project / "temp"), "HOME": str(project)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def grandchild(project: Path) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (project / "pid").exists() and (text := (project / "pid").read_text()):
            return int(text)
        time.sleep(0.05)
    raise AssertionError("the test did not start")


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_suite(project: Path, number: signal.Signals) -> None:
    child = begin(project)
    pid = grandchild(project)
    began = time.monotonic()
    child.send_signal(number)
    time.sleep(0.1)
    child.send_signal(signal.SIGTERM)  # the second one must not disturb the cleaning up
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 72
    assert time.monotonic() - began < 10
    assert ended(pid)
    result = json.loads(said)
    assert (result["decision"], result["reason_code"]) == ("failed", "interrupted")
    assert result["outputs"]["tests"] in ("1", "2")
    assert Path(result["outputs"]["junit"]).exists()


def test_a_suite_that_hangs(project: Path) -> None:
    child = begin(project, "--timeout", "0.05")
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 60
    assert ended(grandchild(project))
    assert "was ended after its 0.05 minutes" in json.loads(said)["message"]
