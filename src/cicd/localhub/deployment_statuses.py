"""Statuses of deployments."""

from __future__ import annotations

from typing import Literal

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.deployments import MAX_DESCRIPTION, add_status, demand_deployment
from cicd.localhub.problems import not_found, too_long
from cicd.localhub.store import Db, Row, count, many, one, tell
from cicd.localhub.users import user_json

State = Literal["error", "failure", "inactive", "in_progress", "queued", "pending", "success"]


class NewStatus(msgspec.Struct, frozen=True):
    state: State
    target_url: str | None = None
    log_url: str | None = None
    description: str | None = None
    environment: str | None = None
    environment_url: str | None = None
    auto_inactive: bool = True


def status_json(call: Call, row: Row) -> Json:
    """GitHub's `deployment-status`."""
    url = f"{call.repo_url}/deployments/{row['deployment_id']}"
    return {
        "url": f"{url}/statuses/{row['id']}",
        "id": row["id"],
        "node_id": node_id("DeploymentStatus", row["id"]),
        "state": row["state"],
        "creator": user_json(call, row["creator_id"]),
        "description": row["description"],
        "environment": row["environment"],
        "target_url": row["log_url"],
        "log_url": row["log_url"],
        "environment_url": row["environment_url"],
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
        "deployment_url": url,
        "repository_url": call.repo_url,
        "performed_via_github_app": None,
    }


def make_inactive(db: Db, deployment: Row, creator: int) -> None:
    """What `auto_inactive` does: earlier successes of the environment, unless transient or production, go inactive."""
    sql = """SELECT d.* FROM deployments d
        WHERE repo_id = ? AND environment = ? AND id < ? AND NOT transient AND NOT production AND 'success' = (
          SELECT state FROM deployment_statuses WHERE deployment_id = d.id ORDER BY id DESC LIMIT 1)"""
    for earlier in many(db, sql, deployment["repo_id"], deployment["environment"], deployment["id"]):
        add_status(db, earlier, "inactive", creator=creator)


def create_status(call: Call) -> Answer:
    """POST deployments/{id}/statuses. Raises 422 for an unknown state or a description over 140 characters."""
    deployment, asked = demand_deployment(call), call.read(NewStatus)
    if len(asked.description or "") > MAX_DESCRIPTION:
        raise too_long("DeploymentStatus", "description", MAX_DESCRIPTION)
    row = add_status(
        call.db,
        deployment,
        asked.state,
        creator=call.user_id,
        description=asked.description or "",
        environment=asked.environment or "",
        environment_url=asked.environment_url or "",
        log_url=asked.log_url or asked.target_url or "",
    )
    if asked.state == "success" and asked.auto_inactive:
        make_inactive(call.db, {**deployment, "environment": row["environment"]}, call.user_id)
    told = {"deployment": deployment["id"], "environment": row["environment"], "state": asked.state}
    tell(call.db, "deployment.status", call.repo, **told, description=row["description"])
    return Answer(201, status_json(call, row))


def list_statuses(call: Call) -> Answer:
    """GET deployments/{id}/statuses: newest first."""
    deployment, page = demand_deployment(call), page_of(call)
    sql = "SELECT * FROM deployment_statuses WHERE deployment_id = ? ORDER BY id DESC LIMIT ? OFFSET ?"
    rows = many(call.db, sql, deployment["id"], *page.limits)
    total = count(call.db, "SELECT count(*) FROM deployment_statuses WHERE deployment_id = ?", deployment["id"])
    return paged(call, [status_json(call, row) for row in rows], page, total)


def get_status(call: Call) -> Answer:
    """GET deployments/{id}/statuses/{status_id}."""
    sql = "SELECT * FROM deployment_statuses WHERE deployment_id = ? AND id = ?"
    row = one(call.db, sql, demand_deployment(call)["id"], call.number("status_id"))
    if row is None:
        raise not_found()
    return Answer(200, status_json(call, row))


_ALL = "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses"
ROUTES = [
    Route("GET", _ALL, list_statuses, "deployments"),
    Route("POST", _ALL, create_status, "deployments"),
    Route("GET", _ALL + "/{status_id}", get_status, "deployments"),
]
