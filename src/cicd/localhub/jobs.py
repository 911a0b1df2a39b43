"""What a run tells LocalHub: that a job has reached an `environment:`, and what its plan is.

GitHub knows both by itself; a runner on this machine has to say it. Everything that follows is as on GitHub: a
deployment comes to be for the job, and with required reviewers or a wait timer the job waits.
"""

from __future__ import annotations

import msgspec

from cicd.localhub.branch_policies import admits
from cicd.localhub.calls import Answer, Call, Json, Route
from cicd.localhub.deployments import NewDeployment, add_deployment, add_status
from cicd.localhub.environments import ensure_environment, reviewers_of
from cicd.localhub.history import find_commit
from cicd.localhub.problems import Problem, forbidden, not_found
from cicd.localhub.repos import find_repo
from cicd.localhub.runs import create_run, find_run, waiting_of
from cicd.localhub.store import Db, Row, insert, now, one, tell, update
from cicd.localhub.users import ensure_user
from cicd.localhub.workflows import find_workflow

MAX_PLAN = 1 << 16  # characters


class Arrival(msgspec.Struct, frozen=True):
    """A job that has reached its environment. repo, sha, workflow and actor make a run that is not yet known."""

    name: str
    environment: str = ""
    deployment: bool = True
    repo: str = ""
    sha: str = ""
    ref: str = ""
    event: str = "workflow_dispatch"
    workflow: str = ""
    actor: str = ""


class Plan(msgspec.Struct, frozen=True):
    environment: str
    markdown: str


def _repo_of(call: Call, named: str) -> Row:
    """The repository that the token belongs to, or the one that the body names."""
    token = call.token
    bound = one(call.db, "SELECT * FROM repos WHERE id = ?", token["repo_id"]) if token and token["repo_id"] else None
    owner, _, name = named.partition("/")
    wanted = find_repo(call.db, owner, name) if named else bound
    if wanted is None or (bound and bound["id"] != wanted["id"]):
        raise not_found()
    return wanted


def _own_run(call: Call, run_id: int, repo_name: str = "") -> Row | None:
    """The run, if it is known. Raises 401 and 403 unless the token is the run's, its repository's, or the admin's."""
    token = call.token
    if token is None and not call.is_admin:
        raise Problem(401, "Requires authentication")
    if token and token["run_id"] not in (None, run_id):
        raise forbidden()
    row = one(call.db, "SELECT * FROM repos WHERE id = (SELECT repo_id FROM runs WHERE id = ?)", run_id)
    if row and token and token["repo_id"] not in (None, row["id"]):
        raise not_found()
    call.repo = row or _repo_of(call, repo_name)
    return find_run(call.db, call.repo, run_id)


def _register(call: Call, run_id: int, told: Arrival) -> Row:
    """A run that was started by hand, without asking LocalHub for a number."""
    commit = find_commit(call.db, call.repo, told.sha or told.ref or call.repo["default_branch"])
    if commit is None:
        raise Problem(422, f"No commit found for SHA: {told.sha or told.ref}")
    branch = (told.ref or call.repo["default_branch"]).removeprefix("refs/heads/").removeprefix("refs/tags/")
    row = create_run(
        call.db,
        call.repo,
        find_workflow(call.db, call.repo, told.workflow or "unknown"),
        actor=ensure_user(call.db, told.actor or call.repo["owner"]),
        event=told.event,
        sha=str(commit.id),
        branch=branch,
        run_id=run_id,
        status="in_progress",
    )
    return find_run(call.db, call.repo, row["id"]) or row


def announce_job(call: Call) -> Answer:
    """POST /_localhub/runs/{run_id}/jobs: 201 with what the job waits for; the same job again changes nothing.

    Raises:
        Problem: 401, 403 and 404 for a token that is not the run's; 422 for an unknown commit.
    """
    told, run_id = call.read(Arrival), call.number("run_id")
    run = _own_run(call, run_id, told.repo) or _register(call, run_id, told)
    if run["status"] == "queued":
        update(call.db, "runs", run["id"], status="in_progress", updated_at=now())
    environment = ensure_environment(call.db, call.repo, told.environment) if told.environment else None
    job, new = _job(call.db, run, told.name, environment)
    allowed = environment is None or admits(call.db, environment, run["head_branch"])
    if new and environment:
        _enter(call, run, job, environment, told, allowed)
    waits = [row["environment"] for row in waiting_of(call.db, run)]
    answer: Json = {"run_id": run["id"], "job_id": job["id"], "allowed": allowed, "waits_for": waits}
    return Answer(201, answer)


def _job(db: Db, run: Row, name: str, environment: Row | None) -> tuple[Row, bool]:
    where = environment["id"] if environment else None
    sql = "SELECT * FROM jobs WHERE run_id = ? AND attempt = ? AND name = ? AND environment_id IS ?"
    found = one(db, sql, run["id"], run["attempt"], name, where)
    values = {"run_id": run["id"], "attempt": run["attempt"], "name": name, "environment_id": where}
    return (
        (found, False)
        if found
        else (
            insert(db, "jobs", **values, status="in_progress", started_at=now()),
            True,
        )
    )


def _enter(call: Call, run: Row, job: Row, environment: Row, told: Arrival, allowed: bool) -> None:
    """What GitHub does when a job reaches an environment."""
    db, waits = call.db, bool(reviewers_of(call.db, environment) or environment["wait_timer"])
    if told.deployment:
        asked = NewDeployment(ref=run["head_branch"] or run["head_sha"], environment=environment["name"])
        creator = run["actor_id"]
        made = add_deployment(db, call.repo, sha=run["head_sha"], creator=creator, asked=asked, job=job["id"])
        state = "failure" if not allowed else "queued" if waits else "in_progress"
        add_status(db, made, state, creator=creator, log_url=f"{call.html_url}/actions/runs/{run['id']}")
    if not allowed:
        update(db, "jobs", job["id"], status="completed", conclusion="failure", completed_at=now())
        tell(db, "job.refused", call.repo, run=run["id"], environment=environment["name"], branch=run["head_branch"])
    elif waits:
        values = (run["id"], run["attempt"], environment["id"], now())
        sql = "INSERT OR IGNORE INTO pendings (run_id, attempt, environment_id, started_at) VALUES (?, ?, ?, ?)"
        if db.execute(sql, values).rowcount:
            tell(db, "run.waiting", call.repo, run=run["id"], environment=environment["name"])


def publish_plan(call: Call) -> Answer:
    """POST /_localhub/runs/{run_id}/plan: the text beside the Approve button; a newer one takes its place."""
    plan, run = call.read(Plan), _own_run(call, call.number("run_id"))
    if run is None:
        raise not_found()
    if len(plan.markdown) > MAX_PLAN:
        raise Problem(422, f"A plan has at most {MAX_PLAN} characters")
    sql = "INSERT OR REPLACE INTO plans (run_id, environment, markdown, created_at) VALUES (?, ?, ?, ?)"
    call.db.execute(sql, (run["id"], plan.environment, plan.markdown, now()))
    tell(call.db, "plan.published", call.repo, run=run["id"], environment=plan.environment)
    return Answer(204)


ROUTES = [
    Route("POST", "/_localhub/runs/{run_id}/jobs", announce_job, "open"),
    Route("POST", "/_localhub/runs/{run_id}/plan", publish_plan, "open"),
]
