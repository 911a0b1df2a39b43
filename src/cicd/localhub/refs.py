"""Git refs. Making one is an atomic claim: of any number of callers exactly one gets 201, the others 422."""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec
import pygit2

from cicd.localhub.calls import Answer, Call, Json, Route, node_id
from cicd.localhub.history import SHA, all_refs, find_ref, open_git
from cicd.localhub.problems import Problem, not_found
from cicd.localhub.store import Db, Row, insert, one, tell

_ILLEGAL = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|[/.]$")
MAX_NAME = 255


class NewRef(msgspec.Struct, frozen=True):
    ref: str
    sha: str


class MovedRef(msgspec.Struct, frozen=True):
    sha: str
    force: bool = False


def _legal(name: str) -> bool:
    """git-check-ref-format's rules."""
    deep = name.startswith("refs/") and name.count("/") >= 2
    return deep and len(name) <= MAX_NAME and not _ILLEGAL.search(name)


def ref_json(call: Call, name: str, sha: str) -> Json:
    """GitHub's `git-ref`."""
    found = open_git(call.repo).get(sha)
    kind = found.type_str if found is not None else "commit"
    where = f"{call.repo_url}/git"
    return {
        "ref": name,
        "node_id": node_id("Ref", name),
        "url": f"{where}/{quote(name)}",
        "object": {"sha": sha, "type": kind, "url": f"{where}/{kind}s/{sha}"},
    }


def _full(call: Call) -> str:
    return f"refs/{call.params['ref']}"


def get_ref(call: Call) -> Answer:
    """GET git/ref/{ref}: exactly this one."""
    name = _full(call)
    sha = find_ref(call.db, call.repo, name)
    if sha is None:
        raise not_found()
    return Answer(200, ref_json(call, name, sha))


def list_matching_refs(call: Call) -> Answer:
    """GET git/matching-refs/{ref}: all that begin with it; none is an empty list."""
    prefix = _full(call)
    refs = all_refs(call.db, call.repo)
    return Answer(200, [ref_json(call, name, sha) for name, sha in refs.items() if name.startswith(prefix)])


def _demand_object(call: Call, sha: str) -> None:
    if not SHA.fullmatch(sha):
        raise Problem(422, "The sha parameter must be exactly 40 characters and contain only [0-9a-f].")
    if open_git(call.repo).get(sha) is None:
        raise Problem(422, "Object does not exist")


def create_ref(call: Call) -> Answer:
    """POST git/refs. Raises 422 for an existing ref, an illegal name, or an object that does not exist."""
    asked = call.read(NewRef)
    if not _legal(asked.ref):
        raise Problem(422, f"{asked.ref} is not a valid ref name.")
    _demand_object(call, asked.sha)
    if find_ref(call.db, call.repo, asked.ref) is not None:
        raise Problem(422, "Reference already exists")
    if clash := _clash(call, asked.ref):
        raise Problem(422, f"Reference cannot be created: {clash} is in the way")
    insert(call.db, "refs", repo_id=call.repo["id"], name=asked.ref, sha=asked.sha)
    tell(call.db, "ref.created", call.repo, ref=asked.ref, sha=asked.sha)
    made = Answer(201, ref_json(call, asked.ref, asked.sha))
    return made._replace(headers={"location": made.body["url"]})


def _clash(call: Call, name: str) -> str | None:
    """A ref that makes a folder of this one, or the other way round."""
    refs = all_refs(call.db, call.repo)
    return next((ref for ref in refs if ref.startswith(f"{name}/") or name.startswith(f"{ref}/")), None)


def move_ref(db: Db, repo: Row, name: str, sha: str) -> None:
    """Let an existing ref point elsewhere, in the place where it lives."""
    values = (sha, repo["id"], name)
    if db.execute("UPDATE refs SET sha = ? WHERE repo_id = ? AND name = ?", values).rowcount == 0:
        open_git(repo).references.create(name, sha, force=True)


def update_ref(call: Call) -> Answer:
    """PATCH git/refs/{ref}. Raises 422 when it is not there, or not a fast-forward and `force` is not set."""
    asked, name = call.read(MovedRef), _full(call)
    old = find_ref(call.db, call.repo, name)
    if old is None:
        raise Problem(422, "Reference does not exist")
    _demand_object(call, asked.sha)
    if not asked.force and not _descends(call, asked.sha, old):
        raise Problem(422, "Update is not a fast forward")
    move_ref(call.db, call.repo, name, asked.sha)
    tell(call.db, "ref.updated", call.repo, ref=name, sha=asked.sha)
    return Answer(200, ref_json(call, name, asked.sha))


def _descends(call: Call, new: str, old: str) -> bool:
    git = open_git(call.repo)
    try:
        return new == old or bool(git.descendant_of(new, old))
    except (KeyError, ValueError, pygit2.GitError):  # not commits
        return False


def delete_ref(call: Call) -> Answer:
    """DELETE git/refs/{ref}. Raises 422 when it is not there, or is the default branch."""
    name = _full(call)
    if find_ref(call.db, call.repo, name) is None:
        raise Problem(422, "Reference does not exist")
    if name == f"refs/heads/{call.repo['default_branch']}":
        raise Problem(422, "Cannot delete the default branch")
    if one(call.db, "SELECT 1 FROM refs WHERE repo_id = ? AND name = ?", call.repo["id"], name):
        call.db.execute("DELETE FROM refs WHERE repo_id = ? AND name = ?", (call.repo["id"], name))
    else:
        open_git(call.repo).references.delete(name)
    tell(call.db, "ref.deleted", call.repo, ref=name)
    return Answer(204)


_GIT = "/repos/{owner}/{repo}/git"
ROUTES = [
    Route("GET", _GIT + "/ref/{ref}", get_ref, "contents", rest="ref"),
    Route("GET", _GIT + "/matching-refs/{ref}", list_matching_refs, "contents", rest="ref"),
    Route("POST", _GIT + "/refs", create_ref, "contents"),
    Route("PATCH", _GIT + "/refs/{ref}", update_ref, "contents", rest="ref"),
    Route("DELETE", _GIT + "/refs/{ref}", delete_ref, "contents", rest="ref"),
]
