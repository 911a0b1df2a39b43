"""Engine compose on a real Docker Engine: what users have, promoted and rolled back."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cicd.adapters import docker
from cicd.adapters.routers.nginx_container import NginxContainer
from tests.docker.host import Host
from tests.docker.lab import Lab
from tests.docker.shop import Shop

pytestmark = pytest.mark.real


@pytest.fixture
def shop(tmp_path: Path, lab: Lab) -> Iterator[Shop]:
    made = Shop(tmp_path, lab)
    yield made
    made.close()


def test_there_and_back(shop: Shop) -> None:
    first = shop.promote(shop.release("v1"))
    assert first.outputs["verdict"] == "stable", shop.said.getvalue()
    assert shop.ask() == (first.outputs["release"], "hello")
    assert shop.running() == [
        "shop-api",
        "shop-blue-api-blue",
        "shop-blue-cron-blue",
        "shop-blue-worker-blue",
        "shop-redis",
    ]
    second = shop.promote(shop.release("v2"))
    assert second.outputs["verdict"] == "stable", shop.said.getvalue()
    assert shop.ask()[0] == second.outputs["release"]
    assert "shop-blue-cron-blue" not in shop.running()
    back = shop.rollback()
    assert back.outputs["release"] == first.outputs["release"]
    assert shop.ask()[0] == first.outputs["release"]
    assert "shop-green-cron-green" not in shop.running()
    assert "shop-blue-cron-blue" in shop.running()


@pytest.mark.slow
def test_two_hosts_switch_together_or_not_at_all(tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]]) -> None:
    shop = Shop(tmp_path, lab, hosts(2))
    first = shop.promote(shop.release("v1"))
    assert first.outputs["verdict"] == "stable", shop.said.getvalue()
    assert [shop.ask(host=number)[0] for number in (0, 1)] == [first.outputs["release"]] * 2
    second = shop.promote(shop.release("v2"))
    assert second.outputs["verdict"] == "stable", shop.said.getvalue()
    assert [shop.ask(host=number)[0] for number in (0, 1)] == [second.outputs["release"]] * 2
    bad = shop.promote(shop.release("v3", UNHEALTHY="1"))
    assert bad.outputs["verdict"] == "failed"
    assert [shop.ask(host=number)[0] for number in (0, 1)] == [second.outputs["release"]] * 2
    back = shop.rollback()
    assert [shop.ask(host=number)[0] for number in (0, 1)] == [first.outputs["release"]] * 2, back.message


@pytest.mark.slow
def test_a_job_without_a_key_plans_what_one_with_a_key_carries_out(
    tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]]
) -> None:
    """The plan comes before the approval, and the environment's secrets after it."""
    shop = Shop(tmp_path, lab, hosts(1))
    shop.promote(shop.release("v1"))
    image = shop.release("v2")
    with_key = shop.plan(image)
    stranger = shop.runner()
    stranger.ssh_key = ""
    without = shop.plan(image, stranger)
    assert without.outputs["plan"] == with_key.outputs["plan"]
    assert "not seen from here" in without.data["notes"][0]
    assert shop.promote(image, plan=without.outputs["plan"]).outputs["verdict"] == "stable"


@pytest.mark.slow
def test_a_router_that_somebody_has_removed_is_brought_back(shop: Shop) -> None:
    shop.promote(shop.release("v1"))
    shop.engines[0].docker("rm", "--force", "shop-api-1")
    second = shop.promote(shop.release("v2"))
    assert second.outputs["verdict"] == "stable", shop.said.getvalue()
    assert shop.ask()[0] == second.outputs["release"]


@pytest.mark.slow
def test_a_project_that_somebody_has_brought_up_by_hand_is_taken_back(shop: Shop) -> None:
    """`docker compose up` puts the service itself in the router's place, where nothing knows of slots."""
    image = shop.release("v1")
    shop.promote(image)
    env = {**os.environ, **shop.engines[0].environment, "IMAGE": image}
    argv = ["docker", "compose", f"--file={shop.repository}/docker-compose.yml", "up", "--detach"]
    subprocess.run(argv, env=env, check=True, capture_output=True)
    assert "Not all services of `production` run" in shop.doctor().answer
    second = shop.promote(shop.release("v2"))
    assert second.outputs["verdict"] == "stable", shop.said.getvalue()
    assert shop.ask()[0] == second.outputs["release"]


@pytest.mark.slow
def test_a_host_whose_docker_dies_in_the_switch_takes_no_other_with_it(
    tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One host has switched when the other one fails: both are back, and stay so until somebody has mended it."""
    one, two = hosts(2)
    shop = Shop(tmp_path, lab, [one, two])
    first = shop.promote(shop.release("v1"))
    check = NginxContainer.check

    def dies(self: NginxContainer, conf: Path) -> str:
        if self.docker.host.name in two.url and two.engine.answers():
            two.daemon.stop(signal.SIGKILL)
        return check(self, conf)

    with monkeypatch.context() as patch:
        patch.setattr(NginxContainer, "check", dies)
        patch.setattr(docker, "RESTARTED_WITHIN", 2.0)
        failed = shop.promote(shop.release("v2"))
    assert (failed.decision, failed.reason_code) == ("failed", "unfinished"), failed.message
    assert "does not answer" in failed.message
    assert shop.ask(host=0)[0] == first.outputs["release"]
    two.daemon.start()
    two.daemon.wait()
    recovered = shop.recover()  # what ends well while Docker dies is not started again by Docker
    assert "started again" in shop.said.getvalue(), recovered.message
    assert [shop.ask(host=number)[0] for number in (0, 1)] == [first.outputs["release"]] * 2
    third = shop.promote(shop.release("v3"))
    assert third.outputs["verdict"] == "stable", shop.said.getvalue()
    assert [shop.ask(host=number)[0] for number in (0, 1)] == [third.outputs["release"]] * 2
