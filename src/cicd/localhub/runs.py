"""Workflow runs and their jobs."""

from __future__ import annotations

import json
from typing import Any

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.history import find_commit
from cicd.localhub.problems import not_found
from cicd.localhub.repos import fork_of, minimal_repository
from cicd.localhub.store import Db, Row, count, insert, many, now, one, tell
from cicd.localhub.users import user_json

# A run waits while one of its environments waits for a review; it is worked out from those, never stored.
RUNS = """
SELECT r.*, w.name, w.path, u.login AS actor,
  CASE WHEN r.status != 'completed' AND EXISTS (
    SELECT 1 FROM waiting WHERE run_id = r.id AND attempt = r.attempt) THEN 'waiting' ELSE r.status END AS shown_status
FROM runs r JOIN workflows w ON w.id = r.workflow_id JOIN users u ON u.id = r.actor_id
"""
# Pending: nobody has reviewed and somebody must, or the wait timer still runs.
WAITING = """
WITH waiting AS (
  SELECT p.*, e.name AS environment, e.wait_timer FROM pendings p
  JOIN environments e ON e.id = p.environment_id
  WHERE (p.review IS NULL AND EXISTS (SELECT 1 FROM reviewers v WHERE v.environment_id = e.id))
     OR (p.review IS NOT 'rejected' AND unixepoch(p.started_at) + 60 * e.wait_timer > unixepoch()))
"""
STATES = ("completed", "queued", "in_progress", "waiting", "requested", "pending")


def find_run(db: Db, repo: Row, run_id: int) -> Row | None:
    """A run with its workflow's name and path and the login of its actor; `shown_status` is what the API says."""
    return one(db, f"{WAITING} {RUNS} WHERE r.repo_id = ? AND r.id = ?", repo["id"], run_id)


def demand_run(call: Call) -> Row:
    """The run of the path. Raises 404."""
    row = find_run(call.db, call.repo, call.number("run_id"))
    if row is None:
        raise not_found()
    return row


def waiting_of(db: Db, run: Row) -> list[Row]:
    """What a run waits for: rows of pendings with the environment's name."""
    sql = f"{WAITING} SELECT * FROM waiting WHERE run_id = ? AND attempt = ? ORDER BY id"  # noqa: S608 (our own text)
    return many(db, sql, run["id"], run["attempt"])


def create_run(
    db: Db,
    repo: Row,
    workflow: Row,
    *,
    actor: Row,
    event: str,
    sha: str,
    branch: str | None,
    inputs: dict[str, Any] | None = None,
    run_id: int | None = None,
    status: str = "queued",
) -> Row:
    """A new run.

    Args:
        branch: branch or tag, without refs/heads/.
        run_id: its number; None for the next one.
    """
    number = count(db, "SELECT coalesce(max(run_number), 0) + 1 FROM runs WHERE workflow_id = ?", workflow["id"])
    commit = find_commit(db, repo, sha)
    title = commit.message.partition("\n")[0] if commit and event == "push" else workflow["name"]
    at = now()
    row = insert(
        db,
        "runs",
        **({} if run_id is None else {"id": run_id}),
        repo_id=repo["id"],
        workflow_id=workflow["id"],
        run_number=number,
        event=event,
        head_branch=branch,
        head_sha=sha,
        title=title,
        status=status,
        actor_id=actor["id"],
        inputs=json.dumps(inputs or {}),
        created_at=at,
        updated_at=at,
    )
    tell(db, f"run.{status}", repo, run=row["id"], workflow=workflow["path"], event=event, actor=actor["login"])
    return row


def _head_commit(call: Call, sha: str) -> Json | None:
    commit = find_commit(call.db, call.repo, sha)
    if commit is None:
        return None
    people = {
        key: {"name": signature.name, "email": signature.email}
        for key, signature in (("author", commit.author), ("committer", commit.committer))
    }
    at = commit.committer.time
    return {
        "id": sha,
        "tree_id": str(commit.tree_id),
        "message": commit.message.rstrip("\n"),
        "timestamp": one(call.db, "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', ?, 'unixepoch') AS at", at)["at"],  # type: ignore[index]
        **people,
    }


