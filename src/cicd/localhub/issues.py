"""Issues."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.labels import ensure_label, label_json
from cicd.localhub.problems import invalid, not_found, too_long
from cicd.localhub.store import Db, Row, count, insert, many, now, one, tell, update
from cicd.localhub.users import simple_user, user_json

MAX_TITLE = 256
MAX_BODY = 65_536  # characters
Reason = Literal["completed", "not_planned", "duplicate", "reopened"]


class Label(msgspec.Struct, frozen=True):
    name: str


class NewIssue(msgspec.Struct, frozen=True):
    title: str | int
    body: str | None = None
    labels: list[str | Label] = []
    assignees: list[str] = []


class IssueChange(msgspec.Struct, frozen=True):
    title: str | int | None = None
    body: str | msgspec.UnsetType | None = msgspec.UNSET
    state: Literal["open", "closed"] | None = None
    state_reason: Reason | None = None
    labels: list[str | Label] | None = None
    assignees: list[str] | None = None


def labels_of(call: Call, issue: Row) -> list[Json]:
    """An issue's labels."""
    sql = "SELECT l.* FROM labels l JOIN issue_labels i ON i.label_id = l.id WHERE i.issue_id = ? ORDER BY l.name"
    return [label_json(call, row) for row in many(call.db, sql, issue["id"])]


def issue_json(call: Call, row: Row) -> Json:
    """GitHub's `issue`."""
    url = f"{call.repo_url}/issues/{row['number']}"
    sql = "SELECT u.* FROM users u JOIN assignees a ON a.user_id = u.id WHERE a.issue_id = ? ORDER BY u.id"
    assignees = [simple_user(call.base, user) for user in many(call.db, sql, row["id"])]
    copied = ("id", "number", "title", "body", "state", "state_reason", "created_at", "updated_at", "closed_at")
    return {
        **{key: row[key] for key in copied},
        "node_id": node_id("Issue", row["id"]),
        "url": url,
        "repository_url": call.repo_url,
        "labels_url": url + "/labels{/name}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{call.html_url}/issues/{row['number']}",
        "user": user_json(call, row["user_id"]),
        "closed_by": user_json(call, row["closed_by"]),
        "labels": labels_of(call, row),
        "assignee": assignees[0] if assignees else None,
        "assignees": assignees,
        "milestone": None,
        "locked": False,
        "comments": count(call.db, "SELECT count(*) FROM comments WHERE issue_id = ?", row["id"]),
        "author_association": "COLLABORATOR",
        "active_lock_reason": None,
        "performed_via_github_app": None,
    }


def demand_issue(call: Call) -> Row:
    """The issue of the path. Raises 404."""
    sql = "SELECT * FROM issues WHERE repo_id = ? AND number = ?"
    row = one(call.db, sql, call.repo["id"], call.number("issue_number"))
    if row is None:
        raise not_found()
    return row


def _check(title: str | None, body: Any) -> None:
    if title is not None and not title.strip():
        raise invalid("Issue", "title", code="missing_field")
    if title is not None and len(title) > MAX_TITLE:
        raise too_long("Issue", "title", MAX_TITLE)
    if isinstance(body, str) and len(body) > MAX_BODY:
        raise too_long("Issue", "body", MAX_BODY)


def _set_labels(call: Call, issue: Row, labels: list[str | Label]) -> None:
    call.db.execute("DELETE FROM issue_labels WHERE issue_id = ?", (issue["id"],))
    for name in dict.fromkeys(label if isinstance(label, str) else label.name for label in labels):
        label_id = ensure_label(call, name)["id"]
        call.db.execute("INSERT OR IGNORE INTO issue_labels VALUES (?, ?)", (issue["id"], label_id))


def _set_assignees(call: Call, issue: Row, logins: list[str]) -> None:
    """Raises 422 for a login that does not exist."""
    call.db.execute("DELETE FROM assignees WHERE issue_id = ?", (issue["id"],))
    for login in dict.fromkeys(logins):
        user = one(call.db, "SELECT id FROM users WHERE login = ?", login)
        if user is None:
            raise invalid("Issue", "assignees", code="invalid")
        call.db.execute("INSERT OR IGNORE INTO assignees VALUES (?, ?)", (issue["id"], user["id"]))


