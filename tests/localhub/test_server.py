"""LocalHub as a process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.localhub.hub import Caller, R, populate

SRC = Path(__file__).parents[2] / "src"


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "cicd.localhub", "--db", str(folder / "hub.sqlite"), "--ready-file", str(ready)]
    command += ["--admin-token-file", str(folder / "admin"), *arguments]
    environment = {"PYTHONPATH": str(SRC), "PATH": os.environ["PATH"]}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as started:
        try:
            yield started, ready
        finally:
            started.kill()


def wait_for(ready: Path) -> Any:
    deadline = time.monotonic() + 20
    while not ready.exists():
        assert time.monotonic() < deadline, "LocalHub did not start"
        time.sleep(0.01)
    return json.loads(ready.read_text())


def test_starts_answers_stops_and_keeps_everything(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    number = 0
    for turn in range(2):
        with process(tmp_path) as (started, ready):
            told = wait_for(ready)
            assert told["pid"] == started.pid
            admin = (tmp_path / "admin").read_text().strip()
            assert (tmp_path / "admin").stat().st_mode & 0o077 == 0
            caller = Caller(told["url"], admin)
            if turn == 0:
                alice = populate(told["url"], repo, admin).alice
                number = alice.post(f"{R}/issues", {"title": "kept"})["number"]
                token = alice.token
            assert Caller(told["url"], token).get(f"{R}/issues/{number}")["title"] == "kept"
            assert caller.call("GET", "/_localhub/calls").status == 200
            started.send_signal(signal.SIGTERM)
            out, err = started.communicate(timeout=10)
            assert (started.returncode, err) == (0, "")
            assert told["url"] in out
            assert not ready.exists()


def test_port_in_use(tmp_path: Path) -> None:
    with process(tmp_path) as (_, ready):
        port = wait_for(ready)["url"].rpartition(":")[2]
        other = tmp_path / "other"
        other.mkdir()
        with process(other, "--port", port) as (second, _):
            _, err = second.communicate(timeout=10)
            assert second.returncode == 2
            assert f"Cannot listen on 127.0.0.1:{port}" in err
            assert "--port 0" in err


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "hub.sqlite").write_text("these are no tables, and far too short to be " * 40)
    with process(tmp_path) as (started, ready):
        _, err = started.communicate(timeout=10)
        assert started.returncode == 1
        assert "Give another --db" in err
        assert not ready.exists()


def test_help_teaches() -> None:
    command = [sys.executable, "-m", "cicd.localhub", "--help"]
    shown = subprocess.run(command, env={"PYTHONPATH": str(SRC)}, check=True, capture_output=True, text=True).stdout
    for word in ("_localhub/repos", "GITHUB_API_URL", "--ready-file", "board"):
        assert word in shown
