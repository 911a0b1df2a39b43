"""Ends a job's servers when the job ends: `python -I watcher.py FOLDER PID`, one per job.

The job has ended when process PID is gone, when FOLDER is gone (runners remove their temp folder after each job, and
one runner may run many), or when SIGTERM says so.
"""

import contextlib
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

source = str(Path(__file__).resolve().parents[3])
if source not in sys.path:
    sys.path.insert(0, source)

import psutil  # noqa: E402

from cicd.adapters.services.job import State, end, read_state  # noqa: E402

INTERVAL = 0.3  # seconds


def main(folder: Path, owner: int) -> None:
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for what runs in the foreground
    state, lives = State(), watch(owner)
    while not told and lives() and (seen := read_state(folder)):
        state = seen
        time.sleep(INTERVAL)
    end(folder, read_state(folder) or state)  # it may have grown since


def watch(pid: int) -> Callable[[], bool]:
    """Tells whether the process still lives, and not another one with its id. 0 lives for ever."""
    if pid == 0:
        return lambda: True
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return lambda: False

    def lives() -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return False

    return lives


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
