"""Events that start runs: workflow_dispatch and repository_dispatch."""

from __future__ import annotations

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route
from cicd.localhub.history import find_commit
from cicd.localhub.problems import Problem, invalid, too_long
from cicd.localhub.runs import create_run
from cicd.localhub.users import user_row
from cicd.localhub.workflows import check_inputs, demand_workflow, ensure_workflow, files, triggers

MAX_EVENT_TYPE = 100
MAX_PAYLOAD_KEYS = 10


class Dispatch(msgspec.Struct, frozen=True):
    ref: str
    inputs: Json = {}
    return_run_details: bool = False


class RepositoryEvent(msgspec.Struct, frozen=True):
    event_type: str
    client_payload: Json = {}


def dispatch_workflow(call: Call) -> Answer:
    """POST actions/workflows/{workflow_id}/dispatches: a queued run.

    Raises:
        Problem: 404 for an unknown workflow; 422 for an unknown ref, a workflow without the trigger, and inputs that
            are not declared, missing or not among the options.
    """
    workflow, asked = demand_workflow(call), call.read(Dispatch)
    commit = find_commit(call.db, call.repo, asked.ref)
    if commit is None:
        raise Problem(422, f"No ref found for: {asked.ref}")
    content = files(commit).get(workflow["path"])
    on = triggers(content or {})
    if "workflow_dispatch" not in on:
        raise Problem(422, "Workflow does not have 'workflow_dispatch' trigger")
    run = create_run(
        call.db,
        call.repo,
        workflow,
        actor=user_row(call.db, call.user_id),
        event="workflow_dispatch",
        sha=str(commit.id),
        branch=_short(asked.ref),
        inputs=check_inputs(on["workflow_dispatch"].get("inputs") or {}, asked.inputs),
    )
    if not asked.return_run_details:
        return Answer(204)
    path = f"actions/runs/{run['id']}"
    urls = {"run_url": f"{call.repo_url}/{path}", "html_url": f"{call.html_url}/{path}"}
    return Answer(200, {"workflow_run_id": run["id"], **urls})


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def dispatch_repository(call: Call) -> Answer:
    """POST dispatches: a queued run of every workflow of the default branch that listens for the type."""
    asked = call.read(RepositoryEvent)
    if len(asked.event_type) > MAX_EVENT_TYPE:
        raise too_long("RepositoryDispatch", "event_type", MAX_EVENT_TYPE)
    if len(asked.client_payload) > MAX_PAYLOAD_KEYS:
        raise invalid("RepositoryDispatch", "client_payload", f"No more than {MAX_PAYLOAD_KEYS} properties are allowed")
    branch = call.repo["default_branch"]
    commit = find_commit(call.db, call.repo, branch)
    if commit is None:
        return Answer(204)
    for path, content in files(commit).items():
        on = triggers(content).get("repository_dispatch")
        if on is None or not _listens(on.get("types"), asked.event_type):
            continue
        create_run(
            call.db,
            call.repo,
            ensure_workflow(call.db, call.repo, path, str(content.get("name") or path)),
            actor=user_row(call.db, call.user_id),
            event="repository_dispatch",
            sha=str(commit.id),
            branch=branch,
            inputs={"action": asked.event_type, "client_payload": asked.client_payload},
        )
    return Answer(204)


def _listens(types: object, event_type: str) -> bool:
    return not types or event_type == types or (isinstance(types, list) and event_type in types)


ROUTES = [
    Route(
        "POST",
        "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches",
        dispatch_workflow,
        "actions",
        "write",
    ),
    Route("POST", "/repos/{owner}/{repo}/dispatches", dispatch_repository, "contents"),
]
