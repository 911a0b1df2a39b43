"""Labels."""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.problems import invalid, not_found
from cicd.localhub.store import Row, count, insert, many, one

DEFAULT_COLOR = "ededed"


class NewLabel(msgspec.Struct, frozen=True):
    name: str
    color: str = DEFAULT_COLOR
    description: str | None = None


def label_json(call: Call, row: Row) -> Json:
    """GitHub's `label`."""
    return {
        "id": row["id"],
        "node_id": node_id("Label", row["id"]),
        "url": f"{call.repo_url}/labels/{quote(row['name'], safe='')}",
        "name": row["name"],
        "description": row["description"],
        "color": row["color"],
        "default": False,
    }


def find_label(call: Call, name: str) -> Row | None:
    """A label by its name, in whatever case."""
    return one(call.db, "SELECT * FROM labels WHERE repo_id = ? AND name = ?", call.repo["id"], name)


def ensure_label(call: Call, name: str) -> Row:
    """The label of this name; made if there is none, as an issue does that names it."""
    return find_label(call, name) or insert(call.db, "labels", repo_id=call.repo["id"], name=name, color=DEFAULT_COLOR)


def list_labels(call: Call) -> Answer:
    """GET labels."""
    page = page_of(call)
    sql = "SELECT * FROM labels WHERE repo_id = ? ORDER BY name LIMIT ? OFFSET ?"
    rows = many(call.db, sql, call.repo["id"], *page.limits)
    total = count(call.db, "SELECT count(*) FROM labels WHERE repo_id = ?", call.repo["id"])
    return paged(call, [label_json(call, row) for row in rows], page, total)


def create_label(call: Call) -> Answer:
    """POST labels. Raises 422 for a name that exists or a colour that is not six hex digits."""
    asked = call.read(NewLabel)
    if not asked.name:
        raise invalid("Label", "name", code="missing_field")
    if not re.fullmatch(r"[0-9a-fA-F]{6}", asked.color):
        raise invalid("Label", "color", code="invalid")
    if find_label(call, asked.name):
        raise invalid("Label", "name", code="already_exists")
    return Answer(
        201, label_json(call, insert(call.db, "labels", repo_id=call.repo["id"], **msgspec.structs.asdict(asked)))
    )


def get_label(call: Call) -> Answer:
    """GET labels/{name}."""
    row = find_label(call, call.params["name"])
    if row is None:
        raise not_found()
    return Answer(200, label_json(call, row))


ROUTES = [
    Route("GET", "/repos/{owner}/{repo}/labels", list_labels, "issues"),
    Route("POST", "/repos/{owner}/{repo}/labels", create_label, "issues"),
    Route("GET", "/repos/{owner}/{repo}/labels/{name}", get_label, "issues"),
]
