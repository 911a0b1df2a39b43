"""The fallback gate against LocalHub: an issue asks, an approver's run takes it up."""

from typing import Any

import pytest

from tests.world import DEVELOPER, NAME, World

pytestmark = pytest.mark.real
DANA = {"GITHUB_ACTOR": "dana", "GITHUB_EVENT_NAME": "push"}
RITA = {"GITHUB_ACTOR": "rita", "GITHUB_EVENT_NAME": "workflow_dispatch"}


@pytest.fixture(autouse=True)
def gate(world: World) -> None:
    """Staging asks by an issue."""
    config = world.app.repository / ".github" / "cicd.yml"
    config.write_text(config.read_text().replace("staging: {", "staging: {approval: issue, approvers: [rita], "))


def asked(world: World) -> dict[str, Any]:
    result = world.promote(env=DANA)
    assert (result["exit"], result["decision"]) == (0, "waiting"), result
    return result


def approve(world: World, issue: int, env: dict[str, str]) -> dict[str, Any]:
    return world.run("approve", "--environment", "staging", "--issue", str(issue), env=env)


def issue(world: World, number: int) -> dict[str, Any]:
    found: dict[str, Any] = world.hub.call("GET", f"/repos/{NAME}/issues/{number}", DEVELOPER)
    return found


def test_an_issue_asks_and_an_approver_takes_it_up(world: World) -> None:
    number = asked(world)["data"]["issue"]
    assert asked(world)["data"]["issue"] == number, "asked once"
    assert world.deployments() == []
    assert "rollback class" in issue(world, number)["body"]
    result = approve(world, number, RITA)
    assert (result["exit"], result["decision"]) == (0, "done"), result
    assert result["data"]["approved_by"] == ["rita"]
    assert world.app.version() == "v1"
    assert issue(world, number)["state"] == "closed"
    again = approve(world, number, RITA)
    assert (again["reason_code"], again["exit"]) == ("not-approved", 31)


@pytest.mark.parametrize("env", [DANA, {**RITA, "GITHUB_ACTOR": "mallory"}, {**RITA, "GITHUB_EVENT_NAME": "push"}])
def test_nobody_else_approves(world: World, env: dict[str, str]) -> None:
    result = approve(world, asked(world)["data"]["issue"], env)
    assert (result["reason_code"], result["exit"]) == ("not-approved", 31)
    assert world.deployments() == []


def test_another_plan_than_the_one_in_the_issue(world: World) -> None:
    number = asked(world)["data"]["issue"]
    config = world.app.repository / ".github" / "cicd.yml"
    config.write_text(config.read_text().replace("hello", "something else"))
    result = approve(world, number, RITA)
    assert (result["reason_code"], result["exit"]) == ("not-approved", 31)
    assert "is not the approved" in result["message"]
    assert world.deployments() == []


def test_an_issue_that_a_person_wrote_is_not_believed(world: World) -> None:
    text = issue(world, asked(world)["data"]["issue"])["body"]
    forged = world.hub.call("POST", f"/repos/{NAME}/issues", DEVELOPER, {"title": "please", "body": text})
    result = approve(world, forged["number"], RITA)
    assert (result["reason_code"], result["exit"]) == ("usage", 2)


def test_an_issue_that_was_changed_in_text_and_mark_alike_is_refused(world: World) -> None:
    """Whoever may edit it could point both at another commit; he cannot sign it."""
    number = asked(world)["data"]["issue"]
    forged = issue(world, number)["body"].replace(world.app.git("rev-parse", "HEAD"), "6" * 40)
    world.hub.call("PATCH", f"/repos/{NAME}/issues/{number}", DEVELOPER, {"body": forged})
    result = approve(world, number, RITA)
    assert (result["reason_code"], result["exit"]) == ("not-approved", 31), result
    assert "signature does not fit" in result["message"]
    assert world.deployments() == []
    assert asked(world)["data"]["issue"] != number, "it is asked for anew"


def test_from_a_terminal_nothing_is_asked_that_nobody_could_approve(world: World) -> None:
    result = world.promote(token=DEVELOPER, env={"GITHUB_RUN_ID": ""})
    assert (result["reason_code"], result["exit"]) == ("not-approved", 31)
    assert "start the workflow that promotes into `staging`" in result["message"]
    assert world.hub.call("GET", f"/repos/{NAME}/issues", DEVELOPER) == []


def test_the_text_of_an_issue_that_was_refused_in_place_of_the_one_that_was_read(world: World) -> None:
    """The break: both are ours, to the last letter; an approver reads one, and has let the other through."""
    refused = asked(world)["data"]["issue"]
    bad = issue(world, refused)["body"]
    world.hub.call("PATCH", f"/repos/{NAME}/issues/{refused}", DEVELOPER, {"state": "closed"})
    app = world.app.repository / "app.py"
    app.write_text(f"{app.read_text()}# v2\n")
    world.app.git("commit", "--quiet", "--message", "v2", "app.py")
    read = asked(world)["data"]["issue"]
    assert read != refused
    world.hub.call("PATCH", f"/repos/{NAME}/issues/{read}", DEVELOPER, {"body": bad})
    result = approve(world, read, RITA)
    assert (result["reason_code"], result["exit"]) == ("not-approved", 31)
    assert "signature does not fit" in result["message"]
    assert world.deployments() == []


def test_an_issue_that_a_killed_run_left_unsigned_is_signed_by_the_next_run(world: World) -> None:
    number = asked(world)["data"]["issue"]
    text = issue(world, number)["body"]
    at = text.rindex(" -->") - 64
    world.hub.call("PATCH", f"/repos/{NAME}/issues/{number}", DEVELOPER, {"body": f"{text[:at]}{'0' * 64} -->"})
    assert approve(world, number, RITA)["exit"] == 31
    assert asked(world)["data"]["issue"] == number
    assert approve(world, number, RITA)["decision"] == "done"