def add_issue(db: Db, repo: Row, title: str, body: str | None, user_id: int) -> Row:
    """An open issue with the next number; pull requests are counted with them."""
    at, last = now(), "SELECT coalesce(max(number), 0) + 1 FROM issues WHERE repo_id = ?"
    values = {"repo_id": repo["id"], "number": count(db, last, repo["id"]), "title": title, "body": body}
    return insert(db, "issues", **values, state="open", user_id=user_id, created_at=at, updated_at=at)


def create_issue(call: Call) -> Answer:
    """POST issues: labels that do not exist are made."""
    asked = call.read(NewIssue)
    title = str(asked.title)
    _check(title, asked.body)
    row = add_issue(call.db, call.repo, title, asked.body, call.user_id)
    _set_labels(call, row, asked.labels)
    _set_assignees(call, row, asked.assignees)
    tell(call.db, "issue.opened", call.repo, number=row["number"], title=row["title"])
    return Answer(201, issue_json(call, row))


def get_issue(call: Call) -> Answer:
    """GET issues/{issue_number}."""
    return Answer(200, issue_json(call, demand_issue(call)))


def _state_values(call: Call, row: Row, asked: IssueChange) -> Json:
    if asked.state is None or asked.state == row["state"]:
        return {}
    if asked.state == "closed":
        reason = asked.state_reason or "completed"
        return {"state": "closed", "state_reason": reason, "closed_at": now(), "closed_by": call.user_id}
    return {"state": "open", "state_reason": "reopened", "closed_at": None, "closed_by": None}


def update_issue(call: Call) -> Answer:
    """PATCH issues/{issue_number}: what is not named stays; labels are replaced."""
    row, asked = demand_issue(call), call.read(IssueChange)
    title = None if asked.title is None else str(asked.title)
    _check(title, asked.body)
    values: Json = {"updated_at": now()} | ({} if title is None else {"title": title})
    if asked.body is not msgspec.UNSET:
        values["body"] = asked.body
    changed = _state_values(call, row, asked)
    row = update(call.db, "issues", row["id"], **values, **changed)
    if asked.labels is not None:
        _set_labels(call, row, asked.labels)
    if asked.assignees is not None:
        _set_assignees(call, row, asked.assignees)
    if changed:
        tell(call.db, f"issue.{row['state']}", call.repo, number=row["number"], title=row["title"])
    return Answer(200, issue_json(call, row))


_LABELLED = """id IN (SELECT i.issue_id FROM issue_labels i JOIN labels l ON l.id = i.label_id WHERE l.name = ?)"""


def list_issues(call: Call) -> Answer:
    """GET issues: newest first; filters state (open, closed, all), labels (all of them), creator."""
    where, values = ["repo_id = ?"], [call.repo["id"]]
    state = call.query.get("state", "open")
    if state in ("open", "closed"):
        where.append("state = ?")
        values.append(state)
    for label in filter(None, call.query.get("labels", "").split(",")):
        where.append(_LABELLED)
        values.append(label)
    if creator := call.query.get("creator"):
        where.append("user_id = (SELECT id FROM users WHERE login = ?)")
        values.append(creator)
    order = "ASC" if call.query.get("direction") == "asc" else "DESC"
    found = f"FROM issues WHERE {' AND '.join(where)}"
    page = page_of(call)
    rows = many(call.db, f"SELECT * {found} ORDER BY number {order} LIMIT ? OFFSET ?", *values, *page.limits)
    total = count(call.db, f"SELECT count(*) {found}", *values)
    return paged(call, [issue_json(call, row) for row in rows], page, total)


_ISSUES = "/repos/{owner}/{repo}/issues"
ROUTES = [
    Route("GET", _ISSUES, list_issues, "issues"),
    Route("POST", _ISSUES, create_issue, "issues"),
    Route("GET", _ISSUES + "/{issue_number}", get_issue, "issues"),
    Route("PATCH", _ISSUES + "/{issue_number}", update_issue, "issues"),
]
