"""Runs that wait at an environment, and the people who let them go on."""

from typing import Any

import pytest

from tests.localhub.hub import Hub, R, Run


def status(hub: Hub, run: Run) -> str:
    return str(hub.alice.get(f"{R}/actions/runs/{run.id}")["status"])


def pending(hub: Hub, run: Run) -> list[str]:
    found = run.caller.get(f"{R}/actions/runs/{run.id}/pending_deployments")
    return [entry["environment"]["name"] for entry in found]


def review(hub: Hub, run: Run, by: str, environments: list[int], state: str = "approved", status: int = 200) -> Any:
    body = {"environment_ids": environments, "state": state, "comment": "seen"}
    caller = getattr(hub, by) if by != "run" else run.caller
    return caller.post(f"{R}/actions/runs/{run.id}/pending_deployments", body, status)


def test_without_reviewers_nothing_waits(hub: Hub) -> None:
    hub.protect("dev")
    run = hub.run()
    assert status(hub, run) == "queued"
    assert hub.reach(run, "dev")["waits_for"] == []
    assert (status(hub, run), pending(hub, run)) == ("in_progress", [])
    hub.reach(run, "misspelled")
    assert hub.alice.get(f"{R}/environments/misspelled")["protection_rules"] == []


def test_approval(hub: Hub) -> None:
    number = hub.protect("prod", "alice")
    run = hub.run(actor="bob")
    for _ in range(2):
        assert hub.reach(run, "prod")["waits_for"] == ["prod"]
    assert (status(hub, run), pending(hub, run)) == ("waiting", ["prod"])
    assert len(hub.alice.get(f"{R}/actions/runs/{run.id}/jobs")["jobs"]) == 1, "the same job again is the same job"
    assert run.caller.get(f"{R}/actions/runs/{run.id}/approvals") == []
    assert review(hub, run, "run", [number], status=403)["message"] == "Resource not accessible by integration"
    review(hub, run, "bob", [number], status=403)
    review(hub, run, "alice", [number + 1], status=422)
    review(hub, run, "alice", [], status=422)
    assert pending(hub, run) == ["prod"]
    made = review(hub, run, "alice", [number])
    assert [entry["environment"] for entry in made] == ["prod"]
    assert (status(hub, run), pending(hub, run)) == ("in_progress", [])
    (approval,) = run.caller.get(f"{R}/actions/runs/{run.id}/approvals")
    assert (approval["state"], approval["user"]["login"], approval["comment"]) == ("approved", "alice", "seen")
    assert approval.keys() == {"state", "user", "comment", "environments"}, "neither time nor attempt"
    review(hub, run, "alice", [number], status=422)


def test_rejection_fails_the_run(hub: Hub) -> None:
    number = hub.protect("prod", "alice", "bob")
    run = hub.run()
    hub.reach(run, "prod")
    review(hub, run, "bob", [number], "rejected")
    found = hub.alice.get(f"{R}/actions/runs/{run.id}")
    assert (found["status"], found["conclusion"]) == ("completed", "failure")
    job = hub.alice.get(f"{R}/actions/runs/{run.id}/jobs")["jobs"][0]
    assert job["conclusion"] == "failure"


def test_self_review(hub: Hub) -> None:
    number = hub.protect("prod", "alice", "bob", prevent_self_review=True)
    run = hub.run(actor="alice")
    hub.reach(run, "prod")
    shown = [
        caller.get(f"{R}/actions/runs/{run.id}/pending_deployments")[0]["current_user_can_approve"]
        for caller in (hub.alice, hub.bob)
    ]
    assert shown == [False, True]
    review(hub, run, "alice", [number], status=403)
    review(hub, run, "bob", [number])


def test_two_environments_all_or_none(hub: Hub) -> None:
    first, second = hub.protect("eu", "alice"), hub.protect("us", "bob")
    run = hub.run()
    hub.reach(run, "eu")
    hub.reach(run, "us")
    review(hub, run, "alice", [first, second], status=403)
    assert pending(hub, run) == ["eu", "us"]
    assert run.caller.get(f"{R}/actions/runs/{run.id}/approvals") == []
    review(hub, run, "alice", [first])
    assert (status(hub, run), pending(hub, run)) == ("waiting", ["us"])


