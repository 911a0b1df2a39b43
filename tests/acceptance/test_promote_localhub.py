"""promote and rollback by their command line, against LocalHub: each bad input, and GitHub's bad days."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.world import DEVELOPER, NAME, REVIEWER, World

pytestmark = pytest.mark.real


def test_a_promotion_and_a_rollback_are_in_the_ledger(world: World) -> None:
    first = world.promote()
    assert (first["exit"], first["decision"]) == (0, "done"), first
    assert first["data"]["github_calls"] <= 12
    world.app.commit("v2")
    second = world.promote()
    assert second["outputs"]["verdict"] == "stable"
    back = world.run("rollback", "--environment", "staging", "--reason", "for the test")
    assert (back["exit"], back["outputs"]["release"]) == (0, first["outputs"]["release"])
    assert len(world.deployments()) == 3
    status = world.run("status")
    staging = status["data"]["environments"][0]
    assert (staging["version"], staging["verdict"]) == ("v1", "stable")


def test_wrong_token(world: World) -> None:
    result = world.promote(token="wrong-token-0123456789")
    assert (result["reason_code"], result["exit"]) == ("token-refused", 21)


def test_no_token(world: World) -> None:
    result = world.promote(env={"GITHUB_TOKEN": ""})
    assert (result["reason_code"], result["exit"]) == ("no-token", 20)


def test_approval_is_demanded_and_the_environment_is_open(world: World) -> None:
    config = world.app.repository / ".github" / "cicd.yml"
    config.write_text(config.read_text().replace("staging: {", "staging: {approval: required, "))
    result = world.promote()
    assert (result["reason_code"], result["exit"]) == ("not-protected", 30)
    assert "Settings → Environments" in result["message"]


def test_nobody_approves(world: World) -> None:
    world.protect("staging")
    result = world.promote("staging", "--approval-timeout", "0")
    assert (result["reason_code"], result["exit"]) == ("not-approved", 31)
    assert world.deployments() == []


def test_somebody_approves_and_is_recorded(world: World) -> None:
    world.protect("staging")
    results: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: results.append(world.promote("staging")))
    thread.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not results:
        for run in world.hub.call("GET", f"/repos/{NAME}/actions/runs", DEVELOPER)["workflow_runs"]:
            path = f"/repos/{NAME}/actions/runs/{run['id']}/pending_deployments"
            for entry in world.hub.call("GET", path, REVIEWER):
                body = {"environment_ids": [entry["environment"]["id"]], "state": "approved", "comment": "fine"}
                world.hub.call("POST", path, REVIEWER, body)
        time.sleep(0.1)
    thread.join()
    assert results[0]["decision"] == "done", results[0]
    assert results[0]["data"]["approved_by"] == ["rita"]
    assert results[0]["data"]["github_calls"] <= 12 + 10, "waiting asks once a second"


def test_somebody_rejects(world: World) -> None:
    world.protect("staging")
    sha = world.app.git("rev-parse", "HEAD")
    image = world.app.build(sha)
    run = world.hub.new_run(NAME, ".github/workflows/pipeline.yml", "push", sha, "dana")
    path = f"/repos/{NAME}/actions/runs/{run.id}/pending_deployments"
    world.hub.call("POST", f"/_localhub/runs/{run.id}/jobs", run.token, {"name": "deploy", "environment": "staging"})
    waiting = world.hub.call("GET", path, REVIEWER)
    body = {"environment_ids": [waiting[0]["environment"]["id"]], "state": "rejected", "comment": "not on Fridays"}
    world.hub.call("POST", path, REVIEWER, body)
    given = ["promote", "--environment", "staging", "--image", image]
    result = world.run(*given, token=run.token, env={"GITHUB_RUN_ID": str(run.id)})
    assert (result["reason_code"], result["exit"]) == ("rejected", 32)
    assert "not on Fridays" in result["message"]


FAULTS: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "502": {"kind": "status", "status": 502},
    "403 rate limit": {"kind": "rate-limit-403", "retry_after": 3600},
    "429": {"kind": "rate-limit-429", "retry_after": 3600},
    "dropped": {"kind": "drop-before"},
}


@pytest.mark.parametrize(("name", "reason", "code"), [
    ("500", "github-unavailable", 22),
    ("502", "github-unavailable", 22),
    ("403 rate limit", "rate-limited", 23),
    ("429", "rate-limited", 23),
    ("dropped", "github-unavailable", 22),
])  # fmt: skip
def test_github_is_away(world: World, name: str, reason: str, code: int) -> None:
    """What runs goes on running, and the error says what to do."""
    assert world.promote()["decision"] == "done"
    world.app.commit("v2")
    world.faults({"method": "*", "path": "/*", "times": 1000, **FAULTS[name]})
    result = world.promote(env={"CICD_GITHUB_PATIENCE": "1"})
    world.faults()
    assert (result["reason_code"], result["exit"]) == (reason, code), result
    assert "Next:" in result["message"]
    assert world.app.version() == "v1"
    assert len(world.deployments()) == 1


@pytest.mark.parametrize("name", ["500", "dropped", "dropped after it took effect"])
@pytest.mark.parametrize("path", ["/graphql", "*/deployments", "*/statuses", "*/environments/*", "*/compare/*"])
def test_one_bad_answer_changes_nothing(world: World, name: str, path: str) -> None:
    """A promotion goes on, and nothing is in the ledger twice."""
    assert world.promote()["decision"] == "done"
    world.app.commit("v2")
    rule = FAULTS.get(name, {"kind": "drop-after-write"})
    world.faults({"method": "*", "path": path, "times": 1, **rule})
    result = world.promote()
    world.faults()
    assert result["decision"] == "done", result
    found = world.deployments()
    assert len(found) == 2
    statuses = world.hub.call("GET", f"/repos/{NAME}/deployments/{found[0]['id']}/statuses", DEVELOPER)
    assert [entry["description"].partition(":")[0] for entry in statuses] == ["stable", "in-progress"]


def test_of_two_promotions_at_once_one_wins_and_the_other_says_who_has_it(world: World) -> None:
    assert world.promote()["decision"] == "done"
    images = [world.app.build(world.app.commit(version)) for version in ("v2", "v3")]
    results: list[dict[str, Any]] = []

    def go(image: str) -> None:
        results.append(world.run("promote", "--environment", "staging", "--image", image))

    threads = [threading.Thread(target=go, args=(image,)) for image in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lost = [result for result in results if result["exit"]]
    assert len(lost) == 1, results
    assert lost[0]["reason_code"] in ("locked", "not-approved", "stale"), lost[0]
    if lost[0]["reason_code"] == "locked":
        assert "held by" in lost[0]["message"]
        assert "since" in lost[0]["message"]
    assert len(world.deployments()) == 2


def test_another_target_s_lock_is_told_before_anything_is_done(world: World, tmp_path: Path) -> None:
    """Two machines that deploy into one environment know each other by the lock on GitHub alone."""
    assert world.run("lock", "--environment", "staging", "--reason", "hands off")["decision"] == "done"
    result = world.promote(env={"CICD_TARGET": str(tmp_path / "elsewhere")})
    assert result["reason_code"] == "locked" or "hands off" in result["message"], result
    assert world.run("unlock", "--environment", "staging")["decision"] == "done"
    assert world.promote()["decision"] == "done"
