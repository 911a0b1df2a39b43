"""Environments and their protection."""

import pytest

from tests.localhub.hub import Hub, R


def test_put_wipes_what_is_not_restated(hub: Hub) -> None:
    hub.protect("prod", "alice", wait_timer=3, prevent_self_review=True)
    rules = hub.alice.get(f"{R}/environments/prod")["protection_rules"]
    assert [rule["type"] for rule in rules] == ["wait_timer", "required_reviewers"]
    assert rules[1]["prevent_self_review"] is True
    assert [entry["reviewer"]["login"] for entry in rules[1]["reviewers"]] == ["alice"]
    hub.alice.expect(200, "PUT", f"{R}/environments/prod", {"wait_timer": 1})
    rules = hub.alice.get(f"{R}/environments/prod")["protection_rules"]
    assert [rule["type"] for rule in rules] == ["wait_timer"]
    hub.alice.expect(200, "PUT", f"{R}/environments/prod")
    assert hub.alice.get(f"{R}/environments/prod")["protection_rules"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"wait_timer": -1},
        {"wait_timer": 43_201},
        {"wait_timer": "soon"},
        {"reviewers": [{"type": "User", "id": 1}]},
        {"reviewers": [{"type": "Robot", "id": 1}]},
        {"reviewers": [{"type": "User", "id": 1}] * 7},
        {"deployment_branch_policy": {"protected_branches": True, "custom_branch_policies": True}},
    ],
)
def test_wrong_rules(hub: Hub, body: dict[str, object]) -> None:
    hub.alice.expect(422, "PUT", f"{R}/environments/prod", body)
    hub.alice.get(f"{R}/environments/prod", 404)


def test_teams_are_dropped_without_a_word(hub: Hub) -> None:
    hub.alice.expect(200, "PUT", f"{R}/environments/prod", {"reviewers": [{"type": "Team", "id": 7}]})
    assert hub.alice.get(f"{R}/environments/prod")["protection_rules"] == []


def test_names(hub: Hub) -> None:
    for name in ("Prod", "eu%2Fwest", "%27%3B%20DROP%20TABLE%20environments%3B--", "%E2%82%AC"):
        hub.alice.expect(200, "PUT", f"{R}/environments/{name}", {})
        made = hub.alice.get(f"{R}/environments/{name}")
        assert hub.alice.get(made["url"].removeprefix(hub.url))["id"] == made["id"]
    assert hub.alice.get(f"{R}/environments/prod")["name"] == "Prod", "names ignore case"
    names = [entry["name"] for entry in hub.alice.get(f"{R}/environments")["environments"]]
    assert names == ["Prod", "eu/west", "'; DROP TABLE environments;--", "€"]
    hub.alice.expect(422, "PUT", f"{R}/environments/{'x' * 300}", {})


def test_delete_keeps_deployments(hub: Hub) -> None:
    hub.alice.post(f"{R}/deployments", {"ref": "main", "environment": "dev"})
    hub.alice.expect(204, "DELETE", f"{R}/environments/dev")
    hub.alice.expect(404, "DELETE", f"{R}/environments/dev")
    assert len(hub.alice.get(f"{R}/deployments?environment=dev")) == 1


def test_branch_policies(hub: Hub) -> None:
    policies = f"{R}/environments/prod/deployment-branch-policies"
    hub.alice.expect(200, "PUT", f"{R}/environments/prod", {})
    hub.alice.post(policies, {"name": "main"}, 404)
    policy = {"protected_branches": False, "custom_branch_policies": True}
    hub.protect("prod", "alice", deployment_branch_policy=policy)
    hub.alice.post(policies, {"name": "main"}, 200)
    assert hub.alice.call("POST", policies, {"name": "main"}).status == 303
    hub.alice.post(policies, {"name": "release/*"}, 200)
    assert [entry["name"] for entry in hub.alice.get(policies)["branch_policies"]] == ["main", "release/*"]
    for branch, allowed in (("main", True), ("release/1", True), ("release/2/2", False), ("side", False)):
        if branch != "main":
            hub.git("branch", branch)
        run = hub.run(ref=branch)
        told = hub.reach(run, "prod")
        assert told["allowed"] is allowed
        assert told["waits_for"] == (["prod"] if allowed else [])
        job = hub.alice.get(f"{R}/actions/runs/{run.id}/jobs")["jobs"][0]
        assert job["status"] == ("waiting" if allowed else "completed")