def test_a_new_attempt_asks_again(hub: Hub) -> None:
    number = hub.protect("prod", "alice")
    run = hub.run()
    hub.reach(run, "prod")
    review(hub, run, "alice", [number])
    hub.admin.expect(200, "PATCH", f"/_localhub/runs/{run.id}", {"status": "completed", "conclusion": "failure"})
    hub.admin.expect(200, "PATCH", f"/_localhub/runs/{run.id}", {"attempt": 2})
    assert hub.reach(run, "prod")["waits_for"] == ["prod"]
    assert hub.alice.get(f"{R}/actions/runs/{run.id}")["run_attempt"] == 2
    assert len(hub.alice.get(f"{R}/actions/runs/{run.id}/jobs?filter=all")["jobs"]) == 2


def test_wait_timer(hub: Hub) -> None:
    hub.protect("prod", wait_timer=10)
    run = hub.run()
    hub.reach(run, "prod")
    (entry,) = run.caller.get(f"{R}/actions/runs/{run.id}/pending_deployments")
    assert entry["wait_timer"] == 10
    assert entry["wait_timer_started_at"]
    assert status(hub, run) == "waiting"


def test_whose_token(hub: Hub) -> None:
    mine, other = hub.run(), hub.run()
    body = {"name": "x", "environment": "dev"}
    target = f"/_localhub/runs/{mine.id}/jobs"
    assert other.caller.call("POST", target, body).status == 403
    assert hub.caller(None).call("POST", target, body).status == 401
    assert hub.caller("wrong").call("POST", target, body).status == 401
    assert hub.admin.call("POST", target, body).status == 201
    assert mine.caller.call("POST", "/_localhub/runs/99/jobs", body).status == 403


def test_a_run_started_by_hand_is_registered(hub: Hub) -> None:
    hub.protect("prod", "alice")
    app = hub.app(actions="read", deployments="write")
    sha = hub.git("rev-parse", "main~1")
    body = {
        "name": "deploy",
        "environment": "prod",
        "repo": "acme/shop",
        "sha": sha,
        "workflow": "Deploy",
        "actor": "bob",
    }
    assert app.post("/_localhub/runs/7701/jobs", body)["waits_for"] == ["prod"]
    run = app.get(f"{R}/actions/runs/7701")
    assert (run["head_sha"], run["path"], run["actor"]["login"]) == (sha, ".github/workflows/deploy.yml", "bob")
    assert app.call("POST", "/_localhub/runs/7702/jobs", body | {"repo": "acme/other"}).status == 404
    assert app.call("POST", "/_localhub/runs/7702/jobs", body | {"sha": "0" * 40}).status == 422
    app.get(f"{R}/actions/runs/7702", 404)


def test_job_makes_a_deployment_as_github_does(hub: Hub) -> None:
    hub.protect("dev")
    run = hub.run()
    hub.reach(run, "dev")
    (made,) = hub.alice.get(f"{R}/deployments")
    assert (made["task"], made["environment"]) == ("deploy", "dev")
    hub.admin.expect(200, "PATCH", f"/_localhub/runs/{run.id}", {"status": "completed", "conclusion": "success"})
    states = [entry["state"] for entry in hub.alice.get(f"{R}/deployments/{made['id']}/statuses")]
    assert states == ["success", "in_progress"]
    quiet = hub.run()
    hub.reach(quiet, "dev", deployment=False)
    assert len(hub.alice.get(f"{R}/deployments")) == 1


def test_plan(hub: Hub) -> None:
    run = hub.run()
    target = f"/_localhub/runs/{run.id}/plan"
    run.caller.post(target, {"environment": "prod", "markdown": "# one"}, 204)
    run.caller.post(target, {"environment": "prod", "markdown": "x" * 70_000}, 422)
    assert hub.run().caller.call("POST", target, {"environment": "prod", "markdown": "#"}).status == 403


