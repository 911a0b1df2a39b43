"""Commands of cicd as a job starts them: to their end, or until they are killed at a point."""

import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

from tests.world import ENTRY

CHILD = Path(__file__).with_name("child.py")


class Commands(ABC):
    """Where commands are started, and with what."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """For what is noted on the way."""

    @property
    @abstractmethod
    def repository(self) -> Path:
        """The checkout."""

    @abstractmethod
    def job(self) -> dict[str, str]:
        """The variables of a new job."""

    def run(self, arguments: list[str], **env: str) -> str:
        """A command that nobody kills; gives what it said when it failed, else nothing."""
        argv = [sys.executable, "-I", str(ENTRY), *arguments, "--json"]
        given = {**self.job(), **env}
        done = subprocess.run(
            argv, env=given, cwd=self.repository, capture_output=True, text=True, timeout=120, check=False
        )
        return f"{arguments[0]} ended with {done.returncode}: {done.stdout[-1500:]}" if done.returncode else ""

    def child(self, mode: str, where: str, arguments: list[str]) -> int:
        """A command under points; gives its exit code, -9 if it was killed."""
        argv = [sys.executable, "-I", str(CHILD), mode, where, "--", *arguments]
        said = subprocess.DEVNULL
        return subprocess.run(argv, env=self.job(), cwd=self.repository, stdout=said, stderr=said).returncode

    def points(self, arguments: list[str]) -> list[str]:
        """All points of a command, by carrying it out."""
        file = self.folder / f"points-{time.monotonic_ns()}"
        assert self.child("list", str(file), arguments) == 0
        return list(dict.fromkeys(file.read_text().splitlines()))

    def kill(self, point: str, arguments: list[str]) -> bool:
        """Kill a command at a point; whether it got there."""
        return self.child("kill", point, arguments) == -9
