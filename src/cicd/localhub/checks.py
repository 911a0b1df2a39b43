"""Check runs."""

from __future__ import annotations

from typing import Literal

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.check_annotations import Annotation, add_annotations
from cicd.localhub.commits import demand_commit
from cicd.localhub.problems import invalid, not_found, too_long
from cicd.localhub.store import Row, count, insert, many, now, one, tell, update
from cicd.localhub.users import simple_user, user_row

MAX_TEXT = 65_535
Status = Literal["queued", "in_progress", "completed", "waiting", "requested", "pending"]
Conclusion = Literal["action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"]


class Output(msgspec.Struct, frozen=True):
    summary: str
    title: str | None = None
    text: str | None = None
    annotations: list[Annotation] = []


class Change(msgspec.Struct, frozen=True):
    name: str | None = None
    details_url: str | None = None
    external_id: str | None = None
    status: Status | None = None
    started_at: str | None = None
    conclusion: Conclusion | None = None
    completed_at: str | None = None
    output: Output | None = None


class NewCheck(Change, frozen=True):
    head_sha: str = ""


def _app(call: Call) -> Json:
    at = "2018-07-30T09:30:17Z"
    return {
        "id": 15368,
        "slug": "github-actions",
        "node_id": node_id("App", 15368),
        "owner": simple_user(call.base, user_row(call.db, call.user_id)),
        "name": "GitHub Actions",
        "description": "Automate your workflow from idea to production",
        "external_url": f"{call.base}/features/actions",
        "html_url": f"{call.base}/apps/github-actions",
        "created_at": at,
        "updated_at": at,
        "permissions": {"checks": "write", "contents": "read", "metadata": "read"},
        "events": [],
    }


def check_run_json(call: Call, row: Row) -> Json:
    """GitHub's `check-run`."""
    url = f"{call.repo_url}/check-runs/{row['id']}"
    copied = ("id", "name", "head_sha", "status", "conclusion", "external_id", "details_url", "started_at")
    counted = count(call.db, "SELECT count(*) FROM annotations WHERE check_run_id = ?", row["id"])
    output = {key: row[key] for key in ("title", "summary", "text")}
    return {
        **{key: row[key] for key in copied},
        "completed_at": row["completed_at"],
        "node_id": node_id("CheckRun", row["id"]),
        "url": url,
        "html_url": f"{call.html_url}/runs/{row['id']}",
        "output": {**output, "annotations_count": counted, "annotations_url": f"{url}/annotations"},
        "check_suite": {"id": row["id"]},
        "app": _app(call),
        "pull_requests": [],
    }


def _columns(change: Change) -> Json:
    """The columns that a change sets. A conclusion completes a check, as on GitHub."""
    output = change.output
    for key in ("summary", "text"):
        if output and len(getattr(output, key) or "") > MAX_TEXT:
            raise too_long("CheckRun", key, MAX_TEXT)
    if change.status == "completed" and not change.conclusion:
        raise invalid("CheckRun", "conclusion", code="missing_field")
    done = change.conclusion is not None
    values = {key: value for key, value in msgspec.structs.asdict(change).items() if value is not None}
    values.pop("output", None)
    if output:
        values |= {"title": output.title, "summary": output.summary, "text": output.text}
    if done:
        values |= {"status": "completed", "completed_at": change.completed_at or now()}
    elif change.status:
        values |= {"conclusion": None, "completed_at": None}
    return values


def create_check(call: Call) -> Answer:
    """POST check-runs. Raises 422 for over 50 annotations or over 65,535 characters of summary or text."""
    asked = call.read(NewCheck)
    for key in ("name", "head_sha"):
        if not getattr(asked, key):
            raise invalid("CheckRun", key, code="missing_field")
    values = {"status": "queued", "started_at": now()} | _columns(asked)
    values["head_sha"] = str(demand_commit(call, asked.head_sha).id)
    row = insert(call.db, "check_runs", repo_id=call.repo["id"], **values)
    add_annotations(call.db, row["id"], asked.output.annotations if asked.output else [])
    tell(call.db, "check", call.repo, name=row["name"], status=row["status"], conclusion=row["conclusion"])
    return Answer(201, check_run_json(call, row))


def demand_check(call: Call) -> Row:
    """The check run of the path. Raises 404."""
    sql = "SELECT * FROM check_runs WHERE repo_id = ? AND id = ?"
    row = one(call.db, sql, call.repo["id"], call.number("check_run_id"))
    if row is None:
        raise not_found()
    return row


def update_check(call: Call) -> Answer:
    """PATCH check-runs/{check_run_id}: annotations are added to those that are there."""
    row, asked = demand_check(call), call.read(Change)
    if values := _columns(asked):
        row = update(call.db, "check_runs", row["id"], **values)
    add_annotations(call.db, row["id"], asked.output.annotations if asked.output else [])
    tell(call.db, "check", call.repo, name=row["name"], status=row["status"], conclusion=row["conclusion"])
    return Answer(200, check_run_json(call, row))


def get_check(call: Call) -> Answer:
    """GET check-runs/{check_run_id}."""
    return Answer(200, check_run_json(call, demand_check(call)))


def list_checks(call: Call) -> Answer:
    """GET commits/{ref}/check-runs: the newest of each name, or with `filter=all` all; `check_name`, `status`."""
    sha, page = str(demand_commit(call, call.params["ref"]).id), page_of(call)
    where, values = ["repo_id = ? AND head_sha = ?"], [call.repo["id"], sha]
    for name, column in (("check_name", "name"), ("status", "status")):
        if call.query.get(name):
            where.append(f"{column} = ?")
            values.append(call.query[name])
    found = f"FROM check_runs WHERE {' AND '.join(where)}"
    if call.query.get("filter") != "all":
        found = f"FROM check_runs WHERE id IN (SELECT max(id) {found} GROUP BY name)"
    rows = many(call.db, f"SELECT * {found} ORDER BY id DESC LIMIT ? OFFSET ?", *values, *page.limits)
    total = count(call.db, f"SELECT count(*) {found}", *values)
    return paged(call, {"total_count": total, "check_runs": [check_run_json(call, row) for row in rows]}, page, total)


_CHECKS = "/repos/{owner}/{repo}/check-runs"
ROUTES = [
    Route("POST", _CHECKS, create_check, "checks"),
    Route("GET", _CHECKS + "/{check_run_id}", get_check, "checks"),
    Route("PATCH", _CHECKS + "/{check_run_id}", update_check, "checks"),
    Route("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs", list_checks, "checks", rest="ref"),
]
