"""Engine swarm on real nodes: what one machine is too small for."""

import http.client
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cicd.adapters.engines.swarm import SwarmEngine
from tests.docker.example import Example, config
from tests.docker.host import Host
from tests.docker.lab import Lab
from tests.docker.shop import COMPOSE, Shop

pytestmark = [pytest.mark.real, pytest.mark.slow]

SPREAD = (
    COMPOSE.replace("    volumes: [work:/work]\n", "")
    .replace("/work/", "/tmp/")
    .replace("expose: [8000]", "expose: [8000]\n    deploy: {replicas: 3}")
)
IN_FRONT = """  edge:
    image: $NGINX
    depends_on: [api]
configs: {price: {content: "costs $$5"}}
secrets: {key: {environment: KEY}}
volumes:
"""
GIVEN = "{replicas: 3}\n    env_file: [public.env]\n    configs: [price]\n    secrets: [key]"


@dataclass
class Swarm(Shop):
    """The shop on a swarm."""

    engine: str = "swarm"
    within: str = "60s"
    compose: str = SPREAD

    def tasks(self) -> list[str]:
        """`service state node` of each task that Swarm wants to run."""
        stacks = self.engines[0].docker("service", "ls", "--quiet").split()
        told = ["--filter=desired-state=running", "--format={{.Name}} {{.CurrentState}} {{.Node}}"]
        return self.engines[0].docker("service", "ps", *told, *stacks).splitlines() if stacks else []

    def containers(self, service: str, nodes: list[Host]) -> list[str]:
        """The containers of a service of a slot that run, on any node."""
        filters = [f"--filter=name=shop-.*_{service}", "--format={{.Names}}"]
        return [name for node in nodes for name in node.engine.docker("ps", *filters).split()]


def swarm(nodes: list[Host]) -> list[Host]:
    """Hosts as the nodes of one swarm, the first one its manager."""
    first, *others = nodes
    first.engine.docker("swarm", "init", f"--advertise-addr={first.address}")
    token = first.engine.docker("swarm", "join-token", "--quiet", "worker").strip()
    for node in others:
        node.engine.docker("swarm", "join", f"--token={token}", f"{first.address}:2377")
    return nodes


@dataclass
class Asked:
    """What those meet who ask all the time.

    Attributes:
        lost: why each request had no good answer.
        cut: why each answer broke off.
        seen: the releases that answered.
        answers: how many.
    """

    lost: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    answers: int = 0

    def __str__(self) -> str:
        return f"{self.answers} requests, {len(self.lost)} lost, {len(self.cut)} answers cut: {self.lost + self.cut}"


@contextmanager
def asked(shop: Shop, host: int = 0) -> Iterator[Asked]:
    """Eight ask all the time, through the router of a host: half of them for what takes a second."""
    door, met, over = shop.door(host), Asked(), threading.Event()

    def ask(path: str) -> None:
        while not over.wait(0.02):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{door}{path}", timeout=20) as answer:
                    answer.read()
                    met.seen.add(answer.headers["X-Cicd-Release"])
                met.answers += 1
            except http.client.IncompleteRead as error:
                met.cut.append(str(error))
            except OSError as error:
                met.lost.append(str(error))

    threads = [threading.Thread(target=ask, args=[path]) for path in ("/", "/?seconds=1") for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield met
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_there_and_back_under_traffic(tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]]) -> None:
    nodes = swarm(hosts(3))
    shop = Swarm(tmp_path, lab, nodes[:1])
    first = shop.promote(shop.release("v1"))
    assert first.outputs["verdict"] == "stable", first.message + shop.said.getvalue()
    assert shop.ask()[0] == first.outputs["release"]
    assert {task.split()[-1] for task in shop.tasks()} == {node.name for node in nodes}, "spread over the nodes"
    assert any(task.startswith("shop-blue_worker-blue") for task in shop.tasks())
    with socket.create_connection(shop.project().site.engine.reach("redis", 6379), timeout=10) as shared:
        shared.sendall(b"PING\r\n")
        assert shared.recv(16).startswith(b"+PONG"), "as a migration reaches its database"
    with asked(shop) as met:
        second = shop.promote(shop.release("v2"))
        assert second.outputs["verdict"] == "stable", second.message + shop.said.getvalue()
        assert all("shop-green_" in name for name in shop.containers("worker", nodes)), "cron never twice"
        bad = shop.promote(shop.release("v3", UNHEALTHY="1"))
        assert (bad.decision, bad.reason_code) == ("failed", "unhealthy"), bad.message
        assert shop.ask()[0] == second.outputs["release"]
        back = shop.rollback()
        assert back.outputs["release"] == first.outputs["release"], back.message
    assert not met.lost + met.cut, str(met)
    assert met.seen == {first.outputs["release"], second.outputs["release"]}
    assert sum(task.startswith("shop-blue_api-blue") for task in shop.tasks()) == 3