def run_json(call: Call, row: Row) -> Json:
    """GitHub's `workflow-run`."""
    url = f"{call.repo_url}/actions/runs/{row['id']}"
    actor = user_json(call, row["actor_id"])
    repository = minimal_repository(call)
    head = one(call.db, "SELECT owner FROM run_heads WHERE run_id = ?", row["id"])
    return {
        "id": row["id"],
        "name": row["name"],
        "node_id": node_id("WorkflowRun", row["id"]),
        "head_branch": row["head_branch"],
        "head_sha": row["head_sha"],
        "path": row["path"],
        "display_title": row["title"],
        "run_number": row["run_number"],
        "run_attempt": row["attempt"],
        "event": row["event"],
        "status": row["shown_status"],
        "conclusion": row["conclusion"],
        "workflow_id": row["workflow_id"],
        "check_suite_id": row["id"],
        "url": url,
        "html_url": f"{call.html_url}/actions/runs/{row['id']}",
        "pull_requests": [],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "run_started_at": row["created_at"],
        "actor": actor,
        "triggering_actor": actor,
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "check_suite_url": f"{call.repo_url}/check-suites/{row['id']}",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "previous_attempt_url": None,
        "workflow_url": f"{call.repo_url}/actions/workflows/{row['workflow_id']}",
        "head_commit": _head_commit(call, row["head_sha"]),
        "repository": repository,
        "head_repository": fork_of(call, head["owner"]) if head else repository,
    }


# Query parameter to the SQL that it stands for. `status` is either a status or a conclusion, as on GitHub.
_FILTERS = {
    "actor": "actor = ? COLLATE NOCASE",
    "branch": "head_branch = ?",
    "event": "event = ?",
    "head_sha": "head_sha = ?",
}


def list_runs(call: Call) -> Answer:
    """GET actions/runs: newest first; filters actor, branch, event, head_sha, status."""
    where, values = ["repo_id = ?"], [call.repo["id"]]
    for name, sql in _FILTERS.items():
        if call.query.get(name):
            where.append(sql)
            values.append(call.query[name])
    if status := call.query.get("status"):
        where.append("shown_status = ?" if status in STATES else "conclusion = ?")
        values.append(status)
    found = f"{WAITING} SELECT {{}} FROM ({RUNS}) WHERE {' AND '.join(where)}"  # noqa: S608 (only our own text)
    page = page_of(call)
    rows = many(call.db, found.format("*") + " ORDER BY id DESC LIMIT ? OFFSET ?", *values, *page.limits)
    total = count(call.db, found.format("count(*)"), *values)
    return paged(call, {"total_count": total, "workflow_runs": [run_json(call, row) for row in rows]}, page, total)


def get_run(call: Call) -> Answer:
    """GET actions/runs/{run_id}."""
    return Answer(200, run_json(call, demand_run(call)))


def _job_json(call: Call, run: Row, job: Row, waits: set[int]) -> Json:
    url = f"{call.repo_url}/actions/jobs/{job['id']}"
    waiting = job["environment_id"] in waits and job["status"] != "completed"
    return {
        "id": job["id"],
        "run_id": run["id"],
        "run_url": f"{call.repo_url}/actions/runs/{run['id']}",
        "run_attempt": job["attempt"],
        "node_id": node_id("CheckRun", job["id"]),
        "head_sha": run["head_sha"],
        "head_branch": run["head_branch"],
        "workflow_name": run["name"],
        "name": job["name"],
        "url": url,
        "html_url": f"{call.html_url}/actions/runs/{run['id']}/job/{job['id']}",
        "status": "waiting" if waiting else job["status"],
        "conclusion": job["conclusion"],
        "created_at": job["started_at"],
        "started_at": job["started_at"],
        "completed_at": job["completed_at"],
        "steps": [],
        "check_run_url": f"{call.repo_url}/check-runs/{job['id']}",
        "labels": ["self-hosted"],
        **dict.fromkeys(("runner_id", "runner_name", "runner_group_id", "runner_group_name")),
    }


def list_jobs(call: Call) -> Answer:
    """GET actions/runs/{run_id}/jobs: of the latest attempt, or with `filter=all` of all."""
    run, page = demand_run(call), page_of(call)
    oldest = 1 if call.query.get("filter") == "all" else run["attempt"]
    jobs = many(call.db, "SELECT * FROM jobs WHERE run_id = ? AND attempt >= ? ORDER BY id", run["id"], oldest)
    waits = {row["environment_id"] for row in waiting_of(call.db, run)}
    size, start = page.limits
    body = [_job_json(call, run, job, waits) for job in jobs[start : start + size]]
    return paged(call, {"total_count": len(jobs), "jobs": body}, page, len(jobs))


_RUNS = "/repos/{owner}/{repo}/actions/runs"
ROUTES = [
    Route("GET", _RUNS, list_runs, "actions"),
    Route("GET", _RUNS + "/{run_id}", get_run, "actions"),
    Route("GET", _RUNS + "/{run_id}/jobs", list_jobs, "actions"),
]
