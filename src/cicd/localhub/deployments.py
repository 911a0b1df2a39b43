"""Deployments. One made by the API passes no protection rule, as on GitHub: the gate is the job."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.contexts import require_green
from cicd.localhub.environments import ensure_environment
from cicd.localhub.history import branch_of, find_commit
from cicd.localhub.merging import auto_merge
from cicd.localhub.problems import Problem, not_found, too_long
from cicd.localhub.store import Db, Row, count, insert, many, now, one, tell, update
from cicd.localhub.users import user_json

MAX_DESCRIPTION = 140


class NewDeployment(msgspec.Struct, frozen=True):
    ref: str
    task: str = "deploy"
    auto_merge: bool = True
    required_contexts: list[str] | None = None
    payload: Json | str = ""
    environment: str = "production"
    description: str | None = ""
    transient_environment: bool = False
    production_environment: bool | None = None


def find_deployment(db: Db, repo: Row, number: int) -> Row | None:
    """A deployment of the repository."""
    return one(db, "SELECT * FROM deployments WHERE repo_id = ? AND id = ?", repo["id"], number)


def demand_deployment(call: Call) -> Row:
    """The deployment of the path. Raises 404."""
    row = find_deployment(call.db, call.repo, call.number("deployment_id"))
    if row is None:
        raise not_found()
    return row


def deployment_json(call: Call, row: Row) -> Json:
    """GitHub's `deployment`. A payload that was sent as a string comes back as that string."""
    url = f"{call.repo_url}/deployments/{row['id']}"
    copied = ("id", "sha", "ref", "task", "environment", "original_environment", "description")
    return {
        "url": url,
        "node_id": node_id("Deployment", row["id"]),
        **{key: row[key] for key in copied},
        "payload": json.loads(row["payload"]),
        "creator": user_json(call, row["creator_id"]),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "statuses_url": f"{url}/statuses",
        "repository_url": call.repo_url,
        "transient_environment": bool(row["transient"]),
        "production_environment": bool(row["production"]),
        "performed_via_github_app": None,
    }


def add_deployment(db: Db, repo: Row, *, sha: str, creator: int, asked: NewDeployment, job: int | None = None) -> Row:
    """Insert a deployment; an environment that does not exist comes to be, unprotected."""
    environment = ensure_environment(db, repo, asked.environment)["name"]
    production = asked.production_environment
    at = now()
    row = insert(
        db,
        "deployments",
        repo_id=repo["id"],
        sha=sha,
        ref=asked.ref,
        task=asked.task,
        payload=json.dumps(asked.payload),
        environment=environment,
        original_environment=environment,
        description=asked.description,
        transient=asked.transient_environment,
        production=environment == "production" if production is None else production,
        creator_id=creator,
        job_id=job,
        created_at=at,
        updated_at=at,
    )
    tell(db, "deployment.created", repo, deployment=row["id"], environment=environment, task=asked.task, sha=sha)
    return row


def add_status(db: Db, deployment: Row, state: str, *, creator: int, **more: str) -> Row:
    """Insert a status. `more`: description, environment, environment_url, log_url."""
    at = now()
    row = insert(
        db,
        "deployment_statuses",
        deployment_id=deployment["id"],
        state=state,
        description=more.get("description", ""),
        environment=more.get("environment") or deployment["environment"],
        environment_url=more.get("environment_url", ""),
        log_url=more.get("log_url", ""),
        creator_id=creator,
        created_at=at,
    )
    update(db, "deployments", deployment["id"], updated_at=at, environment=row["environment"])
    return row


def create_deployment(call: Call) -> Answer:
    """POST deployments.

    Raises:
        Problem: 422 for an unknown ref or a description over 140 characters; 409 when a required context is not green
            or the default branch cannot be merged into the ref.
    """
    asked = call.read(NewDeployment)
    commit = find_commit(call.db, call.repo, asked.ref)
    if commit is None:
        raise Problem(422, f"No ref found for: {asked.ref}")
    if len(asked.description or "") > MAX_DESCRIPTION:
        raise too_long("Deployment", "description", MAX_DESCRIPTION)
    branch = branch_of(call.db, call.repo, asked.ref)
    if asked.auto_merge and branch and auto_merge(call, branch, commit):
        return Answer(202, {"message": f"Auto-merged {call.repo['default_branch']} into {asked.ref} on deployment."})
    require_green(call, asked.ref, str(commit.id), asked.required_contexts)
    row = add_deployment(call.db, call.repo, sha=str(commit.id), creator=call.user_id, asked=asked)
    return Answer(201, deployment_json(call, row))


def list_deployments(call: Call) -> Answer:
    """GET deployments: newest first; filters sha, ref, task, environment."""
    where, values = ["repo_id = ?"], [call.repo["id"]]
    for name in ("sha", "ref", "task", "environment"):
        wanted: Any = call.query.get(name, "none")
        if wanted and wanted != "none":
            where.append(f"{name} = ?")
            values.append(wanted)
    found = f"SELECT {{}} FROM deployments WHERE {' AND '.join(where)}"  # noqa: S608 (only our own text)
    page = page_of(call)
    rows = many(call.db, found.format("*") + " ORDER BY id DESC LIMIT ? OFFSET ?", *values, *page.limits)
    return paged(
        call, [deployment_json(call, row) for row in rows], page, count(call.db, found.format("count(*)"), *values)
    )


def get_deployment(call: Call) -> Answer:
    """GET deployments/{deployment_id}."""
    return Answer(200, deployment_json(call, demand_deployment(call)))


_ALL = "/repos/{owner}/{repo}/deployments"
ROUTES = [
    Route("GET", _ALL, list_deployments, "deployments"),
    Route("POST", _ALL, create_deployment, "deployments"),
    Route("GET", _ALL + "/{deployment_id}", get_deployment, "deployments"),
]
