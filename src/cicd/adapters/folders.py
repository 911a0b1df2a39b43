"""Folders that outlive a step: made once, owned by us, and never by two steps at once."""

import contextlib
import fcntl
import os
import stat
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
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o066:
        raise PermissionError(f"{folder} is not ours alone")
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file as a whole or not at all, readable by us alone."""
    partial = path.with_name(f"{path.name}.partial")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; makes the folder if need be. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