def test_a_companion_that_crashes(tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]]) -> None:
    """It starts with the switch, on any node; the watch sees it, and the users go back."""
    shop = Swarm(tmp_path, lab, swarm(hosts(2))[:1])
    first = shop.promote(shop.release("v1"))
    assert first.outputs["verdict"] == "stable", first.message + shop.said.getvalue()
    worker = "    command: [worker]\n    environment: {"
    assert worker in shop.compose
    shop.write("docker-compose.yml", shop.compose.replace(worker, f'{worker}CRASH_AFTER: "1", '))
    shop.configure(watch="60s")
    shop.commit()
    second = shop.promote(shop.release("tired-worker"))
    assert second.outputs["verdict"] == "rolled-back", second.message + shop.said.getvalue()
    assert "companion `worker` on ssh://" in second.message
    assert shop.ask()[0] == first.outputs["release"]


def test_users_arrive_at_two_hosts(tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]]) -> None:
    """Each has a router and what stands in front of it; the other shared services are on the first alone.

    What a service is given by files and settings, each of its tasks has.
    """
    nodes = swarm(hosts(2))
    compose = SPREAD.replace("volumes:\n", IN_FRONT.replace("$NGINX", lab.part("nginx"))).replace(
        "{replicas: 3}", GIVEN
    )
    compose = compose.replace('    environment: {GREETING: "${GREETING:-hello}"}\n', "")
    shop = Swarm(tmp_path, lab, nodes, compose=compose, extra="env: {KEY: of the settings}")
    shop.write("public.env", "GREETING='as Compose reads it'\n")
    shop.commit()
    first = shop.promote(shop.release("v1"))
    assert first.outputs["verdict"] == "stable", first.message + shop.said.getvalue()
    assert shop.ask()[1] == "as Compose reads it"
    for node in nodes:
        (task, *_) = shop.containers("api", [node])
        assert node.engine.docker("exec", task, "cat", "/price", "/run/secrets/key") == "costs $5of the settings"
    here, there = ({name for name in shop.running(number) if "_" not in name} for number in (0, 1))
    assert (here, there) == ({"shop-api", "shop-edge", "shop-redis"}, {"shop-api", "shop-edge"})
    with asked(shop, 0) as one, asked(shop, 1) as two:
        second = shop.promote(shop.release("v2"))
        assert second.outputs["verdict"] == "stable", second.message + shop.said.getvalue()
        assert [shop.ask(host=number)[0] for number in (0, 1)] == [second.outputs["release"]] * 2
        back = shop.rollback()
        assert [shop.ask(host=number)[0] for number in (0, 1)] == [first.outputs["release"]] * 2, back.message
    assert not one.lost + one.cut + two.lost + two.cut, f"{one}; {two}"


def test_a_node_is_lost_during_a_promotion(
    tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others take its tasks over, and the promotion holds; or it does not, and what ran before has the users.

    No request is lost that may be asked twice, not even those that the node had; an answer that it had begun is cut.
    """
    nodes = swarm(hosts(3))
    shop = Swarm(tmp_path, lab, nodes[:1], watch="3s")
    first = shop.promote(shop.release("v1"))
    assert first.outputs["verdict"] == "stable", first.message + shop.said.getvalue()
    assert any(task.endswith(nodes[2].name) for task in shop.tasks() if "_api-" in task), "it has some of the users"
    start = SwarmEngine.start

    def losing(self: SwarmEngine, slot: str, record: object) -> None:
        start(self, slot, record)  # type: ignore[arg-type]
        nodes[2].lose()

    monkeypatch.setattr(SwarmEngine, "start", losing)
    with asked(shop) as met:
        second = shop.promote(shop.release("v2"))
    nodes[2].find()
    print(f"a node was lost: {second.outputs['verdict']}; {met}")
    assert not met.lost, str(met)
    assert met.seen <= {first.outputs["release"], second.outputs["release"]}
    ran = {"stable": second, "failed": first, "rolled-back": first}[second.outputs["verdict"]]
    assert shop.ask()[0] == (ran.outputs["release"])
    assert shop.project().site.target.state().unfinished is None, "the journal says how it ended"
    monkeypatch.undo()
    with asked(shop) as met:
        third = shop.promote(shop.release("v3"))
    assert third.outputs["verdict"] == "stable", third.message + shop.said.getvalue()
    assert not met.lost + met.cut, str(met)


def test_the_schema_of_a_database_of_the_same_file(
    tmp_path: Path, lab: Lab, hosts: Callable[[int], list[Host]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example's staging on two nodes: PostgreSQL is one of its services, in a network over both."""
    told = config().replace("engine: compose", "engine: swarm").replace("    after: dev\n", "")
    monkeypatch.setattr("tests.docker.example.config", lambda: told)
    example = Example(tmp_path, lab, hosts(4))
    swarm(list(example.hosts[1:3]))
    file = example.repository / "docker-compose.stage.yml"
    text = file.read_text().replace('    security_opt: ["no-new-privileges:true"]\n', "").replace("internal: true", "")
    file.write_text(text.replace("    deploy:\n", "    deploy:\n      replicas: 2\n"))
    first = example.promote("staging", example.release(1))
    assert (first.outputs.get("verdict"), example.schema("staging")) == ("stable", "0001"), example.said.getvalue()
    with example.users("staging").running() as users:
        second = example.promote("staging", example.release(2))
        assert (second.outputs.get("verdict"), example.schema("staging")) == ("stable", "0002"), example.said.getvalue()
        back = example.rollback("staging")
        assert (back.outputs.get("release"), example.schema("staging")) == (first.outputs["release"], "0001")
    assert not users.lost, (users.lost, users.sent)
