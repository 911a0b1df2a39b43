"""Folders that outlive a step: made once, owned by us, and never by two steps at once."""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from cicd.adapters.runner import Runner


def environment_root(runner: Runner) -> Path:
    """Where environments are kept: $CICD_HOME, else $RUNNER_TEMP, else the user's cache, as bin/bootstrap has it."""
    for name in ("CICD_HOME", "RUNNER_TEMP"):
        if runner.env.get(name):
            return Path(runner.env[name])
    return Path(runner.env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cicd"


def private_folder(folder: Path) -> Path:
    """Make a folder that only we can enter; one that is there must be ours. Raises OSError.

    The temp folder of a terminal is everybody's: a name that can be guessed may have been taken by somebody else.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True, mode=0o700)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or not _is_ours(about):
        raise PermissionError(f"{folder} is not ours alone")
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file as a whole or not at all, readable by us alone."""
    partial = path.with_name(f"{path.name}.partial")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def _is_ours(about: os.stat_result) -> bool:
    """Whether nobody else can enter. Windows says nothing of that in a mode; its temp folder is the user's own."""
    return sys.platform == "win32" or (about.st_uid == os.geteuid() and not about.st_mode & 0o066)


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)


def programs(venv: Path) -> Path:
    """Where a venv has its programs."""
    return venv / ("Scripts" if sys.platform == "win32" else "bin")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; makes the folder if need be. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as handle:
        _lock(handle.fileno())
        yield
