"""Commit statuses."""

from __future__ import annotations

from typing import Literal

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.commits import demand_commit
from cicd.localhub.contexts import newest_statuses
from cicd.localhub.problems import Problem, invalid, too_long
from cicd.localhub.repos import minimal_repository
from cicd.localhub.store import Row, count, insert, many, now, tell
from cicd.localhub.users import user_json

MAX_DESCRIPTION = 140
MAX_PER_CONTEXT = 1000


class NewStatus(msgspec.Struct, frozen=True):
    state: Literal["error", "failure", "pending", "success"]
    target_url: str | None = None
    description: str | None = None
    context: str = "default"


def _simple(call: Call, row: Row) -> Json:
    copied = ("id", "state", "description", "target_url", "context")
    return {
        "url": f"{call.repo_url}/statuses/{row['sha']}",
        "avatar_url": None,
        "node_id": node_id("StatusContext", row["id"]),
        **{key: row[key] for key in copied},
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
    }


def _full(call: Call, row: Row) -> Json:
    return {**_simple(call, row), "creator": user_json(call, row["creator_id"])}


def create_status(call: Call) -> Answer:
    """POST statuses/{sha}. Raises 422 for an unknown commit, a description over 140 characters, a wrong URL."""
    asked = call.read(NewStatus)
    sha = str(demand_commit(call, call.params["sha"]).id)
    if len(asked.description or "") > MAX_DESCRIPTION:
        raise too_long("Status", "description", MAX_DESCRIPTION)
    if asked.target_url and not asked.target_url.startswith(("http://", "https://")):
        raise invalid("Status", "target_url", "target_url must use http(s) scheme")
    sql = "SELECT count(*) FROM statuses WHERE repo_id = ? AND sha = ? AND context = ?"
    if count(call.db, sql, call.repo["id"], sha, asked.context) >= MAX_PER_CONTEXT:
        raise Problem(422, "Validation failed: This SHA and context has reached the maximum number of statuses.")
    row = insert(
        call.db,
        "statuses",
        repo_id=call.repo["id"],
        sha=sha,
        creator_id=call.user_id,
        created_at=now(),
        **msgspec.structs.asdict(asked),
    )
    tell(call.db, "commit.status", call.repo, sha=sha, context=asked.context, state=asked.state)
    return Answer(201, _full(call, row))


def list_statuses(call: Call) -> Answer:
    """GET commits/{ref}/statuses: newest first."""
    sha, page = str(demand_commit(call, call.params["ref"]).id), page_of(call)
    found = "FROM statuses WHERE repo_id = ? AND sha = ?"
    sql = f"SELECT * {found} ORDER BY id DESC LIMIT ? OFFSET ?"
    rows = many(call.db, sql, call.repo["id"], sha, *page.limits)
    total = count(call.db, f"SELECT count(*) {found}", call.repo["id"], sha)
    return paged(call, [_full(call, row) for row in rows], page, total)


def combined(states: list[str]) -> str:
    """One state for many: any failure or error fails, any pending (or none at all) pends."""
    if any(state in ("error", "failure") for state in states):
        return "failure"
    return "pending" if not states or "pending" in states else "success"


def get_combined(call: Call) -> Answer:
    """GET commits/{ref}/status: the newest status of each context, and one state for all."""
    sha, page = str(demand_commit(call, call.params["ref"]).id), page_of(call)
    rows = newest_statuses(call.db, call.repo, sha)
    size, start = page.limits
    body = {
        "state": combined([row["state"] for row in rows]),
        "statuses": [_simple(call, row) for row in rows[start : start + size]],
        "sha": sha,
        "total_count": len(rows),
        "repository": minimal_repository(call),
        "commit_url": f"{call.repo_url}/commits/{sha}",
        "url": f"{call.repo_url}/commits/{sha}/status",
    }
    return paged(call, body, page, len(rows))


_REF = "/repos/{owner}/{repo}/commits/{ref}"
ROUTES = [
    Route("POST", "/repos/{owner}/{repo}/statuses/{sha}", create_status, "statuses"),
    Route("GET", _REF + "/statuses", list_statuses, "statuses", rest="ref"),
    Route("GET", _REF + "/status", get_combined, "statuses", rest="ref"),
]
