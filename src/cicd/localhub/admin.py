"""LocalHub's own API, for the one who runs it: repositories, users, tokens, runs, faults and what was called.

Every call needs the admin's token, which is not one of GitHub's tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import msgspec
import pygit2

from cicd.localhub.auth import BOT, RUN_PERMISSIONS, make_token
from cicd.localhub.calls import Answer, Call, Json, Route
from cicd.localhub.faults import Fault, list_faults, replace_faults
from cicd.localhub.history import find_commit
from cicd.localhub.problems import Problem, not_found
from cicd.localhub.repos import find_repo
from cicd.localhub.store import insert, many, now, one, update
from cicd.localhub.users import ensure_user


class NewRepo(msgspec.Struct, frozen=True):
    owner: str
    name: str
    path: str
    default_branch: str = "main"
    private: bool = False


class NewUser(msgspec.Struct, frozen=True):
    login: str
    name: str | None = None
    token: str | None = None
    access: Literal["none", "read", "write", "admin"] = "write"


class NewToken(msgspec.Struct, frozen=True):
    kind: Literal["user", "app"] = "app"
    login: str = ""
    repo: str = ""
    token: str | None = None
    permissions: dict[str, str] | None = None


class FaultList(msgspec.Struct, frozen=True):
    faults: list[Fault]


def create_repo(call: Call) -> Answer:
    """POST repos: register a git repository of this machine; the same name again moves it."""
    asked = call.read(NewRepo)
    if not asked.owner or not asked.name or "/" in asked.owner + asked.name:
        raise Problem(422, "A repository needs an owner and a name without slashes")
    try:
        pygit2.Repository(asked.path)
    except pygit2.GitError:
        raise Problem(422, f"{asked.path} is no git repository") from None
    ensure_user(call.db, asked.owner)
    values: Json = {key: getattr(asked, key) for key in ("default_branch", "private")}
    values["path"] = str(Path(asked.path).resolve())
    if found := find_repo(call.db, asked.owner, asked.name):
        return Answer(200, update(call.db, "repos", found["id"], **values))
    row = insert(call.db, "repos", owner=asked.owner, name=asked.name, created_at=now(), **values)
    return Answer(201, row)


def create_user(call: Call) -> Answer:
    """POST users: a person, with a token of theirs. The token is told only here."""
    asked = call.read(NewUser)
    user = ensure_user(call.db, asked.login, asked.name)
    update(call.db, "users", user["id"], access=asked.access)
    token = make_token(call.db, user_id=user["id"], kind="user", token=asked.token)
    return Answer(201, {"id": user["id"], "login": user["login"], "token": token})


def create_token(call: Call) -> Answer:
    """POST tokens: `user` of a login, or `app` of a repository with the permissions of a run's token."""
    asked = call.read(NewToken)
    owner, _, name = asked.repo.partition("/")
    repo = find_repo(call.db, owner, name) if asked.repo else None
    if asked.repo and repo is None:
        raise not_found()
    if (repo is None) if asked.kind == "app" else not asked.login:
        raise Problem(422, "An app token needs a repo, a user token a login")
    user_id = BOT if asked.kind == "app" else ensure_user(call.db, asked.login)["id"]
    default = RUN_PERMISSIONS if asked.kind == "app" else None
    permissions = default if asked.permissions is None else asked.permissions
    token = make_token(
        call.db,
        user_id=user_id,
        kind=asked.kind,
        token=asked.token,
        repo_id=repo["id"] if repo else None,
        permissions=permissions,
    )
    return Answer(201, {"token": token, "kind": asked.kind, "permissions": permissions})


def _body_of(rows: list[Json]) -> list[Json]:
    return [{key: row[key] for key in ("id", "kind", "method", "path", "skip", "times", *_FIGURES)} for row in rows]


_FIGURES = ("status", "retry_after", "seconds", "matched", "fired")


def get_faults(call: Call) -> Answer:
    """GET faults: the rules, with how often each matched and fired."""
    return Answer(200, {"faults": _body_of(list_faults(call.db))})


def put_faults(call: Call) -> Answer:
    """PUT faults {faults: [rule…]}: replaces all rules and sets their counts to zero."""
    replace_faults(call.db, call.read(FaultList).faults)
    return get_faults(call)


def delete_faults(call: Call) -> Answer:
    """DELETE faults."""
    replace_faults(call.db, [])
    return Answer(204)


def _number(call: Call, name: str, otherwise: int) -> int:
    text = call.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else otherwise


def get_calls(call: Call) -> Answer:
    """GET calls: of GitHub's API, oldest first; `run`, `after` (an id) and `limit` narrow it. No bodies are kept."""
    run, after, limit = _number(call, "run", 0), _number(call, "after", 0), _number(call, "limit", 1000)
    sql = """SELECT id, at, method, path, status, ms, run_id AS run, fault FROM calls
        WHERE id > ? AND (? = 0 OR run_id = ?) ORDER BY id LIMIT ?"""
    total = (
        "SELECT count(*) AS calls, coalesce(sum(fault IS NOT NULL), 0) AS faults FROM calls WHERE ? = 0 OR run_id = ?"
    )
    by_status = "SELECT status, count(*) AS calls FROM calls WHERE ? = 0 OR run_id = ? GROUP BY status"
    counts: Json = dict(one(call.db, total, run, run) or {})
    counts["by_status"] = {str(row["status"]): row["calls"] for row in many(call.db, by_status, run, run)}
    return Answer(200, {"counts": counts, "calls": many(call.db, sql, after, run, run, limit)})


def get_events(call: Call) -> Answer:
    """GET events: what happened, oldest first; `after` (an id) and `limit` narrow it."""
    sql = "SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?"
    rows = many(call.db, sql, _number(call, "after", 0), _number(call, "limit", 1000))
    shown: list[dict[str, Any]] = [{**row, "data": json.loads(row["data"])} for row in rows]
    return Answer(200, {"events": shown})


def demand_sha(call: Call, ref: str) -> str:
    """The sha of a ref. Raises 422."""
    commit = find_commit(call.db, call.repo, ref)
    if commit is None:
        raise Problem(422, f"No commit found for SHA: {ref}")
    return str(commit.id)


_ROOT = "/_localhub"
ROUTES = [
    Route("POST", _ROOT + "/repos", create_repo, "admin"),
    Route("POST", _ROOT + "/users", create_user, "admin"),
    Route("POST", _ROOT + "/tokens", create_token, "admin"),
    Route("GET", _ROOT + "/faults", get_faults, "admin"),
    Route("PUT", _ROOT + "/faults", put_faults, "admin"),
    Route("DELETE", _ROOT + "/faults", delete_faults, "admin"),
    Route("GET", _ROOT + "/calls", get_calls, "admin"),
    Route("GET", _ROOT + "/events", get_events, "admin"),
]
