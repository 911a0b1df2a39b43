"""Git's objects by the git data API: blobs, commits and annotated tags, in the real repository."""

from __future__ import annotations

import base64
import binascii
import re
import time
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec
import pygit2

from cicd.localhub.calls import Answer, Call, Json, Route, node_id
from cicd.localhub.commits import UNSIGNED, commit_json, person
from cicd.localhub.history import SHA, open_git
from cicd.localhub.merging import signature
from cicd.localhub.problems import Problem, invalid, not_found
from cicd.localhub.users import user_row


class Person(msgspec.Struct, frozen=True):
    name: str
    email: str
    date: datetime | None = None


class NewBlob(msgspec.Struct, frozen=True):
    content: str
    encoding: Literal["utf-8", "base64"] = "utf-8"


class NewCommit(msgspec.Struct, frozen=True):
    message: str
    tree: str
    parents: list[str] = []
    author: Person | None = None
    committer: Person | None = None


class NewTag(msgspec.Struct, frozen=True):
    tag: str
    message: str
    object: str
    type: Literal["commit", "tree", "blob"]
    tagger: Person | None = None


T = TypeVar("T")
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git and GitHub know it in every repository; libgit2 does not


def find_object(call: Call, sha: str, kind: type[T]) -> T | None:
    """The object with this full sha, if it is of the kind."""
    git = open_git(call.repo)
    if sha == EMPTY_TREE:
        git.TreeBuilder().write()
    found: Any = git.get(sha) if SHA.fullmatch(sha) else None
    return found if isinstance(found, kind) else None


def _demand(call: Call, sha: str, kind: type[T]) -> T:
    found = find_object(call, sha, kind)
    if found is None:
        raise not_found()
    return found


def _sign(call: Call, given: Person | None) -> pygit2.Signature:
    if given is None:
        return signature(user_row(call.db, call.user_id))
    at = int(given.date.timestamp()) if given.date else int(time.time())
    try:
        return pygit2.Signature(given.name, given.email, at, 0)
    except (ValueError, pygit2.GitError):
        raise invalid("Commit", "author", "name and email must not be empty") from None


def get_blob(call: Call) -> Answer:
    """GET git/blobs/{file_sha}."""
    blob = _demand(call, call.params["file_sha"], pygit2.Blob)
    url = f"{call.repo_url}/git/blobs/{blob.id}"
    data = base64.encodebytes(blob.data).decode()
    more = {"url": url, "node_id": node_id("Blob", str(blob.id)), "size": blob.size}
    return Answer(200, {"sha": str(blob.id), "content": data, "encoding": "base64", **more})


def create_blob(call: Call) -> Answer:
    """POST git/blobs."""
    asked = call.read(NewBlob)
    try:
        data = base64.b64decode(asked.content) if asked.encoding == "base64" else asked.content.encode()
    except (binascii.Error, ValueError):
        raise Problem(422, "content is not valid Base64") from None
    sha = str(open_git(call.repo).create_blob(data))
    return Answer(201, {"sha": sha, "url": f"{call.repo_url}/git/blobs/{sha}"})


def _commit_json(call: Call, commit: pygit2.Commit) -> Json:
    whole = commit_json(call, commit)
    inner = whole["commit"]
    same = {key: whole[key] for key in ("sha", "node_id", "html_url")}
    parents = [{**parent, "url": f"{call.repo_url}/git/commits/{parent['sha']}"} for parent in whole["parents"]]
    return {
        **same,
        "url": inner["url"],
        **{key: inner[key] for key in ("author", "committer", "message", "tree", "verification")},
        "parents": parents,
    }


def get_git_commit(call: Call) -> Answer:
    """GET git/commits/{commit_sha}."""
    commit = _demand(call, call.params["commit_sha"], pygit2.Commit)
    return Answer(200, _commit_json(call, commit))


def create_git_commit(call: Call) -> Answer:
    """POST git/commits: no ref moves."""
    asked, git = call.read(NewCommit), open_git(call.repo)
    if find_object(call, asked.tree, pygit2.Tree) is None:
        raise Problem(422, "Tree SHA does not exist")
    if any(find_object(call, parent, pygit2.Commit) is None for parent in asked.parents):
        raise Problem(422, "Parent SHA does not exist or is not a commit object")
    author = _sign(call, asked.author)
    committer = _sign(call, asked.committer) if asked.committer else author
    sha = git.create_commit(None, author, committer, asked.message, asked.tree, list(asked.parents))
    commit = git[sha]
    assert isinstance(commit, pygit2.Commit)
    return Answer(201, _commit_json(call, commit))


def _tag_json(call: Call, tag: pygit2.Tag) -> Json:
    target = open_git(call.repo)[tag.target]
    where = f"{call.repo_url}/git"
    return {
        "node_id": node_id("Tag", str(tag.id)),
        "tag": tag.name,
        "sha": str(tag.id),
        "url": f"{where}/tags/{tag.id}",
        "message": tag.message.rstrip("\n"),
        "tagger": person(tag.tagger),
        "object": {
            "type": target.type_str,
            "sha": str(target.id),
            "url": f"{where}/{target.type_str}s/{target.id}",
        },
        "verification": UNSIGNED,
    }


def get_tag(call: Call) -> Answer:
    """GET git/tags/{tag_sha}: an annotated tag."""
    tag = _demand(call, call.params["tag_sha"], pygit2.Tag)
    return Answer(200, _tag_json(call, tag))


def create_tag(call: Call) -> Answer:
    """POST git/tags: an annotated tag object; the ref to it is made by itself. Raises 422 for an unknown object."""
    asked, git = call.read(NewTag), open_git(call.repo)
    kinds: dict[str, type[Any]] = {"commit": pygit2.Commit, "tree": pygit2.Tree, "blob": pygit2.Blob}
    if find_object(call, asked.object, kinds[asked.type]) is None:
        raise Problem(422, f"{asked.object} is not a valid {asked.type}")
    if not re.fullmatch(r"[^\x00-\x20\x7f~^:?*\[\\]+", asked.tag):
        raise Problem(422, "tag is not a well-formed tag name")
    by = _sign(call, asked.tagger)
    head = f"object {asked.object}\ntype {asked.type}\ntag {asked.tag}\n"
    text = f"{head}tagger {by.name} <{by.email}> {by.time} +0000\n\n{asked.message}\n"
    tag = git[git.write(pygit2.enums.ObjectType.TAG, text.encode())]
    assert isinstance(tag, pygit2.Tag)
    return Answer(201, _tag_json(call, tag))


_GIT = "/repos/{owner}/{repo}/git"
ROUTES = [
    Route("POST", _GIT + "/blobs", create_blob, "contents"),
    Route("GET", _GIT + "/blobs/{file_sha}", get_blob, "contents"),
    Route("POST", _GIT + "/commits", create_git_commit, "contents"),
    Route("GET", _GIT + "/commits/{commit_sha}", get_git_commit, "contents"),
    Route("POST", _GIT + "/tags", create_tag, "contents"),
    Route("GET", _GIT + "/tags/{tag_sha}", get_tag, "contents"),
]
