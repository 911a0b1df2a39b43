"""Comments on issues."""

from __future__ import annotations

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.issues import MAX_BODY, demand_issue
from cicd.localhub.problems import invalid, not_found, too_long
from cicd.localhub.store import Row, count, insert, many, now, one, tell, update
from cicd.localhub.users import user_json


class Text(msgspec.Struct, frozen=True):
    body: str


def _read(call: Call) -> str:
    body = call.read(Text).body
    if not body.strip():
        raise invalid("IssueComment", "body", "Body cannot be blank", "unprocessable")
    if len(body) > MAX_BODY:
        raise too_long("IssueComment", "body", MAX_BODY)
    return body


def comment_json(call: Call, row: Row, number: int) -> Json:
    """GitHub's `issue-comment`."""
    return {
        "id": row["id"],
        "node_id": node_id("IssueComment", row["id"]),
        "url": f"{call.repo_url}/issues/comments/{row['id']}",
        "html_url": f"{call.html_url}/issues/{number}#issuecomment-{row['id']}",
        "issue_url": f"{call.repo_url}/issues/{number}",
        "body": row["body"],
        "user": user_json(call, row["user_id"]),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "author_association": "COLLABORATOR",
        "performed_via_github_app": None,
    }


def _demand(call: Call) -> Row:
    sql = """SELECT c.*, i.number FROM comments c JOIN issues i ON i.id = c.issue_id
        WHERE i.repo_id = ? AND c.id = ?"""
    row = one(call.db, sql, call.repo["id"], call.number("comment_id"))
    if row is None:
        raise not_found()
    return row


def list_comments(call: Call) -> Answer:
    """GET issues/{issue_number}/comments: oldest first."""
    issue, page = demand_issue(call), page_of(call)
    sql = "SELECT * FROM comments WHERE issue_id = ? ORDER BY id LIMIT ? OFFSET ?"
    rows = many(call.db, sql, issue["id"], *page.limits)
    total = count(call.db, "SELECT count(*) FROM comments WHERE issue_id = ?", issue["id"])
    return paged(call, [comment_json(call, row, issue["number"]) for row in rows], page, total)


def create_comment(call: Call) -> Answer:
    """POST issues/{issue_number}/comments. Raises 422 for an empty one or over 65,536 characters."""
    issue, body, at = demand_issue(call), _read(call), now()
    values = {"issue_id": issue["id"], "body": body, "user_id": call.user_id, "created_at": at, "updated_at": at}
    row = insert(call.db, "comments", **values)
    update(call.db, "issues", issue["id"], updated_at=at)
    tell(call.db, "issue.comment", call.repo, number=issue["number"], comment=row["id"])
    return Answer(201, comment_json(call, row, issue["number"]))


def get_comment(call: Call) -> Answer:
    """GET issues/comments/{comment_id}."""
    row = _demand(call)
    return Answer(200, comment_json(call, row, row["number"]))


def update_comment(call: Call) -> Answer:
    """PATCH issues/comments/{comment_id}."""
    row, body = _demand(call), _read(call)
    changed = update(call.db, "comments", row["id"], body=body, updated_at=now())
    return Answer(200, comment_json(call, changed, row["number"]))


def delete_comment(call: Call) -> Answer:
    """DELETE issues/comments/{comment_id}."""
    call.db.execute("DELETE FROM comments WHERE id = ?", (_demand(call)["id"],))
    return Answer(204)


_EITHER = "issues|pull_requests"  # a pull request's conversation is an issue's
_ISSUES = "/repos/{owner}/{repo}/issues"
ROUTES = [
    Route("GET", _ISSUES + "/comments/{comment_id}", get_comment, _EITHER),
    Route("PATCH", _ISSUES + "/comments/{comment_id}", update_comment, _EITHER),
    Route("DELETE", _ISSUES + "/comments/{comment_id}", delete_comment, _EITHER),
    Route("GET", _ISSUES + "/{issue_number}/comments", list_comments, _EITHER),
    Route("POST", _ISSUES + "/{issue_number}/comments", create_comment, _EITHER),
]
