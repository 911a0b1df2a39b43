"""Engine swarm on real Docker Swarms: of one node, and of three of which one is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.host import Host
from tests.docker.lab import Lab
from tests.docker.shop import Shop

pytestmark = pytest.mark.real


def joined(nodes: list[Host]) -> list[Host]:
    """Hosts as one swarm, with the first as its manager."""
    manager, *others = nodes
    manager.engine.docker("swarm", "init", f"--advertise-addr={manager.address}")
    token = manager.engine.docker("swarm", "join-token", "--quiet", "worker")
    for each in others:
        each.engine.docker("swarm", "join", f"--advertise-addr={each.address}", "--token", token, manager.address)
    return nodes


def tasks(manager: Host, slot: str) -> dict[str, str]:
    """The services of a slot, and how many of their tasks run."""
    said = manager.engine.docker(
        "service", "ls", f"--filter=label=cicd.slot=shop/production/{slot}", "--format={{.Name}} {{.Replicas}}"
    )
    return dict(line.split() for line in said.splitlines())


def test_there_and_back(tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]]) -> None:
    (one,) = joined(hosts(1))
    shop = Shop(tmp_path, lab, [one], engine="swarm")
    first = shop.promote(shop.release("v1"))
    assert first.outputs["verdict"] == "stable", shop.said.getvalue()
    assert shop.ask() == (first.outputs["release"], "hello")
    assert tasks(one, "blue") == {
        "shop-blue_api-blue": "1/1",
        "shop-blue_cron-blue": "1/1",
        "shop-blue_worker-blue": "1/1",
    }
    second = shop.promote(shop.release("v2"))
    assert second.outputs["verdict"] == "stable", shop.said.getvalue()
    assert shop.ask()[0] == second.outputs["release"]
    assert "shop-blue_cron-blue" not in tasks(one, "blue")
    back = shop.rollback()
    assert back.outputs["release"] == first.outputs["release"]
    assert shop.ask()[0] == first.outputs["release"]
    assert tasks(one, "green") == {"shop-green_api-green": "1/1"}
    assert "shop-blue_cron-blue" in tasks(one, "blue")
