"""Git trees: the folders of a commit, read and made."""

from __future__ import annotations

from typing import Literal

import msgspec
import pygit2

from cicd.localhub.calls import Answer, Call, Json, Route
from cicd.localhub.history import find_commit, open_git
from cicd.localhub.objects import find_object
from cicd.localhub.problems import Problem, not_found


class Entry(msgspec.Struct, frozen=True):
    path: str
    mode: Literal["100644", "100755", "040000", "160000", "120000"] = "100644"
    type: Literal["blob", "tree", "commit"] = "blob"
    sha: str | None = None
    content: str | None = None


class NewTree(msgspec.Struct, frozen=True):
    tree: list[Entry]
    base_tree: str | None = None


def _tree_json(call: Call, tree: pygit2.Tree, deep: bool) -> Json:
    entries: list[Json] = []
    todo = [("", tree)]
    while todo:
        prefix, folder = todo.pop(0)
        for entry in folder:
            path, kind = f"{prefix}{entry.name}", entry.type_str
            where = f"{call.repo_url}/git/{kind}s/{entry.id}"
            mode = f"{entry.filemode:06o}"
            size = {"size": entry.size} if isinstance(entry, pygit2.Blob) else {}
            entries.append({"path": path, "mode": mode, "type": kind, "sha": str(entry.id), **size, "url": where})
            if deep and isinstance(entry, pygit2.Tree):
                todo.append((f"{path}/", entry))
    url = f"{call.repo_url}/git/trees/{tree.id}"
    return {"sha": str(tree.id), "url": url, "tree": entries, "truncated": False}


def get_tree(call: Call) -> Answer:
    """GET git/trees/{tree_sha}: of a tree, a commit or a ref; with `recursive` the folders below too."""
    name = call.params["tree_sha"]
    found = find_object(call, name, pygit2.Tree)
    if found is None and (commit := find_commit(call.db, call.repo, name)):
        found = commit.tree
    if not isinstance(found, pygit2.Tree):
        raise not_found()
    return Answer(200, _tree_json(call, found, "recursive" in call.query))


def create_tree(call: Call) -> Answer:
    """POST git/trees: on top of `base_tree`; an entry whose sha is null takes its path away."""
    asked, git = call.read(NewTree), open_git(call.repo)
    index = pygit2.Index()
    if asked.base_tree:
        base = find_commit(call.db, call.repo, asked.base_tree)
        found = base.tree if base else find_object(call, asked.base_tree, pygit2.Tree)
        if not isinstance(found, pygit2.Tree):
            raise Problem(422, "base_tree is not a valid tree oid")
        index.read_tree(found)
    for entry in asked.tree:
        _apply(call, git, index, entry)
    tree = git[index.write_tree(git)]
    assert isinstance(tree, pygit2.Tree)
    return Answer(201, _tree_json(call, tree, False))


def _apply(call: Call, git: pygit2.Repository, index: pygit2.Index, entry: Entry) -> None:
    if not entry.path or any(part in ("", ".", "..", ".git") for part in entry.path.split("/")):
        raise Problem(422, "tree.path contains a malformed path component")
    if entry.content is None and entry.sha is None:
        if entry.path in index:
            index.remove(entry.path)
        return
    if entry.type != "blob":
        raise Problem(422, "LocalHub makes trees of blobs; name the files below a folder by their paths")
    sha = str(git.create_blob(entry.content.encode())) if entry.content is not None else str(entry.sha)
    if find_object(call, sha, pygit2.Blob) is None:
        raise Problem(422, f"tree.sha {sha} is not a valid blob")
    index.add(pygit2.IndexEntry(entry.path, pygit2.Oid(hex=sha), pygit2.enums.FileMode(int(entry.mode, 8))))


_GIT = "/repos/{owner}/{repo}/git"
ROUTES = [
    Route("POST", _GIT + "/trees", create_tree, "contents"),
    Route("GET", _GIT + "/trees/{tree_sha}", get_tree, "contents"),
]
