"""Files and folders of a commit."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pygit2

from cicd.localhub.calls import Answer, Call, Json, Route
from cicd.localhub.history import blob_at, find_commit
from cicd.localhub.problems import Problem, not_found

MAX_SIZE = 1 << 20  # bytes; larger files come without their content, as on GitHub
_TYPES = {"blob": "file", "tree": "dir", "commit": "submodule"}


def _entry(call: Call, ref: str, path: str, found: Any) -> Json:
    """What a folder's list says of one of its entries."""
    kind = found.type_str
    symlink = kind == "blob" and found.filemode == pygit2.enums.FileMode.LINK
    url = f"{call.repo_url}/contents/{quote(path)}?ref={quote(ref)}"
    git_url = f"{call.repo_url}/git/{kind}s/{found.id}"
    html_url = f"{call.html_url}/blob/{quote(ref)}/{quote(path)}"
    return {
        "type": "symlink" if symlink else _TYPES[kind],
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": str(found.id),
        "size": found.size if kind == "blob" else 0,
        "url": url,
        "git_url": git_url,
        "html_url": html_url,
        "download_url": f"{call.html_url}/raw/{quote(ref)}/{quote(path)}" if kind == "blob" else None,
        "_links": {"self": url, "git": git_url, "html": html_url},
    }


def _file(call: Call, ref: str, path: str, blob: Any) -> Json:
    large = blob.size > MAX_SIZE
    content = "" if large else base64.encodebytes(blob.data).decode()
    more = {"type": "file", "encoding": "none" if large else "base64", "content": content}
    return {**_entry(call, ref, path, blob), **more}


def get_contents(call: Call) -> Answer:
    """GET contents/{path}: a file with its content, or a folder's list. `ref` defaults to the default branch."""
    ref = call.query.get("ref") or call.repo["default_branch"]
    commit = find_commit(call.db, call.repo, ref)
    if commit is None:
        raise Problem(404, f"No commit found for the ref {ref}")
    path = call.params.get("path", "").strip("/")
    found = blob_at(commit, path)
    if found is None:
        raise not_found()
    if isinstance(found, pygit2.Tree):
        inside = [(f"{path}/{entry.name}" if path else str(entry.name), entry) for entry in found]
        return Answer(200, [_entry(call, ref, name, entry) for name, entry in inside])
    return Answer(200, _file(call, ref, path, found))


ROUTES = [Route("GET", "/repos/{owner}/{repo}/contents/{path}", get_contents, "contents", rest="path")]
