"""Runs, as whoever executes them sees them: start one, find those that are queued, say how one ended."""

from __future__ import annotations

import json
from typing import Literal

import msgspec

from cicd.localhub.admin import demand_sha
from cicd.localhub.auth import BOT, RUN_PERMISSIONS, make_token
from cicd.localhub.calls import Answer, Call, Json, Route
from cicd.localhub.deployment_statuses import make_inactive
from cicd.localhub.deployments import add_status
from cicd.localhub.history import branch_of
from cicd.localhub.problems import not_found
from cicd.localhub.runs import RUNS, STATES, WAITING, create_run
from cicd.localhub.store import Row, insert, many, now, one, tell, update
from cicd.localhub.users import ensure_user
from cicd.localhub.workflows import find_workflow

_JOINED = f"({RUNS}) r JOIN repos o ON o.id = r.repo_id"
_FOUND = f"{WAITING} SELECT r.*, o.owner || '/' || o.name AS repo FROM {_JOINED}"  # noqa: S608 (our own text)
Conclusion = Literal["success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"]


class NewRun(msgspec.Struct, frozen=True):
    workflow: str
    event: str = "workflow_dispatch"
    ref: str = ""
    sha: str = ""
    inputs: Json = {}
    actor: str = ""
    fork: str = ""
    permissions: dict[str, str] | None = None


class NewRunToken(msgspec.Struct, frozen=True):
    permissions: dict[str, str] | None = None


class RunChange(msgspec.Struct, frozen=True):
    status: Literal["queued", "in_progress", "completed"] | None = None
    conclusion: Conclusion | None = None
    attempt: int | None = None


def _shown(run: Row, token: str | None = None) -> Json:
    same = ("id", "run_number", "attempt", "event", "head_branch", "head_sha", "conclusion", "path", "actor")
    shown = {key: run[key] for key in (*same, "created_at", "updated_at")}
    more = {"status": run["shown_status"], "inputs": json.loads(run["inputs"]), "workflow": run["name"]}
    return shown | more | ({"token": token} if token else {}) | {"repo": run["repo"]}


def _run(call: Call, run_id: int) -> Row:
    row = one(call.db, f"{_FOUND} WHERE r.id = ?", run_id)
    if row is None:
        raise not_found()
    return row


def _token(call: Call, run: Row, permissions: dict[str, str] | None) -> str:
    granted = RUN_PERMISSIONS if permissions is None else permissions
    where = {"repo_id": run["repo_id"], "run_id": run["id"]}
    return make_token(call.db, user_id=BOT, kind="app", permissions=granted, **where)


def start_run(call: Call) -> Answer:
    """POST repos/{owner}/{repo}/runs: a queued run, with a token of its own, which is told only here.

    `ref` is a branch or tag (default: the default branch), `sha` a commit of it (default: its newest); `fork` is who
    has the fork that it comes from.
    """
    asked = call.read(NewRun)
    ref = asked.ref or call.repo["default_branch"]
    short = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    named = bool(asked.ref) or branch_of(call.db, call.repo, ref)
    made = create_run(
        call.db,
        call.repo,
        find_workflow(call.db, call.repo, asked.workflow),
        actor=ensure_user(call.db, asked.actor or call.repo["owner"]),
        event=asked.event,
        sha=demand_sha(call, asked.sha or ref),
        branch=short if named else None,
        inputs=asked.inputs,
    )
    if asked.fork:
        insert(call.db, "run_heads", run_id=made["id"], owner=ensure_user(call.db, asked.fork)["login"])
    run = _run(call, made["id"])
    return Answer(201, _shown(run, _token(call, run, asked.permissions)))


def list_runs(call: Call) -> Answer:
    """GET runs: oldest first; `status` narrows it. A dispatched run waits here as `queued` until it is taken."""
    status = call.query.get("status", "")
    wanted = status if status in STATES else None
    sql = f"{_FOUND} WHERE ? IS NULL OR shown_status = ? ORDER BY r.id"
    return Answer(200, {"runs": [_shown(row) for row in many(call.db, sql, wanted, wanted)]})


def get_run(call: Call) -> Answer:
    """GET runs/{run_id}."""
    return Answer(200, _shown(_run(call, call.number("run_id"))))


def make_run_token(call: Call) -> Answer:
    """POST runs/{run_id}/token: another token for a run, such as one that was dispatched."""
    asked, run = call.read(NewRunToken), _run(call, call.number("run_id"))
    return Answer(201, {"token": _token(call, run, asked.permissions)})


def change_run(call: Call) -> Answer:
    """PATCH runs/{run_id}: status, conclusion, or a new attempt, which starts it afresh."""
    asked, run = call.read(RunChange), _run(call, call.number("run_id"))
    values: Json = {"updated_at": now()}
    if asked.attempt is not None and asked.attempt != run["attempt"]:
        values |= {"attempt": asked.attempt, "status": "in_progress", "conclusion": None}
    if asked.status:
        values |= {"status": asked.status, "conclusion": asked.conclusion if asked.status == "completed" else None}
    update(call.db, "runs", run["id"], **values)
    changed = _run(call, run["id"])
    if changed["status"] == "completed":
        _finish_jobs(call, changed)
    repo = one(call.db, "SELECT * FROM repos WHERE id = ?", run["repo_id"])
    tell(call.db, f"run.{changed['status']}", repo, run=run["id"], conclusion=changed["conclusion"])
    return Answer(200, _shown(changed))


def _finish_jobs(call: Call, run: Row) -> None:
    """End the jobs that still run, and the deployments that GitHub would have made for them."""
    conclusion = run["conclusion"] or "neutral"
    state = "success" if conclusion == "success" else "failure"
    sql = "SELECT * FROM jobs WHERE run_id = ? AND attempt = ? AND status != 'completed'"
    for job in many(call.db, sql, run["id"], run["attempt"]):
        update(call.db, "jobs", job["id"], status="completed", conclusion=conclusion, completed_at=now())
        for deployment in many(call.db, "SELECT * FROM deployments WHERE job_id = ?", job["id"]):
            add_status(call.db, deployment, state, creator=run["actor_id"])
            if state == "success":
                make_inactive(call.db, deployment, run["actor_id"])


_RUN = "/_localhub/runs/{run_id}"
ROUTES = [
    Route("POST", "/_localhub/repos/{owner}/{repo}/runs", start_run, "admin"),
    Route("GET", "/_localhub/runs", list_runs, "admin"),
    Route("GET", _RUN, get_run, "admin"),
    Route("PATCH", _RUN, change_run, "admin"),
    Route("POST", _RUN + "/token", make_run_token, "admin"),
]
