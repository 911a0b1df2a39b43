"""Which branches and tags may be deployed to an environment."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.environments import demand_environment
from cicd.localhub.problems import not_found
from cicd.localhub.store import Db, Row, count, insert, many, one, update


class Policy(msgspec.Struct, frozen=True):
    name: str
    type: Literal["branch", "tag"] = "branch"


class Renamed(msgspec.Struct, frozen=True):
    name: str


def admits(db: Db, environment: Row, branch: str | None) -> bool:
    """Whether a run of this branch may deploy to the environment. No branch here is protected, and then all may."""
    policy = json.loads(environment["branch_policy"] or "{}")
    if not policy.get("custom_branch_policies"):
        return True
    rows = many(db, "SELECT name FROM branch_policies WHERE environment_id = ?", environment["id"])
    return any(_matches(branch or "", row["name"]) for row in rows)


def _matches(branch: str, pattern: str) -> bool:
    """As GitHub does it, `*` does not match a slash."""
    parts, patterns = branch.split("/"), pattern.split("/")
    pairs = zip(parts, patterns, strict=False)
    return len(parts) == len(patterns) and all(fnmatchcase(part, glob) for part, glob in pairs)


def _json(row: Row) -> Json:
    return {key: row[key] for key in ("id", "name", "type")} | {"node_id": node_id("GateBranchPolicy", row["id"])}


def _demand_custom(call: Call) -> Row:
    environment = demand_environment(call)
    if not json.loads(environment["branch_policy"] or "{}").get("custom_branch_policies"):
        raise not_found()
    return environment


def _demand(call: Call) -> Row:
    sql = "SELECT * FROM branch_policies WHERE environment_id = ? AND id = ?"
    row = one(call.db, sql, demand_environment(call)["id"], call.number("branch_policy_id"))
    if row is None:
        raise not_found()
    return row


def list_policies(call: Call) -> Answer:
    """GET deployment-branch-policies."""
    environment, page = demand_environment(call), page_of(call)
    sql = "SELECT * FROM branch_policies WHERE environment_id = ? ORDER BY id LIMIT ? OFFSET ?"
    rows = many(call.db, sql, environment["id"], *page.limits)
    total = count(call.db, "SELECT count(*) FROM branch_policies WHERE environment_id = ?", environment["id"])
    return paged(call, {"total_count": total, "branch_policies": [_json(row) for row in rows]}, page, total)


def create_policy(call: Call) -> Answer:
    """POST deployment-branch-policies: 404 unless the environment has custom policies, 303 for one that exists."""
    environment, policy = _demand_custom(call), call.read(Policy)
    values = {"environment_id": environment["id"], "name": policy.name, "type": policy.type}
    sql = "SELECT id FROM branch_policies WHERE environment_id = ? AND name = ? AND type = ?"
    if found := one(call.db, sql, *values.values()):
        return Answer(303, None, {"location": f"{call.base}{call.path}/{found['id']}"})
    return Answer(200, _json(insert(call.db, "branch_policies", **values)))


def get_policy(call: Call) -> Answer:
    """GET deployment-branch-policies/{id}."""
    return Answer(200, _json(_demand(call)))


def rename_policy(call: Call) -> Answer:
    """PUT deployment-branch-policies/{id}."""
    row = _demand(call)
    return Answer(200, _json(update(call.db, "branch_policies", row["id"], name=call.read(Renamed).name)))


def delete_policy(call: Call) -> Answer:
    """DELETE deployment-branch-policies/{id}."""
    call.db.execute("DELETE FROM branch_policies WHERE id = ?", (_demand(call)["id"],))
    return Answer(204)


_ALL = "/repos/{owner}/{repo}/environments/{environment_name}/deployment-branch-policies"
ROUTES = [
    Route("GET", _ALL, list_policies, "actions"),
    Route("POST", _ALL, create_policy, "administration"),
    Route("GET", _ALL + "/{branch_policy_id}", get_policy, "actions"),
    Route("PUT", _ALL + "/{branch_policy_id}", rename_policy, "administration"),
    Route("DELETE", _ALL + "/{branch_policy_id}", delete_policy, "administration"),
]
