"""Workflows: the files under .github/workflows of the default branch."""

from __future__ import annotations

from typing import Any

import pygit2
import yaml

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.history import blob_at, find_commit
from cicd.localhub.problems import Problem, not_found
from cicd.localhub.store import Db, Row, insert, now, one, update

FOLDER = ".github/workflows"


def load(data: bytes) -> Json:
    """A workflow file; empty if it is no YAML mapping. YAML 1.1 reads the key `on` as true."""
    try:
        parsed = yaml.safe_load(data)
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    if not isinstance(parsed, dict):
        return {}
    return {"on" if key is True else str(key): value for key, value in parsed.items()}


def triggers(workflow: Json) -> Json:
    """Events that start a workflow, each with its settings."""
    on = workflow.get("on")
    if isinstance(on, str):
        return {on: {}}
    if isinstance(on, list):
        return {str(event): {} for event in on}
    return {str(event): settings or {} for event, settings in on.items()} if isinstance(on, dict) else {}


def files(commit: pygit2.Commit) -> dict[str, Json]:
    """Path to content of every workflow file of a commit."""
    folder = blob_at(commit, FOLDER)
    if not isinstance(folder, pygit2.Tree):
        return {}
    blobs = [entry for entry in folder if isinstance(entry, pygit2.Blob) and entry.name]
    return {f"{FOLDER}/{blob.name}": load(blob.data) for blob in blobs if str(blob.name).endswith((".yml", ".yaml"))}


def ensure_workflow(db: Db, repo: Row, path: str, name: str | None = None) -> Row:
    """The row of a workflow file, which gives it its number; its name follows the file."""
    row = one(db, "SELECT * FROM workflows WHERE repo_id = ? AND path = ?", repo["id"], path)
    if row is None:
        return insert(db, "workflows", repo_id=repo["id"], path=path, name=name or path, created_at=now())
    return row if name in (None, row["name"]) else update(db, "workflows", row["id"], name=name)


def find_workflow(db: Db, repo: Row, wanted: str) -> Row:
    """A workflow by path, file name or name; one that is not in the repository is registered as it is called."""
    for row in known(db, repo):
        if wanted in (row["path"], row["path"].rpartition("/")[2], row["name"]):
            return row
    return ensure_workflow(db, repo, wanted)


def known(db: Db, repo: Row) -> list[Row]:
    """Rows of the workflows of the default branch."""
    head = find_commit(db, repo, repo["default_branch"])
    found = files(head) if head else {}
    return [ensure_workflow(db, repo, path, _name(content, path)) for path, content in found.items()]


def _name(content: Json, path: str) -> str:
    name: Any = content.get("name")
    return str(name) if name else path


def demand_workflow(call: Call) -> Row:
    """The workflow of the path, by number or by file name. Raises 404."""
    wanted = call.params["workflow_id"]
    for row in known(call.db, call.repo):
        if wanted in (str(row["id"]), row["path"].rpartition("/")[2]):
            return row
    raise not_found()


def workflow_json(call: Call, row: Row) -> Json:
    """GitHub's `workflow`."""
    file = row["path"].rpartition("/")[2]
    return {
        "id": row["id"],
        "node_id": node_id("Workflow", row["id"]),
        "name": row["name"],
        "path": row["path"],
        "state": "active",
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
        "url": f"{call.repo_url}/actions/workflows/{row['id']}",
        "html_url": f"{call.html_url}/blob/{call.repo['default_branch']}/{row['path']}",
        "badge_url": f"{call.html_url}/workflows/{file}/badge.svg",
    }


def list_workflows(call: Call) -> Answer:
    """GET actions/workflows."""
    page, rows = page_of(call), known(call.db, call.repo)
    size, start = page.limits
    body = [workflow_json(call, row) for row in rows[start : start + size]]
    return paged(call, {"total_count": len(rows), "workflows": body}, page, len(rows))


def get_workflow(call: Call) -> Answer:
    """GET actions/workflows/{workflow_id}."""
    return Answer(200, workflow_json(call, demand_workflow(call)))


def check_inputs(declared: Json, given: Json) -> dict[str, str]:
    """The inputs of a dispatch with defaults filled in, as strings. Raises 422 as GitHub words it."""
    if len(given) > 25:
        raise Problem(422, "you may only define up to 25 `inputs` for a `workflow_dispatch` event")
    if unexpected := [name for name in given if name not in declared]:
        raise Problem(422, f"Unexpected inputs provided: {_listed(unexpected)}")
    values = {}
    for name, settings in declared.items():
        settings = settings if isinstance(settings, dict) else {}
        value = given.get(name, settings.get("default"))
        if value in (None, "") and settings.get("required"):
            raise Problem(422, f"Required input '{name}' not provided")
        options = [str(option) for option in settings.get("options") or []]
        if settings.get("type") == "choice" and value not in (None, "") and str(value) not in options:
            raise Problem(422, f"Provided value '{value}' for input '{name}' not in the list of allowed values")
        if value is not None:
            values[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return values


def _listed(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


ROUTES = [
    Route("GET", "/repos/{owner}/{repo}/actions/workflows", list_workflows, "actions", "write"),
    Route("GET", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}", get_workflow, "actions", "write"),
]
