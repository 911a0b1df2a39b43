"""Pending deployments of a run, and the reviews that let it go on or stop it."""

from __future__ import annotations

import json
from typing import Literal

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route
from cicd.localhub.deployments import add_status, deployment_json, find_deployment
from cicd.localhub.environments import environment_json, environment_stub, reviewers_json, reviewers_of
from cicd.localhub.problems import Problem, forbidden
from cicd.localhub.runs import demand_run, waiting_of
from cicd.localhub.store import Db, Row, insert, many, now, one, tell, update
from cicd.localhub.users import user_json


class Review(msgspec.Struct, frozen=True):
    environment_ids: list[int]
    state: Literal["approved", "rejected"]
    comment: str


def _environment(db: Db, environment_id: int) -> Row:
    row = one(db, "SELECT * FROM environments WHERE id = ?", environment_id)
    assert row is not None, "pendings go with their environment"
    return row


def may_review(db: Db, run: Row, environment: Row, user_id: int) -> bool:
    """Whether the user is a reviewer and, where self-review is prevented, did not start the run."""
    if environment["prevent_self_review"] and run["actor_id"] == user_id:
        return False
    return any(user["id"] == user_id for user in reviewers_of(db, environment))


def list_pending(call: Call) -> Answer:
    """GET pending_deployments: environments that wait for a review, or for their timer."""
    run = demand_run(call)
    body = []
    for row in waiting_of(call.db, run):
        environment = _environment(call.db, row["environment_id"])
        timer = environment["wait_timer"]
        entry: Json = {
            "environment": environment_stub(call, environment),
            "wait_timer": timer,
            "wait_timer_started_at": row["started_at"] if timer else None,
            "current_user_can_approve": may_review(call.db, run, environment, call.user_id),
            "reviewers": reviewers_json(call, environment),
        }
        body.append(entry)
    return Answer(200, body)


def list_approvals(call: Call) -> Answer:
    """GET approvals: newest first, with neither time nor attempt, as on GitHub."""
    run = demand_run(call)
    body = []
    for row in many(call.db, "SELECT * FROM approvals WHERE run_id = ? ORDER BY id DESC", run["id"]):
        sql = "SELECT * FROM environments WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
        environments = [environment_json(call, found) for found in many(call.db, sql, row["environment_ids"])]
        shown = [{key: one_[key] for key in _SHOWN} for one_ in environments]
        user = user_json(call, row["user_id"])
        body.append({"environments": shown, "state": row["state"], "comment": row["comment"], "user": user})
    return Answer(200, body)


_SHOWN = ("id", "node_id", "name", "url", "html_url", "created_at", "updated_at")


def review(db: Db, repo: Row, run: Row, user: Row, asked: Review) -> list[int]:
    """Approve or reject environments of a run, all of them or none; gives the deployments of the jobs.

    Raises:
        Problem: 422 when nothing waits for a review there, 403 when the user may not review it.
    """
    waiting = {row["environment_id"]: row for row in waiting_of(db, run) if row["review"] is None}
    if not asked.environment_ids or any(one_ not in waiting for one_ in asked.environment_ids):
        raise Problem(422, "There are no pending deployment requests to approve or reject for these environments")
    for number in asked.environment_ids:
        environment = _environment(db, number)
        if not may_review(db, run, environment, user["id"]):
            raise Problem(403, f"{user['login']} may not review deployments of this run to {environment['name']}")
    insert(
        db,
        "approvals",
        run_id=run["id"],
        user_id=user["id"],
        state=asked.state,
        comment=asked.comment,
        environment_ids=json.dumps(asked.environment_ids),
        created_at=now(),
    )
    deployments = []
    for number in dict.fromkeys(asked.environment_ids):
        update(db, "pendings", waiting[number]["id"], review=asked.state)
        deployments += _move_jobs(db, run, number, asked.state, user)
        told = {"run": run["id"], "environment": waiting[number]["environment"], "by": user["login"]}
        tell(db, f"review.{asked.state}", repo, **told, comment=asked.comment)
    if asked.state == "rejected":
        update(db, "runs", run["id"], status="completed", conclusion="failure", updated_at=now())
    return deployments


def _move_jobs(db: Db, run: Row, environment_id: int, state: str, user: Row) -> list[int]:
    """Start or fail the jobs that waited; gives the deployments that belong to them."""
    sql = "SELECT * FROM jobs WHERE run_id = ? AND attempt = ? AND environment_id = ?"
    moved = []
    for job in many(db, sql, run["id"], run["attempt"], environment_id):
        if state == "rejected":
            update(db, "jobs", job["id"], status="completed", conclusion="failure", completed_at=now())
        for deployment in many(db, "SELECT * FROM deployments WHERE job_id = ?", job["id"]):
            add_status(db, deployment, "in_progress" if state == "approved" else "failure", creator=user["id"])
            moved.append(int(deployment["id"]))
    return moved


def post_review(call: Call) -> Answer:
    """POST pending_deployments: by a person who is a reviewer. A run's own token is refused with 403."""
    assert call.token is not None, "the route demands a token"
    if call.token["kind"] != "user":
        raise forbidden()
    user = {"id": call.user_id, "login": call.token["login"]}
    made = review(call.db, call.repo, demand_run(call), user, call.read(Review))
    rows = [find_deployment(call.db, call.repo, number) for number in made]
    return Answer(200, [deployment_json(call, row) for row in rows if row])


_RUN = "/repos/{owner}/{repo}/actions/runs/{run_id}"
ROUTES = [
    Route("GET", _RUN + "/pending_deployments", list_pending, "actions"),
    Route("POST", _RUN + "/pending_deployments", post_review, "deployments"),
    Route("GET", _RUN + "/approvals", list_approvals, "actions"),
]
