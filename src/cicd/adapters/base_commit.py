"""The base of this checkout by git, what has changed since, and its files beside ours for a while."""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

import psutil

from cicd.adapters.process import output, run
from cicd.adapters.runner import Runner
from cicd.core.base_commit import FETCH, Base, wanted_base
from cicd.errors import CommandFailed

OURS = re.compile(r"cicd-base-(\d+)-\w+")
SUFFIX = re.compile(r"\.\w+")
MOST_PATHS = 500  # in one argv
# Nothing that a project or a user has set changes what a diff looks like, and no attribute hides a file from it.
DIFF = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--text", "--unified=0", "--inter-hunk-context=0")
SHAPE = ("--no-prefix", "--relative", "--find-renames", "--submodule=short")


def base_of(folder: Path, runner: Runner) -> Base:
    """What the checkout in a folder is held against."""
    wanted = wanted_base(runner.event, runner.env.get("GITHUB_BASE_REF", ""), _payload(runner))
    head = _commit(folder, "HEAD")
    if not head:
        return Base(why="this is no git repository with a commit", next_step="check the repository out", avoidable=True)
    found = next((name for name in wanted.names if _commit(folder, name)), "")
    if found:
        base = _git(folder, "merge-base", "--end-of-options", "HEAD", found)
        if base and not (base == head and wanted.or_parent):
            return Base(sha=base)
    parent = _commit(folder, "HEAD^1") if wanted.or_parent else ""
    if parent:
        return Base(sha=parent)
    if _git(folder, "rev-parse", "--is-shallow-repository") == "true":
        return Base(why="git has no commit before this one here", next_step=FETCH, avoidable=True)
    if wanted.or_parent:
        return Base(why="this is the first commit")
    names = ", ".join(wanted.names) or "the base of the pull request"
    return Base(why=f"git finds no commit that this one shares with {names}", next_step=FETCH, avoidable=True)


def _payload(runner: Runner) -> dict[str, Any]:
    """The event as GitHub tells it; nothing where there is none."""
    try:
        found = json.loads(Path(runner.env.get("GITHUB_EVENT_PATH") or os.devnull).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _commit(folder: Path, name: str) -> str:
    return _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")


def _git(folder: Path, *argv: str) -> str:
    """What git says, or nothing where it ends with an error."""
    done = run(["git", "-C", str(folder), *argv], check=False)
    return "" if done.code else done.output.strip()


def diff_since(folder: Path, sha: str, files: Iterable[str]) -> str:
    """What has changed in a folder since a commit, in files of these kinds, as they lie here: so they were measured.

    Raises:
        CommandFailed.
    """
    paths = set()
    for file in files:
        suffix = PurePath(file).suffix
        paths.add(f"*{suffix}" if SUFFIX.fullmatch(suffix) else f":(literal){file}")
    if not paths:
        return ""
    chosen = sorted(paths) if len(paths) <= MOST_PATHS else ["."]
    said = output(["git", "-c", "core.quotePath=false", "-C", str(folder), *DIFF, *SHAPE, sha, "--", *chosen])
    return said.decode("utf-8", "surrogateescape")


def lengths_of(folder: Path, files: Iterable[str]) -> dict[str, int | None]:
    """File → how many lines it has; None: it is not there."""
    found: dict[str, int | None] = {}
    for file in files:
        try:
            found[file] = len((folder / file).read_bytes().splitlines())
        except (OSError, ValueError):
            found[file] = None
    return found


@contextlib.contextmanager
def checked_out(folder: Path, sha: str, below: Path) -> Iterator[Path]:
    """The same folder at a commit, in a work tree of its own that is gone afterwards.

    What a run left here that was killed is removed first.

    Raises:
        CommandFailed: git cannot.
    """
    git = ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(folder), "worktree"]
    _remove_left(git)
    inside = _git(folder, "rev-parse", "--show-prefix")
    below.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f"cicd-base-{os.getpid()}-", dir=below)).resolve()
    try:
        run([*git, "add", "--quiet", "--detach", "--force", str(place), sha])
        if not (place / inside).is_dir():
            raise CommandFailed(f"The base {sha[:12]} has no folder `{inside}`", next_step="compare from the next on")
        yield place / inside
    finally:
        _remove(git, place)


def _remove(git: list[str], place: Path) -> None:
    run([*git, "remove", "--force", "--force", str(place)], check=False)
    shutil.rmtree(place, ignore_errors=True)
    run([*git, "prune"], check=False)


def _remove_left(git: list[str]) -> None:
    """Work trees of runs that are no more."""
    for line in run([*git, "list", "--porcelain"], check=False).output.splitlines():
        place = Path(line.removeprefix("worktree "))
        found = OURS.fullmatch(place.name)
        if line.startswith("worktree ") and found and not psutil.pid_exists(int(found[1])):
            _remove(git, place)
