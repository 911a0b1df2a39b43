"""Annotations of check runs: marks on lines of files."""

from __future__ import annotations

import json
from typing import Literal

import msgspec

from cicd.localhub.calls import Answer, Call, Route, page_of, paged
from cicd.localhub.problems import Problem, not_found
from cicd.localhub.store import Db, count, insert, many, one

MAX_PER_REQUEST = 50
MAX_BYTES = {"message": 64 * 1024, "raw_details": 64 * 1024}
MAX_TITLE = 255  # characters


class Annotation(msgspec.Struct, frozen=True):
    path: str
    start_line: int
    end_line: int
    annotation_level: Literal["notice", "warning", "failure"]
    message: str
    start_column: int | None = None
    end_column: int | None = None
    title: str | None = None
    raw_details: str | None = None


def add_annotations(db: Db, check_run_id: int, annotations: list[Annotation]) -> None:
    """Add to a check run. Raises 422 for over 50 at once, and for texts over their limits."""
    if len(annotations) > MAX_PER_REQUEST:
        text = f"No more than {MAX_PER_REQUEST} items are allowed; {len(annotations)} were supplied."
        raise Problem(422, f"Invalid request.\n\n{text}")
    for annotation in annotations:
        for field, most in MAX_BYTES.items():
            if len((getattr(annotation, field) or "").encode()) > most:
                raise Problem(422, f"Invalid request.\n\n{field} is too long (maximum is {most // 1024} KB).")
        if len(annotation.title or "") > MAX_TITLE:
            raise Problem(422, f"Invalid request.\n\ntitle is too long (maximum is {MAX_TITLE} characters).")
        data = json.dumps(msgspec.to_builtins(annotation))
        insert(db, "annotations", check_run_id=check_run_id, data=data)


def list_annotations(call: Call) -> Answer:
    """GET check-runs/{check_run_id}/annotations."""
    sql = "SELECT * FROM check_runs WHERE repo_id = ? AND id = ?"
    check = one(call.db, sql, call.repo["id"], call.number("check_run_id"))
    if check is None:
        raise not_found()
    page = page_of(call)
    sql = "SELECT data FROM annotations WHERE check_run_id = ? ORDER BY id LIMIT ? OFFSET ?"
    found = [json.loads(row["data"]) for row in many(call.db, sql, check["id"], *page.limits)]
    where = f"{call.html_url}/blob/{check['head_sha']}"
    body = [{**data, "blob_href": f"{where}/{data['path']}"} for data in found]
    total = count(call.db, "SELECT count(*) FROM annotations WHERE check_run_id = ?", check["id"])
    return paged(call, body, page, total)


_LIST = "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations"
ROUTES = [Route("GET", _LIST, list_annotations, "checks")]
