"""`cicd dora` against LocalHub: one repository, an organisation, a second time."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.programs import needed
from tests.world import DEVELOPER, NAME, World

pytestmark = pytest.mark.real


def delivered(world: World) -> None:
    """Two good releases in staging, a bad one, and one that is taken back by hand; and somebody else's deployment."""
    assert world.promote()["decision"] == "done"
    verdicts = []
    for version, behaviour, watch in (("v2", "ok", "400ms"), ("v3", "tires", "20s"), ("v4", "ok", "400ms")):
        world.app.watch = watch
        world.app.commit(version, behaviour)
        verdicts.append(world.promote()["outputs"]["verdict"])
    assert verdicts == ["stable", "rolled-back", "stable"]
    back = world.run("rollback", "--environment", "staging", "--reason", "for the test")
    assert back["decision"] == "done", back["message"]
    body = {"ref": "main", "environment": "staging", "required_contexts": [], "payload": {"by": "somebody"}}
    world.hub.call("POST", f"/repos/{NAME}/deployments", DEVELOPER, body)


def dora(world: World, *more: str, **env: str) -> dict[str, Any]:
    done = world.run(
        "dora", "--environment", "staging", *more, env={"CICD_HOME": str(world.app.folder / "home"), **env}
    )
    assert done["exit"] == 0, done
    return done


def test_the_five_of_a_repository(world: World, tmp_path: Path) -> None:
    delivered(world)
    svg, metrics = tmp_path / "dora.svg", tmp_path / "dora.prom"
    found = dora(world, "--svg", str(svg), "--prometheus", str(metrics))["data"]
    counted = found["counted"]
    assert (counted["promotions"], counted["failed"], counted["rollbacks"], counted["repairs"]) == (4, 2, 1, 1), found
    assert len(counted["lead"]) == 4, "v4 brought also the change of v3, which was taken back"
    assert found["fail_rate"] == 50
    assert found["foreign"] == 1
    assert svg.read_text().startswith("<svg ")
    promtool = needed("promtool", "prometheus")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=metrics.read_bytes(), capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_second_run_asks_for_what_is_new(world: World) -> None:
    delivered(world)
    first = dora(world)["data"]
    again = dora(world)["data"]
    assert again["counted"] == first["counted"]
    assert again["github_calls"] == 1
    shutil.rmtree(world.app.folder / "home")
    assert dora(world)["data"]["counted"] == first["counted"], "without what was kept"
    kept = world.app.folder / "home" / "dora"
    for file in kept.iterdir():
        file.write_text("{")
    assert dora(world)["data"]["counted"] == first["counted"], "or with what has been spoilt"


def test_an_organisation_and_its_targets(world: World) -> None:
    assert world.promote()["decision"] == "done"
    config = world.app.repository / ".github" / "cicd.yml"
    config.write_text(config.read_text() + "targets: {lead-time: 2h, fail-rate: 5%, deployments-per-week: 5}\n")
    world.hub.admin("POST", "/repos", {"owner": "acme", "name": "other", "path": str(world.app.repository)})
    found = dora(world, "--org", "acme", GITHUB_TOKEN=DEVELOPER)
    assert set(found["data"]["repositories"]) == {NAME, "acme/other"}
    assert found["data"]["counted"]["promotions"] == 1
    assert "2 repositories" in found["message"] + json.dumps(found) + found["said"]


@pytest.mark.parametrize(
    "given",
    [
        ("--days", "many"),
        ("--since", "2026-13-01"),
        ("--since", "2026-11-02", "--until", "2026-11-01"),
        ("--repositories", "acme"),
        ("--team", "a"),
        ("--svg", "/nowhere/at/all.svg"),
    ],
)
def test_bad_input(world: World, given: tuple[str, ...]) -> None:
    done = world.run("dora", *given)
    assert done["exit"] == 2, done