DISPATCHES = [
    ({"ref": "main", "inputs": {"environment": "dev"}}, 204, {"environment": "dev", "dry": "false"}),
    ({"ref": "v1", "inputs": {"environment": "dev", "dry": True}}, 204, {"environment": "dev", "dry": "true"}),
    ({"ref": "main"}, 422, "Required input 'environment' not provided"),
    ({"ref": "main", "inputs": {"environment": "moon"}}, 422, "not in the list of allowed values"),
    ({"ref": "main", "inputs": {"environment": "dev", "x": "y"}}, 422, 'Unexpected inputs provided: ["x"]'),
    ({"ref": "nowhere", "inputs": {"environment": "dev"}}, 422, "No ref found for: nowhere"),
    ({"inputs": {}}, 422, "ref"),
]


@pytest.mark.parametrize(("body", "wanted", "said"), DISPATCHES)
def test_dispatch(hub: Hub, body: dict[str, Any], wanted: int, said: Any) -> None:
    answer = hub.alice.post(f"{R}/actions/workflows/deploy.yml/dispatches", body, wanted)
    queued = hub.admin.get("/_localhub/runs?status=queued")["runs"]
    if wanted == 204:
        assert [(run["event"], run["actor"], run["inputs"]) for run in queued] == [("workflow_dispatch", "alice", said)]
    else:
        assert said in answer["message"]
        assert queued == []


def test_dispatch_needs_the_trigger(hub: Hub) -> None:
    hub.commit("on: push\njobs: {}\n", file=".github/workflows/push.yml")
    body = {"ref": "main"}
    answer = hub.alice.post(f"{R}/actions/workflows/push.yml/dispatches", body, 422)
    assert answer["message"] == "Workflow does not have 'workflow_dispatch' trigger"
    hub.alice.post(f"{R}/actions/workflows/none.yml/dispatches", body, 404)
    hub.commit("on: [\n", file=".github/workflows/broken.yml")
    hub.alice.post(f"{R}/actions/workflows/broken.yml/dispatches", body, 422)


def test_repository_dispatch_and_taking_a_run(hub: Hub) -> None:
    hub.alice.post(f"{R}/dispatches", {"event_type": "other"}, 204)
    hub.alice.post(f"{R}/dispatches", {"event_type": "go", "client_payload": {"a": 1}}, 204)
    (run,) = hub.admin.get("/_localhub/runs?status=queued")["runs"]
    assert (run["event"], run["inputs"]["client_payload"]) == ("repository_dispatch", {"a": 1})
    token = hub.admin.post(f"/_localhub/runs/{run['id']}/token", {})["token"]
    assert hub.caller(token).get(f"{R}/actions/runs/{run['id']}")["event"] == "repository_dispatch"
    hub.admin.expect(200, "PATCH", f"/_localhub/runs/{run['id']}", {"status": "completed", "conclusion": "success"})
    assert hub.admin.get("/_localhub/runs?status=queued")["runs"] == []
    kinds = [event["kind"] for event in hub.admin.get("/_localhub/events")["events"]]
    assert kinds[-2:] == ["run.queued", "run.completed"]


def test_run_filters(hub: Hub) -> None:
    hub.protect("prod", "alice")
    waiting, queued, done = hub.run("alice"), hub.run("bob"), hub.run("bob")
    hub.reach(waiting, "prod")
    hub.admin.expect(200, "PATCH", f"/_localhub/runs/{done.id}", {"status": "completed", "conclusion": "cancelled"})
    for query, wanted in {
        "": [done.id, queued.id, waiting.id],
        "?status=waiting": [waiting.id],
        "?status=queued": [queued.id],
        "?status=cancelled": [done.id],
        "?actor=ALICE": [waiting.id],
        "?branch=none": [],
        "?event=workflow_dispatch&per_page=1": [done.id],
        f"?head_sha={hub.git('rev-parse', 'main')}&actor=bob": [done.id, queued.id],
    }.items():
        found = hub.alice.get(f"{R}/actions/runs{query}")
        assert [run["id"] for run in found["workflow_runs"]] == wanted, query
