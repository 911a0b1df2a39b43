"""Pull requests, as far as reports are about them: each is an issue with a head and a base; none is merged here."""

from __future__ import annotations

import msgspec

from cicd.localhub.admin import demand_sha
from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.issues import add_issue
from cicd.localhub.repos import repository_of
from cicd.localhub.store import Row, count, insert, many, one
from cicd.localhub.users import ensure_user, simple_user, user_json

_JOINED = "pulls p JOIN issues i ON i.id = p.issue_id"
_COLUMNS = "i.*, p.id AS pull_id, p.head_owner, p.head_ref, p.head_sha, p.base_ref, p.base_sha"
_FOUND = f"SELECT {_COLUMNS} FROM {_JOINED}"  # noqa: S608 (our own text)


class NewPull(msgspec.Struct, frozen=True):
    title: str
    head: str
    base: str = ""
    sha: str = ""
    author: str = ""


def open_pull(call: Call) -> Answer:
    """POST _localhub/repos/{owner}/{repo}/pulls: `head` is a branch, or `owner:branch` of a fork, at `sha`."""
    asked = call.read(NewPull)
    fork, _, branch = asked.head.rpartition(":")
    owner, base = fork or call.repo["owner"], asked.base or call.repo["default_branch"]
    ensure_user(call.db, owner)
    author = ensure_user(call.db, asked.author or owner)
    issue = add_issue(call.db, call.repo, asked.title, None, author["id"])
    insert(
        call.db,
        "pulls",
        issue_id=issue["id"],
        head_owner=owner,
        head_ref=branch,
        head_sha=demand_sha(call, asked.sha or branch),
        base_ref=base,
        base_sha=demand_sha(call, base),
    )
    row = one(call.db, f"{_FOUND} WHERE i.id = ?", issue["id"])
    assert row is not None, "it was just made"
    return Answer(201, pull_json(call, row))


def _end(call: Call, owner: str, ref: str, sha: str) -> Json:
    user = one(call.db, "SELECT * FROM users WHERE login = ?", owner)
    return {
        "label": f"{owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": simple_user(call.base, user) if user else None,
        "repo": repository_of(call, owner),
    }


def pull_json(call: Call, row: Row) -> Json:
    """GitHub's `pull-request-simple`."""
    number = row["number"]
    url, html, issue = f"{call.repo_url}/pulls/{number}", f"{call.html_url}/pull/{number}", f"issues/{number}"
    links = {
        "self": url,
        "html": html,
        "issue": f"{call.repo_url}/{issue}",
        "comments": f"{call.repo_url}/{issue}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{call.repo_url}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{call.repo_url}/statuses/{row['head_sha']}",
    }
    copied = ("id", "number", "title", "body", "state", "created_at", "updated_at", "closed_at")
    return {
        **{key: row[key] for key in copied},
        "node_id": node_id("PullRequest", row["pull_id"]),
        "url": url,
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        **{f"{key}_url": links[key] for key in ("issue", "comments", "review_comments", "commits", "statuses")},
        "review_comment_url": links["review_comment"],
        "user": user_json(call, row["user_id"]),
        **dict.fromkeys(("merged_at", "merge_commit_sha", "assignee", "milestone", "auto_merge")),
        **{key: [] for key in ("labels", "assignees", "requested_reviewers", "requested_teams")},
        "locked": False,
        "draft": False,
        "author_association": "CONTRIBUTOR",
        "head": _end(call, row["head_owner"], row["head_ref"], row["head_sha"]),
        "base": _end(call, call.repo["owner"], row["base_ref"], row["base_sha"]),
        "_links": {name: {"href": address} for name, address in links.items()},
    }


def list_pulls(call: Call) -> Answer:
    """GET pulls: newest first; filters state (open, closed, all), head (`owner:branch`), base."""
    where, values = ["i.repo_id = ?"], [call.repo["id"]]
    state = call.query.get("state", "open")
    if state in ("open", "closed"):
        where.append("i.state = ?")
        values.append(state)
    owner, _, branch = call.query.get("head", "").partition(":")
    if branch:  # GitHub does not filter by a head that is not `owner:branch`
        where.append("p.head_owner = ? AND p.head_ref = ?")
        values += [owner, branch]
    if base := call.query.get("base"):
        where.append("p.base_ref = ?")
        values.append(base)
    found, page = " AND ".join(where), page_of(call)
    rows = many(call.db, f"{_FOUND} WHERE {found} ORDER BY i.number DESC LIMIT ? OFFSET ?", *values, *page.limits)
    total = count(call.db, f"SELECT count(*) FROM {_JOINED} WHERE {found}", *values)  # noqa: S608 (our own text)
    return paged(call, [pull_json(call, row) for row in rows], page, total)


ROUTES = [Route("GET", "/repos/{owner}/{repo}/pulls", list_pulls, "pull_requests")]
LOCAL = [Route("POST", "/_localhub/repos/{owner}/{repo}/pulls", open_pull, "admin")]
