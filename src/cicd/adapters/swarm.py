"""Docker Swarm through one of its managers: the services with our labels, their tasks, and where those are."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cicd.adapters.docker import TARGET, Docker
from cicd.adapters.process import failure
from cicd.errors import PrepareFailed

GONE = re.compile(r"not found|No such", re.IGNORECASE)
ENDED = {"complete", "shutdown", "failed", "rejected", "remove", "orphaned"}
BROKEN = {"failed", "rejected"}
SLOW = 20.0  # seconds in which a manager misses a node that was lost, and those to spare when tasks end


@dataclass(frozen=True)
class Task:
    """One of the containers of a service, somewhere on the swarm.

    Attributes:
        service: id of its service.
        node: id of the machine that it was given to; empty for none yet.
        wanted: whether the swarm wants it to run.
        state: the swarm's word: pending, preparing, starting, running, failed, …
        error: why it failed.
        addresses: IP by the name of the network.
    """

    id: str
    service: str
    node: str
    wanted: bool
    state: str
    error: str
    addresses: Mapping[str, str]

    @property
    def runs(self) -> bool:
        return self.wanted and self.state == "running"

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def broke(self) -> bool:
        """Whether it ended by itself, or could not begin."""
        return self.state in BROKEN


@dataclass(frozen=True)
class Service:
    """A service.

    Attributes:
        stack: that it belongs to; empty for none.
        size: tasks that it should have.
        grace: seconds that a task has to end.
    """

    id: str
    name: str
    stack: str
    labels: Mapping[str, str]
    size: int
    grace: float


@dataclass(frozen=True)
class Swarm:
    """The swarm of a Docker Engine."""

    docker: Docker

    def require(self, *, manager: bool) -> None:
        """The Engine is one of a swarm. Raises PrepareFailed."""
        name = self.docker.host.name
        state, _, manages = self._told("info", "--format={{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}")
        if state != "active" or (manager and manages != "true"):
            raise PrepareFailed(
                f"{name} is no {'manager' if manager else 'node'} of a swarm",
                cause="the first of `hosts` must be a manager, and each other one a node of the same swarm",
                next_step=f"`docker swarm init` or `docker swarm join` on {name}, or mend `hosts`",
            )

    def _told(self, *argv: str) -> tuple[str, str, str]:
        return self.docker.output(*argv).decode().strip().partition(" ")

    def make_network(self, name: str, target: str, *, internal: bool) -> None:
        """A network over all nodes, in which containers of no service may be, too; one that is there stays.

        Raises:
            PrepareFailed: there is one that leads to no other node.
        """
        found = self.docker.run("network", "inspect", "--format={{.Driver}} {{.Attachable}}", name, check=False)
        if found.code == 0 and found.output.split() != ["overlay", "true"]:
            raise PrepareFailed(
                f"The network {name} on {self.docker.host.name} does not lead to other nodes, or not for all",
                cause="it was made by Docker Compose, or without `--attachable`",
                next_step=f"`docker compose down` that, or `docker network rm {name}`; then promote again",
            )
        if found.code:
            options = ["--driver=overlay", "--attachable", f"--label={TARGET}={target}"]
            self.docker.run("network", "create", *options, *(["--internal"] if internal else []), name)

    def deploy(self, stack: str, file: Path) -> None:
        """Have the services of a file run in a stack; others in it stay. Raises CommandFailed."""
        options = ["--resolve-image=never", "--with-registry-auth", f"--compose-file={file}"]
        self.docker.run("stack", "deploy", *options, stack)

    def services(self, **labels: str) -> list[Service]:
        """Services with all of these labels of ours, such as `slot="app/env/blue"`."""
        filters = [f"--filter=label=cicd.{name}={value}" for name, value in labels.items()]
        told = self.docker.output("service", "ls", "--format={{.ID}} {{.Replicas}}", *filters).decode().splitlines()
        sizes = {id_: _wanted(how_many) for id_, _, how_many in (line.partition(" ") for line in told)}
        found = self._inspect("service", list(sizes))
        return [_service(one, next(size for id_, size in sizes.items() if one["ID"].startswith(id_))) for one in found]

    def tasks(self, services: Sequence[Service]) -> list[Task]:
        """Tasks of services, those with them that have ended."""
        if not services:
            return []
        done = self.docker.run("service", "ps", "--quiet", "--no-trunc", *(one.id for one in services), check=False)
        ids = [line for line in done.output.splitlines() if line.isalnum()]  # other lines name a service that has gone
        return [_task(one) for one in self._inspect("task", ids)]

    def nodes(self) -> dict[str, bool]:
        """The machines of the swarm, by their ids: whether its manager hears of them."""
        told = self.docker.output("node", "ls", "--format={{.ID}} {{.Status}}").decode().splitlines()
        return {node: state == "Ready" for node, _, state in (line.partition(" ") for line in told)}

    def remove(self, services: Sequence[Service]) -> None:
        """Remove services, and wait until their tasks have ended, save those on machines that are lost.

        Raises:
            PrepareFailed: some do not end.
        """
        if not services:
            return
        left = [task for task in self.tasks(services) if task.node and not task.ended]
        self.docker.run("service", "rm", *(one.id for one in services), check=False)
        limit = max(one.grace for one in services) + SLOW
        deadline = time.monotonic() + limit
        while left:
            if time.monotonic() > deadline:
                names = ", ".join(one.name for one in services)
                raise PrepareFailed(
                    f"Tasks of {names} on {self.docker.host.name}'s swarm do not end within {limit:g} s",
                    next_step="see what keeps them (`docker ps` on their nodes), then run this again",
                )
            time.sleep(0.2)
            nodes = self.nodes()
            there = {one.id for one in map(_task, self._inspect("task", [task.id for task in left])) if not one.ended}
            left = [task for task in left if task.id in there and nodes.get(task.node)]

    def remove_stack(self, stack: str) -> None:
        """What is left of a stack besides services: its configs and secrets."""
        self.docker.run("stack", "rm", stack, check=False)

    def addresses(self, address: str) -> list[str]:
        """The `IP:port` that `service:port` stands for; the same if it is no service."""
        name, _, port = address.rpartition(":")
        found = self._inspect("service", [name])
        tasks = self.tasks([_service(one, 0) for one in found])
        return [f"{ip}:{port}" for task in tasks if task.runs for ip in task.addresses.values()] or [address]

    def said(self, service: Service, lines: int) -> str:
        """The end of what its tasks have said; those on a lost machine are not waited for."""
        argv = ["service", "logs", f"--tail={lines}", "--no-task-ids", service.id]
        return self.docker.run(*argv, check=False, timeout=5).output.strip()

    def gateway_address(self, container: str) -> str:
        """Where the machine of a container finds it, which has no other way to networks of a swarm; empty for none."""
        (found,) = self._inspect("network", ["docker_gwbridge"]) or [{}]
        place = (found.get("Containers") or {}).get(container) or {}
        return str(place.get("IPv4Address") or "").partition("/")[0]

    def _inspect(self, kind: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """What Docker knows of things; those that have just gone are left out. Raises CommandFailed."""
        if not ids:
            return []
        done = self.docker.run("inspect", f"--type={kind}", "--format={{json .}}", *ids, check=False)
        lines = [line for line in done.output.splitlines() if line.strip()]
        if any(not line.startswith("{") and not GONE.search(line) for line in lines):
            raise failure(done)
        return [json.loads(line) for line in lines if line.startswith("{")]


def _wanted(how_many: str) -> int:
    """Of `2/3`, perhaps with more words after it, the second number."""
    return int(how_many.partition("/")[2].split()[0])


def _service(told: Mapping[str, Any], size: int) -> Service:
    spec = told["Spec"]
    grace = spec["TaskTemplate"]["ContainerSpec"].get("StopGracePeriod") or 10_000_000_000
    return Service(
        id=told["ID"],
        name=spec["Name"],
        stack=(spec.get("Labels") or {}).get("com.docker.stack.namespace", ""),
        labels=spec.get("Labels") or {},
        size=size,
        grace=grace / 1e9,
    )


def _task(told: Mapping[str, Any]) -> Task:
    status = told.get("Status") or {}
    attached = told.get("NetworksAttachments") or []
    return Task(
        id=told["ID"],
        service=told.get("ServiceID") or "",
        node=told.get("NodeID") or "",
        wanted=told.get("DesiredState") == "running",
        state=status.get("State") or "",
        error=status.get("Err") or "",
        addresses={
            one["Network"]["Spec"]["Name"]: one["Addresses"][0].partition("/")[0]
            for one in attached
            if one.get("Addresses")
        },
    )
