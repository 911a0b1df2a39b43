"""Artifacts of runs. Their bytes are elsewhere, as on GitHub: at an address that nobody can guess and that needs no
token."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.problems import Problem, not_found
from cicd.localhub.runs import demand_run
from cicd.localhub.store import Row, count, insert, many, now, one


class NewArtifact(msgspec.Struct, frozen=True):
    name: str
    data: str


def add_artifact(call: Call) -> Answer:
    """POST _localhub/runs/{run_id}/artifacts: `data` is a zip in base64."""
    asked = call.read(NewArtifact)
    run = one(call.db, "SELECT id FROM runs WHERE id = ?", call.number("run_id"))
    if run is None:
        raise not_found()
    try:
        data = base64.b64decode(asked.data, validate=True)
    except binascii.Error:
        raise Problem(422, "`data` is no base64") from None
    values = {"name": asked.name, "data": data, "secret": secrets.token_hex(16), "created_at": now()}
    row = insert(call.db, "artifacts", run_id=run["id"], **values)
    return Answer(201, {"id": row["id"], "name": row["name"]})


def _json(call: Call, run: Row, row: Row) -> Json:
    url = f"{call.repo_url}/actions/artifacts/{row['id']}"
    head = {"id": run["id"], "head_branch": run["head_branch"] or "", "head_sha": run["head_sha"]}
    return {
        "id": row["id"],
        "node_id": node_id("Artifact", row["id"]),
        "name": row["name"],
        "size_in_bytes": len(row["data"]),
        "url": url,
        "archive_download_url": f"{url}/zip",
        "expired": False,
        "digest": f"sha256:{hashlib.sha256(row['data']).hexdigest()}",
        **dict.fromkeys(("created_at", "updated_at", "expires_at"), row["created_at"]),
        "workflow_run": {**head, "repository_id": call.repo["id"], "head_repository_id": call.repo["id"]},
    }


def list_artifacts(call: Call) -> Answer:
    """GET actions/runs/{run_id}/artifacts: newest first; `name` narrows it."""
    run, page, name = demand_run(call), page_of(call), call.query.get("name")
    where = "FROM artifacts WHERE run_id = ? AND (? IS NULL OR name = ?)"
    rows = many(call.db, f"SELECT * {where} ORDER BY id DESC LIMIT ? OFFSET ?", run["id"], name, name, *page.limits)
    total = count(call.db, f"SELECT count(*) {where}", run["id"], name, name)
    return paged(call, {"total_count": total, "artifacts": [_json(call, run, row) for row in rows]}, page, total)


def get_archive(call: Call) -> Answer:
    """GET actions/artifacts/{artifact_id}/{archive_format}: leads to the bytes. Raises 404 for another than zip."""
    sql = "SELECT a.* FROM artifacts a JOIN runs r ON r.id = a.run_id WHERE r.repo_id = ? AND a.id = ?"
    row = one(call.db, sql, call.repo["id"], call.number("artifact_id"))
    if row is None or call.params["archive_format"] != "zip":
        raise not_found()
    return Answer(302, None, {"location": f"{call.base}/_localhub/artifacts/{row['id']}/{row['secret']}"})


def get_bytes(call: Call) -> Answer:
    """GET _localhub/artifacts/{artifact_id}/{secret}."""
    sql = "SELECT data FROM artifacts WHERE id = ? AND secret = ?"
    row = one(call.db, sql, call.number("artifact_id"), call.params["secret"])
    if row is None:
        raise not_found()
    return Answer(200, row["data"])


_REPO = "/repos/{owner}/{repo}/actions"
ROUTES = [
    Route("GET", _REPO + "/runs/{run_id}/artifacts", list_artifacts, "actions"),
    Route("GET", _REPO + "/artifacts/{artifact_id}/{archive_format}", get_archive, "actions"),
]
LOCAL = [
    Route("POST", "/_localhub/runs/{run_id}/artifacts", add_artifact, "admin"),
    Route("GET", "/_localhub/artifacts/{artifact_id}/{secret}", get_bytes, "open"),
]
