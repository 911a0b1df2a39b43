"""Machines of the lab: processes apart in namespaces of their own, on this machine's files.

Each has a first process, ended with the lab's; when that ends, the kernel ends everything in it.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PATIENCE = 60.0  # seconds; an engine starts in one, but machines are shared

# What is written to the open file is seen outside even when the setup hides the folder that the file is in.
FIRST = """set -e
exec 9>"$0"
hostname "$1"
shift
grep -q ' - cgroup' /proc/self/mountinfo || cgroupfs-mount
"$@"
echo ready >&9
exec 9>&-
while :; do
  sleep 3600 &
  wait
done
"""


class Unavailable(Exception):
    """No engine can run here; the message says why."""


@dataclass
class Machine:
    """Namespaces of processes, mounts and names, and what runs in them.

    Attributes:
        folder: all that it has; short, for a socket's path has 107 characters at most.
        name: host name.
        alone: whether it has a network of its own, too.
        first: pid, on this machine, of its first process.
    """

    folder: Path
    name: str
    alone: bool = False
    first: int = 0
    _holder: subprocess.Popen[bytes] | None = None
    _launched: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, setup: Sequence[str] = ("true",)) -> None:
        """Make it; `setup` runs in it first. Only in the main thread: it ends with the thread that started it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ready, log = self.folder / "ready", self.folder / "first.log"
        unshare = ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]
        argv = ["setpriv", "--pdeathsig", "KILL", *unshare, *(["--net"] if self.alone else [])]
        with log.open("wb") as file:
            self._holder = subprocess.Popen(
                [*argv, "sh", "-c", FIRST, str(ready), self.name, *setup],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        holder = self._holder
        wait_for(lambda: ready.exists() and ready.stat().st_size > 0, lambda: holder.poll() is not None, log)
        self.first = psutil.Process(holder.pid).children()[0].pid

    def enter(self, *argv: str) -> list[str]:
        """The command that runs another one in it."""
        network = ["--net"] if self.alone else []
        return ["nsenter", f"--target={self.first}", "--mount", "--pid", "--uts", *network, "--wd=/", "--", *argv]

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a program in it; what it says."""
        done = subprocess.run(self.enter(*argv), capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{shlex.join(argv)} on {self.name} ends with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def launch(self, log: Path, *argv: str) -> subprocess.Popen[bytes]:
        """Start a program in it that stays; the process that waits for its end."""
        with log.open("ab") as file:
            started = subprocess.Popen(self.enter(*argv), stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self._launched.append(started)
        return started

    def end(self) -> None:
        """End everything in it."""
        if not self._holder:
            return
        if self.first and self._holder.poll() is None:
            os.kill(self.first, signal.SIGKILL)  # the holder's child, so its pid is nobody else's until the holder ends
        else:
            self._holder.kill()
        for process in (self._holder, *self._launched):
            process.wait()
        self._holder = None


def wait_for(done: Callable[[], bool], failed: Callable[[], bool], log: Path) -> None:
    """Wait until it is so. Raises Unavailable, with the end of the log, if it never will be."""
    end = time.monotonic() + PATIENCE
    while not done():
        if failed() or time.monotonic() > end:
            said = log.read_text(errors="replace").strip().splitlines()
            raise Unavailable(f"{log} ends with: {said[-1][-500:] if said else 'nothing'}")
        time.sleep(0.05)
