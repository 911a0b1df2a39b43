"""Deployments and their statuses."""

from typing import Any

import pytest

from tests.localhub.hub import Hub, R

NEW: dict[str, Any] = {"ref": "main", "auto_merge": False, "required_contexts": [], "environment": "dev"}


def deploy(hub: Hub, **more: Any) -> int:
    return int(hub.alice.post(f"{R}/deployments", NEW | more)["id"])


def finish(hub: Hub, deployment: int, state: str = "success", **more: Any) -> None:
    hub.alice.post(f"{R}/deployments/{deployment}/statuses", {"state": state, **more})


def states(hub: Hub, deployment: int) -> list[str]:
    return [entry["state"] for entry in hub.alice.get(f"{R}/deployments/{deployment}/statuses")]


@pytest.mark.parametrize("payload", [{"cicd": 1, "deep": {"ä": [1, None]}}, '{"a": 1}', "", "not json", {}])
def test_payload_comes_back_as_it_was_sent(hub: Hub, payload: Any) -> None:
    number = deploy(hub, payload=payload)
    assert hub.alice.get(f"{R}/deployments/{number}")["payload"] == payload


def test_defaults(hub: Hub) -> None:
    made = hub.alice.post(f"{R}/deployments", {"ref": "v1"})
    assert (made["environment"], made["production_environment"], made["task"]) == ("production", True, "deploy")
    assert hub.alice.get(f"{R}/deployments/{deploy(hub)}")["production_environment"] is False
    assert hub.alice.get(f"{R}/environments/production")["protection_rules"] == [], "made, and unprotected"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ref": "nowhere"}, "No ref found for: nowhere"),
        ({"description": "x" * 141}, "Validation Failed"),
        ({"payload": 7}, "Invalid request"),
        ({"required_contexts": "ci"}, "Invalid request"),
    ],
)
def test_refusals(hub: Hub, change: dict[str, Any], said: str) -> None:
    assert said in hub.alice.post(f"{R}/deployments", NEW | change, 422)["message"]
    hub.alice.post(f"{R}/deployments", {}, 422)
    assert hub.alice.get(f"{R}/deployments") == []


def test_required_contexts(hub: Hub) -> None:
    sha = hub.git("rev-parse", "main")
    body = {**NEW, "required_contexts": ["ci"]}
    refused = hub.alice.call("POST", f"{R}/deployments", body)
    assert refused.status == 409
    assert refused.body["errors"][0]["contexts"] == [{"context": "ci", "state": "pending"}]
    hub.alice.post(f"{R}/statuses/{sha}", {"state": "failure", "context": "ci"})
    every = {key: value for key, value in NEW.items() if key != "required_contexts"}
    assert hub.alice.call("POST", f"{R}/deployments", every).status == 409
    hub.alice.post(f"{R}/statuses/{sha}", {"state": "success", "context": "ci"})
    assert hub.alice.call("POST", f"{R}/deployments", body).status == 201
    hub.alice.post(f"{R}/check-runs", {"name": "lint", "head_sha": sha, "status": "in_progress"})
    assert hub.alice.call("POST", f"{R}/deployments", every).status == 409
    hub.alice.post(f"{R}/check-runs", {"name": "lint", "head_sha": sha, "conclusion": "success"})
    assert hub.alice.call("POST", f"{R}/deployments", every).status == 201


def test_auto_merge(hub: Hub) -> None:
    hub.git("branch", "topic", "main~1")
    body = {"ref": "topic", "required_contexts": []}
    merged = hub.alice.call("POST", f"{R}/deployments", body)
    assert (merged.status, "Auto-merged main into topic" in merged.body["message"]) == (202, True)
    assert hub.git("merge-base", "--is-ancestor", "main", "topic") == ""
    assert hub.alice.call("POST", f"{R}/deployments", body).status == 201
    hub.git("branch", "clash", "main~1")
    hub.commit("other words", branch="clash")
    refused = hub.alice.call("POST", f"{R}/deployments", {"ref": "clash", "required_contexts": []})
    assert (refused.status, refused.body["message"]) == (409, "Conflict merging main into clash.")


def test_auto_inactive(hub: Hub) -> None:
    first, other, second = deploy(hub), deploy(hub, environment="qa"), deploy(hub)
    finish(hub, first)
    finish(hub, other)
    failed = deploy(hub)
    finish(hub, failed, "failure")
    finish(hub, second)
    assert states(hub, first) == ["inactive", "success"]
    assert (states(hub, other), states(hub, failed)) == (["success"], ["failure"])
    third = deploy(hub)
    finish(hub, third, auto_inactive=False)
    assert states(hub, second) == ["success"]


def test_auto_inactive_leaves_production_alone(hub: Hub) -> None:
    first, second = deploy(hub, environment="production"), deploy(hub, environment="production")
    finish(hub, first)
    finish(hub, second)
    assert states(hub, first) == ["success"]
    quiet = [deploy(hub, environment="x", transient_environment=True) for _ in range(2)]
    for number in quiet:
        finish(hub, number)
    assert states(hub, quiet[0]) == ["success"]


def test_status_refusals(hub: Hub) -> None:
    number = deploy(hub)
    target = f"{R}/deployments/{number}/statuses"
    hub.alice.post(target, {"state": "finished"}, 422)
    hub.alice.post(target, {"state": "success", "description": "x" * 141}, 422)
    hub.alice.post(f"{R}/deployments/999/statuses", {"state": "success"}, 404)
    assert states(hub, number) == []


def test_filters_and_pages(hub: Hub) -> None:
    numbers = [deploy(hub, task="cicd") for _ in range(5)]
    deploy(hub)
    deploy(hub, environment="qa", task="cicd", ref="v1")
    found: list[int] = []
    target: str | None = f"{R}/deployments?environment=dev&task=cicd&per_page=2"
    while target:
        reply = hub.alice.call("GET", target)
        found += [entry["id"] for entry in reply.body]
        links = dict(part.split("; ")[::-1] for part in reply.headers.get("link", "").split(", ") if part)
        following = links.get('rel="next"')
        target = following[1:-1].removeprefix(hub.url) if following else None
        assert following is None or following.startswith(f"<{hub.url}{R}/deployments?")
    assert found == numbers[::-1]
    assert [entry["ref"] for entry in hub.alice.get(f"{R}/deployments?ref=v1")] == ["v1"]
    assert hub.alice.get(f"{R}/deployments?sha={'0' * 40}") == []


@pytest.mark.parametrize(
    "page", ["page=0", "page=-1", "page=x", "per_page=0", "per_page=99999", "page=99999999999999", "page=²"]
)
def test_nonsense_pages(hub: Hub, page: str) -> None:
    deploy(hub)
    reply = hub.alice.raw("GET", f"{R}/deployments?{page}".replace("²", "%C2%B2"))
    assert (reply.status, len(reply.body)) == (200, 1)


def test_list_in_any_case(hub: Hub) -> None:
    deploy(hub, environment="Dev")
    assert len(hub.alice.get("/repos/ACME/Shop/deployments?environment=dev")) == 1
