"""Reading (and for the git data API, writing) a real git repository with libgit2.

A repository is opened for each call: libgit2's objects are not to be shared between threads, and opening is cheap.
Refs made by the API live in LocalHub's database, so that a claim is atomic and the repository stays as its owner left
it; they are looked up before the repository's own.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pygit2

from cicd.localhub.problems import Problem
from cicd.localhub.store import Db, Row, many, one

pygit2.option(pygit2.enums.Option.SET_OWNER_VALIDATION, False)  # the admin has named the path; who owns it is no matter
SHA = re.compile(r"[0-9a-f]{40}")
SHORT_SHA = re.compile(r"[0-9a-f]{4,40}")
Git = pygit2.Repository


def open_git(repo: Row) -> Git:
    """The git repository behind a row. Raises 409 if it is gone, as GitHub does for an empty one."""
    try:
        return Git(repo["path"])
    except pygit2.GitError:
        raise Problem(409, "Git Repository is empty.") from None


def all_refs(db: Db, repo: Row) -> dict[str, str]:
    """Full names of all refs, sorted, to the sha that each points to."""
    git = open_git(repo)
    found = {}
    for name in git.references:
        if name.startswith("refs/") and not name.startswith("refs/remotes/"):
            found[name] = str(git.references[name].resolve().target)
    for row in many(db, "SELECT name, sha FROM refs WHERE repo_id = ?", repo["id"]):
        found[row["name"]] = row["sha"]
    return dict(sorted(found.items()))


def find_ref(db: Db, repo: Row, name: str) -> str | None:
    """The sha that the ref of this full name points to."""
    if "\0" in name:  # libgit2 would stop reading there
        return None
    row = one(db, "SELECT sha FROM refs WHERE repo_id = ? AND name = ?", repo["id"], name)
    if row:
        return str(row["sha"])
    try:
        found = open_git(repo).references.get(name)
    except ValueError:  # not a legal name
        return None
    return str(found.resolve().target) if found else None


def _target(db: Db, repo: Row, ref: str) -> str | None:
    candidates = [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/{ref}"]
    if ref == "HEAD":
        candidates = [f"refs/heads/{repo['default_branch']}"]
    return next((sha for name in candidates if (sha := find_ref(db, repo, name))), None)


def find_commit(db: Db, repo: Row, ref: str) -> pygit2.Commit | None:
    """The commit of a branch, a tag, a full ref or a sha (at least 4 digits)."""
    git = open_git(repo)
    sha = _target(db, repo, ref) or (ref if SHORT_SHA.fullmatch(ref) else None)
    if sha is None:
        return None
    try:
        found = git.get(sha) if len(sha) == 40 else git[sha]
        return found.peel(pygit2.Commit) if found is not None else None
    except (KeyError, ValueError, pygit2.GitError):
        return None


def branch_of(db: Db, repo: Row, ref: str) -> str | None:
    """The branch that a ref names, without refs/heads/."""
    name = ref.removeprefix("refs/heads/")
    return name if find_ref(db, repo, f"refs/heads/{name}") else None


def when(signature: pygit2.Signature) -> str:
    """A signature's time as GitHub writes it, in UTC."""
    zone = timezone(timedelta(minutes=signature.offset))
    return datetime.fromtimestamp(signature.time, zone).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def walk(git: Git, start: Any, hide: Any = None) -> list[pygit2.Commit]:
    """Commits that start can reach and hide cannot, newest first."""
    walker = git.walk(start, pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.TIME)
    if hide is not None:
        walker.hide(hide)
    return list(walker)


def blob_at(commit: pygit2.Commit, path: str) -> pygit2.Object | None:
    """What a commit has at a path: a blob, a tree, or None. A path never leaves the tree."""
    parts = path.strip("/")
    if not parts:
        return commit.tree
    if "\0" in parts or any(part in ("", ".", "..") for part in parts.split("/")):
        return None
    try:
        return commit.tree[parts]
    except (KeyError, ValueError):
        return None
