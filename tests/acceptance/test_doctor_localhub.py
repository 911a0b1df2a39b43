"""`cicd doctor`, and refusals that are told all at once, against LocalHub."""

import socket
from typing import Any

import pytest

from cicd.commands.steps import TargetSteps
from cicd.core.plan import SLOTS
from tests.world import DEVELOPER, NAME, World

pytestmark = pytest.mark.real


def demand(world: World, what: str) -> None:
    """Let the config demand more of staging."""
    config = world.app.repository / ".github" / "cicd.yml"
    config.write_text(config.read_text().replace("staging: {", f"staging: {{{what}, "))


def wrong(result: dict[str, Any], environment: str = "staging") -> list[str]:
    found = result["data"]["findings"]
    return [one["reason_code"] for one in found if one["environment"] == environment and not one["ok"]]


def advice(result: dict[str, Any]) -> str:
    return " ".join(one["message"] for one in result["data"]["findings"] if one["ok"])


def test_all_is_well(world: World) -> None:
    assert world.promote()["decision"] == "done"
    result = world.run("doctor")
    assert (result["exit"], result["decision"]) == (0, "done"), result
    assert "all is well" in result["message"]


def test_everything_that_is_wrong_is_said_with_its_mend(world: World) -> None:
    demand(world, 'approval: required, freeze: [{from: 2020-01-01, to: 2099-01-01, reason: "for ever"}]')
    world.run("lock", "--environment", "staging", "--reason", "hands off")
    with socket.socket() as other:
        other.bind(("127.0.0.1", world.app.ports[0]))
        other.listen()
        result = world.run("doctor")
    assert wrong(result) == ["locked", "port-in-use", "not-protected", "frozen"]
    assert wrong(result, "production") == []
    assert (result["exit"], result["reason_code"]) == (35, "locked")
    assert result["message"].count("Next:") == 4
    assert "add required reviewers to `staging`" in result["message"]


def test_protection_that_protects_less_than_it_seems(world: World) -> None:
    world.hub.admin("POST", "/users", {"login": "gone", "access": "none"})
    gone = world.hub.call("GET", "/users/gone", DEVELOPER)
    rules = {"reviewers": [{"type": "User", "id": gone["id"]}]}
    world.hub.call("PUT", f"/repos/{NAME}/environments/staging", DEVELOPER, rules)
    told = advice(world.run("doctor", "--environment", "staging"))
    assert "gone cannot write to the repository" in told
    assert "whoever starts a run may approve it" in told
    assert "runs of any branch may deploy" in told


def test_what_runs_is_not_well_and_a_run_was_killed(world: World) -> None:
    assert world.promote()["decision"] == "done"
    for slot in SLOTS:
        world.app.site().engine.stop(slot)
    result = world.run("doctor", "--environment", "staging")
    assert wrong(result) == ["unhealthy"]
    assert "answered 502" in result["message"]


def test_a_journal_that_cannot_be_read_is_one_finding_of_many(world: World) -> None:
    assert world.promote()["decision"] == "done"
    journal = world.app.site().target.folder / "journal.jsonl"
    text = journal.read_text()
    journal.write_text("no journal\n")
    result = world.run("doctor")
    journal.write_text(text)
    assert (wrong(result), wrong(result, "production")) == (["unfinished"], [])
    assert (result["exit"], result["reason_code"]) == (39, "unfinished")


def test_status_shows_the_others_where_one_journal_is_bad(world: World) -> None:
    assert world.promote()["decision"] == "done"
    other = world.app.site("production").target
    (other.make() / "journal.jsonl").write_text("no journal\n")
    result = world.run("status")
    assert (result["exit"], result["reason_code"]) == (39, "unfinished")
    staging, production = result["data"]["environments"]
    assert (staging["problem"], staging["version"], staging["slot"]) == ("", "v1", "blue")
    assert "cannot be read" in production["problem"]
    assert "✗ production: The journal" in result["message"]


def test_a_run_that_lives_is_under_way_and_a_dead_one_was_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """Nothing catches this: what was journalled is what a SIGKILL leaves."""

    def die(*_: object) -> str:
        raise Killed

    monkeypatch.setattr(TargetSteps, "do", die)
    with pytest.raises(Killed):
        world.app.promote(world.app.commit("v2"))
    with world.app.site().target.lock({"what": "promote v2"}):
        doctor, status = world.run("doctor", "--environment", "staging"), world.run("status")
    assert (wrong(doctor), "is under way" in advice(doctor)) == ([], True)
    assert "promote v2" in status["message"]
    assert "killed" not in status["message"]
    assert wrong(world.run("doctor", "--environment", "staging")) == ["unfinished"]
    assert "a killed run is to be undone" in world.run("status")["message"]


def test_refusals_are_told_all_at_once(world: World) -> None:
    demand(world, "approval: required, checks: [test, lint]")
    sha = world.app.git("rev-parse", "HEAD")
    body = {"name": "test", "head_sha": sha, "status": "completed", "conclusion": "failure"}
    world.hub.call("POST", f"/repos/{NAME}/check-runs", DEVELOPER, body)
    result = world.promote()
    assert (result["reason_code"], result["exit"]) == ("not-protected", 30)
    assert "lacks test (failure), lint (missing)" in result["message"]
    missing = world.run("promote", "--environment", "staging", "--image", f"sha256:{'0' * 64}")
    assert "is not in the store" in missing["message"]
    assert "no required reviewers" in missing["message"]


def test_green_checks_let_it_through(world: World) -> None:
    demand(world, "checks: [test, deploy/preview]")
    sha = world.app.git("rev-parse", "HEAD")
    done = {"head_sha": sha, "status": "completed"}
    world.hub.call("POST", f"/repos/{NAME}/check-runs", DEVELOPER, {"name": "test", "conclusion": "success", **done})
    status = {"state": "success", "context": "deploy/preview"}
    world.hub.call("POST", f"/repos/{NAME}/statuses/{sha}", DEVELOPER, status)
    result = world.promote()
    assert result["decision"] == "done", result
    assert result["data"]["github_calls"] <= 12
