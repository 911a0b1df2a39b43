"""The shipped rollback.yml, called as `cicd init` writes it: by an alert that LocalHub is told of, and by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import CHECKOUT, Act, ActRun
from tests.world import DEVELOPER, NAME, World

pytestmark = [pytest.mark.real, pytest.mark.slow]

CALLER = CHECKOUT / "examples/assistant-api/.github/workflows/rollback.yml"
OURS = CHECKOUT / ".github/workflows/rollback.yml"


@pytest.fixture(params=[CALLER, OURS], ids=["called", "copied"])
def two(request: pytest.FixtureRequest, world: World) -> tuple[str, str]:
    """v1 was healthy, v2 runs; their ids. The repository has the caller, or a copy of the workflow itself."""
    place = world.app.repository / ".github/workflows/rollback.yml"
    place.parent.mkdir(parents=True)
    place.write_text(request.param.read_text())
    ids = []
    for version in ("v1", "v2"):
        world.app.commit(version)
        ids.append(world.promote()["outputs"]["release"])
    return ids[0], ids[1]


def send(world: World, **payload: str) -> None:
    """What a monitoring system says."""
    body = {"event_type": "cicd-rollback", "client_payload": payload}
    world.hub.call("POST", f"/repos/{NAME}/dispatches", DEVELOPER, body)


def take(world: World, act: Act, folder: Path) -> ActRun:
    """Run what waits to be run, as a runner would."""
    run = world.hub.admin("GET", "/runs?status=queued")["runs"][-1]  # those before are the promotions'
    token = world.hub.admin("POST", f"/runs/{run['id']}/token", {})["token"]
    world.hub.admin("PATCH", f"/runs/{run['id']}", {"status": "in_progress"})
    event: dict[str, Any] = run["inputs"] if run["event"] == "repository_dispatch" else {"inputs": run["inputs"]}
    (folder / "event.json").write_text(json.dumps(event))
    hub = world.hub.url
    env = {
        **{name: hub for name in ("GITHUB_API_URL", "GITHUB_SERVER_URL")},
        "GITHUB_GRAPHQL_URL": f"{hub}/graphql",
        "GITHUB_REPOSITORY": NAME,
        "GITHUB_RUN_ID": str(run["id"]),
        "CICD_TARGET": str(world.app.folder / "targets"),
    }
    options = ["-P", "self-hosted=-self-hosted", "--eventpath", str(folder / "event.json"), "-W", run["path"]]
    done = act(world.app.repository, run["event"], *options, env=env, secrets={"GITHUB_TOKEN": token})
    conclusion = "failure" if done.code else "success"
    world.hub.admin("PATCH", f"/runs/{run['id']}", {"status": "completed", "conclusion": conclusion})
    return done


def test_an_alert_gets_one_attempt_and_only_at_the_release_that_it_names(
    world: World, act: Act, tmp_path: Path, two: tuple[str, str]
) -> None:
    first, second = two
    send(world, environment="staging", release=second, alert="errors-1")
    done = take(world, act, tmp_path)
    assert done.code == 0, done.output[-6000:]
    assert world.app.version() == "v1"
    newest = json.loads(json.dumps(world.deployments()[0]["payload"]))
    written = json.loads(newest) if isinstance(newest, str) else newest
    assert (written["alert"], written["reason"], written["release_id"]) == ("errors-1", "alert errors-1", first)

    send(world, environment="staging", release=first, alert="errors-1")
    again = take(world, act, tmp_path)
    assert again.code != 0
    assert "alert-answered" in again.output, again.output[-6000:]

    send(world, environment="staging", release=second, alert="errors-2")
    late = take(world, act, tmp_path)
    assert late.code != 0
    assert "does not run in `staging`: v1" in late.output, late.output[-6000:]

    send(world, environment="staging")
    vague = take(world, act, tmp_path)
    assert vague.code != 0
    assert "without the id of its alert" in vague.output, vague.output[-6000:]
    assert world.app.version() == "v1"


def test_by_hand(world: World, act: Act, tmp_path: Path, two: tuple[str, str]) -> None:
    """The environment is one of a list."""
    path = f"/repos/{NAME}/actions/workflows/rollback.yml/dispatches"
    inputs = {"environment": "staging", "to": two[0], "reason": "for the test"}
    world.hub.call("POST", path, DEVELOPER, {"ref": "main", "inputs": inputs})
    done = take(world, act, tmp_path)
    assert done.code == 0, done.output[-6000:]
    assert world.app.version() == "v1"
    assert "Going back because: for the test" in done.output
