"""What a plan is made of: the history of earlier runs, and what git says of the checkout."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from cicd.adapters.bounded_file import read_bounded
from cicd.adapters.process import output, run
from cicd.core.history import LARGEST, History, read_history
from cicd.errors import CommandFailed, UsageError

FILE = "history.json"


def load(folder: Path | None) -> tuple[History, str]:
    """The history in a folder, and why it is empty if it cannot be read."""
    if folder is None:
        return History(), ""
    try:
        found = read_history(read_bounded(folder / FILE, LARGEST))
    except FileNotFoundError:
        return History(), ""
    except OSError as error:
        return History(), f"The history cannot be read: {error}"
    return (History(), f"The history is damaged, and begins anew: {found}") if isinstance(found, str) else (found, "")


def save(folder: Path, history: History) -> None:
    """Write the history, whole or not at all. Raises UsageError."""
    new = folder / f"{FILE}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new.write_bytes(msgspec.json.encode(history))
        os.replace(new, folder / FILE)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise UsageError(f"The history cannot be kept: {error}", next_step="give a folder of the job's own") from error


def tracked(folder: Path) -> list[str]:
    """The files below a folder that git has; those that there are, without git.

    A name that is no UTF-8 is written as the pytest plugin does, so that it fits into a plan.
    """
    try:
        said = output(["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    except CommandFailed:
        return sorted(_clean(name) for name in _walked(folder))
    return sorted(_clean(name) for name in said.decode("utf-8", "surrogateescape").split("\0") if name)


def _clean(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _walked(folder: Path) -> Iterator[str]:
    """Files below a folder; none of environments, caches and what is hidden, but for .github."""
    for place, folders, names in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if (not name.startswith(".") or name == ".github")
            and name not in ("node_modules", "__pycache__")
            and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
        ]
        yield from (str((Path(place) / name).relative_to(folder)) for name in names)


def trees(folder: Path, paths: Sequence[str]) -> dict[str, str] | str:
    """Path → digest of what the commit has there, or why that does not tell what is tested.

    Args:
        paths: below the folder; none: all of the folder.
    """
    dirty = run(["git", "-C", str(folder), "status", "--porcelain", "--", *(paths or ["."])], check=False)
    if dirty.code:
        return "this is no git repository"
    if dirty.output.strip():
        return "something is changed and not committed"
    found = {}
    for path in paths or ["."]:
        done = run(["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", f"HEAD:./{path}"], check=False)
        if done.code and path == ".":
            done = run(["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "HEAD^{tree}"], check=False)
        if done.code:
            return f"the commit has no `{path[:60]}`"
        found[path] = done.output.strip()
    return found
