"""Engine swarm on real nodes: what one machine is too small for."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cicd.adapters.engines.swarm import SwarmEngine
from tests.docker.host import Host
from tests.docker.lab import Lab
from tests.docker.shop import COMPOSE, CONFIG, Shop

pytestmark = [pytest.mark.real, pytest.mark.slow]

SPREAD = (
    COMPOSE.replace("    volumes: [work:/work]\n", "")
    .replace("/work/", "/tmp/")
    .replace("expose: [8000]", "expose: [8000]\n    deploy: {replicas: 3}")
)


class Swarm(Shop):
    """The shop on a swarm."""

    def configure(self, **others: str) -> None:
        super().configure(**others)
        path = self.repository / ".github/cicd.yml"
        path.write_text(path.read_text().replace("engine: compose", "engine: swarm"))

    def tasks(self) -> list[str]:
        """`service state node` of each task that Swarm wants to run."""
        told = "{{.Name}} {{.CurrentState}} {{.Node}}"
        stacks = self.engines[0].docker("service", "ls", "--quiet").split()
        if not stacks:
            return []
        wanted = "--filter=desired-state=running"
        return self.engines[0].docker("service", "ps", wanted, f"--format={told}", *stacks).splitlines()


def swarm(nodes: list[Host]) -> list[Host]:
    """Hosts as the nodes of one swarm, the first one its manager."""
    first, *others = nodes
    first.engine.docker("swarm", "init", f"--advertise-addr={first.address}")
    token = first.engine.docker("swarm", "join-token", "--quiet", "worker").strip()
    for node in others:
        node.engine.docker("swarm", "join", f"--token={token}", f"{first.address}:2377")
    return nodes


@contextmanager
def asked(shop: Shop) -> Iterator[tuple[list[str], set[str]]]:
    """Somebody asks all the time: what was lost, and which releases answered."""
    there = shop.project().site.targets[0].host.reach(f"127.0.0.1:{shop.port}")
    lost, seen, over = list[str](), set[str](), threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                with urllib.request.urlopen(f"http://{there}/", timeout=10) as answer:
                    seen.add(answer.headers["X-Cicd-Release"])
            except (OSError, urllib.error.URLError) as error:
                lost.append(str(error))
            time.sleep(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield lost, seen
    finally:
        over.set()
        thread.join()


def test_there_and_back_under_traffic(tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]]) -> None:
    nodes = swarm(hosts(2))
    shop = Swarm(tmp_path, lab, nodes[:1], compose=SPREAD, within="60s")
    first = shop.promote(shop.release("v1"))
    assert first.outputs["verdict"] == "stable", first.message + shop.said.getvalue()
    assert shop.ask()[0] == first.outputs["release"]
    assert {task.split()[-1] for task in shop.tasks()} == {node.name for node in nodes}, "spread over the nodes"
    assert any(task.startswith("shop-blue_worker-blue") for task in shop.tasks())
    with asked(shop) as (lost, seen):
        second = shop.promote(shop.release("v2"))
        assert second.outputs["verdict"] == "stable", second.message + shop.said.getvalue()
        assert not any(task.startswith("shop-blue_worker") for task in shop.tasks()), "cron never twice"
        bad = shop.promote(shop.release("v3", UNHEALTHY="1"))
        assert (bad.decision, bad.reason_code) == ("failed", "unhealthy"), bad.message
        assert shop.ask()[0] == second.outputs["release"]
        back = shop.rollback()
        assert back.outputs["release"] == first.outputs["release"], back.message
    assert not lost, lost[:3]
    assert seen == {first.outputs["release"], second.outputs["release"]}
    assert sum(task.startswith("shop-blue_api-blue") for task in shop.tasks()) == 3


def test_a_node_is_lost_during_a_promotion(
    tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others take its tasks over, and the promotion holds; or it does not, and what ran before has the users."""
    nodes = swarm(hosts(3))
    shop = Swarm(tmp_path, lab, nodes[:1], compose=SPREAD, watch="3s", within="60s")
    first = shop.promote(shop.release("v1"))
    assert first.outputs["verdict"] == "stable", first.message + shop.said.getvalue()
    start = SwarmEngine.start

    def losing(self: SwarmEngine, slot: str, record: object) -> None:
        start(self, slot, record)  # type: ignore[arg-type]
        nodes[2].lose()

    monkeypatch.setattr(SwarmEngine, "start", losing)
    with asked(shop) as (_, seen):
        second = shop.promote(shop.release("v2"))
    nodes[2].find()
    assert seen <= {first.outputs["release"], second.outputs["release"]}
    ran = {"stable": second, "failed": first, "rolled-back": first}[second.outputs["verdict"]]
    assert shop.ask()[0] == (ran.outputs["release"])
    monkeypatch.undo()
    with asked(shop):
        third = shop.promote(shop.release("v3"))
    assert third.outputs["verdict"] == "stable", third.message + shop.said.getvalue()


def test_the_config_of_the_shop_is_of_engine_compose() -> None:
    assert "engine: compose" in CONFIG, "Swarm.configure replaces it"
