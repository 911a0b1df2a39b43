"""The contexts of a commit: its newest statuses and check runs, and whether they let it be deployed."""

from __future__ import annotations

from typing import NamedTuple

from cicd.localhub.calls import Call
from cicd.localhub.problems import Problem
from cicd.localhub.store import Db, Row, many

GREEN = {"success", "neutral", "skipped"}


class Context(NamedTuple):
    name: str
    state: str


def newest_statuses(db: Db, repo: Row, sha: str) -> list[Row]:
    """The newest status of each context, newest first."""
    sql = """SELECT * FROM statuses WHERE id IN (
        SELECT max(id) FROM statuses WHERE repo_id = ? AND sha = ? GROUP BY context) ORDER BY id DESC"""
    return many(db, sql, repo["id"], sha)


def contexts_of(db: Db, repo: Row, sha: str) -> list[Context]:
    """Statuses and check runs of a commit, by their names; an unfinished check run is `pending`."""
    sql = """SELECT name, status, conclusion FROM check_runs WHERE id IN (
        SELECT max(id) FROM check_runs WHERE repo_id = ? AND head_sha = ? GROUP BY name)"""
    checks = many(db, sql, repo["id"], sha)
    return [Context(row["context"], row["state"]) for row in newest_statuses(db, repo, sha)] + [
        Context(row["name"], row["conclusion"] if row["status"] == "completed" else "pending") for row in checks
    ]


def require_green(call: Call, ref: str, sha: str, required: list[str] | None) -> None:
    """Raises 409 unless the required contexts (None: all that there are) have succeeded."""
    found = {context.name: context.state for context in contexts_of(call.db, call.repo, sha)}
    states = found if required is None else {name: found.get(name, "pending") for name in required}
    red = {name: state for name, state in states.items() if state not in GREEN}
    if red:
        listed = [{"context": name, "state": found.get(name, "pending")} for name in states]
        error = {"contexts": listed, "resource": "Deployment", "field": "required_contexts", "code": "invalid"}
        raise Problem(409, f"Conflict: Commit status checks failed for {ref}.", [error])
