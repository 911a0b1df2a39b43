"""One of the hosts at which users arrive at a swarm: a router and what stands in front of it, as with engine `compose`.

The first of them, a manager of the swarm, also has the other shared services, and lays out what the slots are made of.
Networks go over all nodes. Only the router is in one of its host's own, too: through it the host asks what runs on the
swarm, to whose networks it has no other way.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cicd.adapters.docker import Container
from cicd.adapters.engines.compose import ComposeEngine, port_in
from cicd.adapters.engines.compose_network import made_network
from cicd.adapters.routers.nginx_conf import KEEPALIVE, Manner
from cicd.adapters.routers.nginx_container import NginxContainer
from cicd.adapters.swarm import Swarm
from cicd.core.compose import Model, Shape, shape
from cicd.core.compose_files import Network, file_text, in_slot
from cicd.core.plan import SLOTS
from cicd.core.release import Record
from cicd.core.stack_file import (
    given_files,
    on_other_hosts,
    over_nodes,
    own_networks,
    service_name,
    stack_file,
    stack_name,
)
from cicd.errors import CommandFailed, PrepareFailed

NETWORKS = "networks"  # the file of those that are ours: whether each is internal, by its name
LOOKS = (8001, 8002)  # ports of the router at which its host asks it to ask; the first that the service has not


@dataclass(frozen=True)
class SwarmHost(ComposeEngine):
    """A host of the environment. `first`: whether it is the manager, with the services of which there is one."""

    first: bool = True

    @property
    def swarm(self) -> Swarm:
        return Swarm(self.docker)

    def _files(self, record: Record, settings: Mapping[str, str], model: Model) -> dict[str, dict[str, Any]]:
        deploy = record.deploy
        self.swarm.require(manager=self.first)
        parts = shape(model, deploy.service, deploy.companions)
        network = made_network(self.docker, self.target, model["name"])
        network = msgspec.structs.replace(network, addresses={"router": network.addresses["router"]})
        spread = over_nodes(model)
        if not self.first:
            return {"base": self._base(record, spread, on_other_hosts(model, parts), network)}
        files = {"base": self._base(record, spread, parts, network), NETWORKS: own_networks(model)}
        once = self._slot_of(record, settings, "run", self._tag(record.release.id))
        files["run"] = self._in_slot(record, spread, parts, once, network)
        for name in SLOTS:
            slot = self._slot_of(record, settings, name, self._reference(record.release.image))
            made = self._resolved(record, f"slot-{name}", self._in_slot(record, spread, parts, slot, network))
            files |= self._stacks(record, settings, name, made)
        return files

    def _base(self, record: Record, model: Model, parts: Shape, network: Network) -> dict[str, Any]:
        file = super()._base(record, model, parts, network)
        file["services"][record.deploy.service]["sysctls"] = KEEPALIVE
        return file

    def _resolved(self, record: Record, name: str, slot: dict[str, Any]) -> dict[str, Any]:
        """A slot whose env files Compose has read, which no stack reads as it does."""
        if not any(one.get("env_file") for one in slot["services"].values()):
            return slot
        path = self.target.release_folder(record.release.id) / f"{name}.json"
        self.target.write(path, file_text(slot))
        done = self.docker.output("compose", "--env-file=/dev/null", f"--file={path}", "config", "--format=json")
        return dict(json.loads(done))

    def _stacks(
        self, record: Record, settings: Mapping[str, str], name: str, slot: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """The stack of a slot, in two files: the service, and its companions."""
        folder = self.target.make("releases", record.release.id, "given")
        for file, content in given_files(slot, settings).items():
            self.target.write(folder / file, content)
        service = in_slot(record.deploy.service, name)
        companions = sorted(set(slot["services"]) - {service})
        files = {f"stack-{name}": stack_file(slot, [service], str(folder))}
        return files | ({f"with-{name}": stack_file(slot, companions, str(folder))} if companions else {})

    def bring_services(self, record: Record) -> str:
        self.swarm.require(manager=self.first)
        if self.first:
            for name, internal in self._file(record, NETWORKS).items():
                self.swarm.make_network(name, self.target.name, internal=internal)
        said = super().bring_services(record)
        NginxContainer(self.docker, self.target.name).reload()  # one that ran has not read yet how it stands now
        return said

    def deploy(self, record: Record, slot: str, *, companions: bool) -> list[str]:
        """Have the service of a slot run, or its companions; gives their names, none where it has none.

        Raises:
            PrepareFailed.
        """
        name = f"{'with' if companions else 'stack'}-{slot}"
        path = self.target.release_folder(record.release.id) / f"{name}.json"
        if companions and self.target.host.look(path) is None:
            return []
        try:
            self.swarm.deploy(stack_name(self.project(record), slot), path)
        except CommandFailed as error:
            raise PrepareFailed(
                f"Slot {slot} does not start on the swarm of {self.target.host.name}: {error.what}",
                next_step="mend the compose file, or what it needs; what runs was not touched",
            ) from error
        return sorted(one.removesuffix(f"-{slot}") for one in self._file(record, name)["services"])

    def looking(self, record: Record) -> str:
        """`host:port` of this machine at which the router asks a slot, or a task by its address."""
        return self.target.host.reach(look_at(self._file(record, "base"), record))

    def port(self, record: Record) -> int:
        """That the service listens on in its containers."""
        return port_in(self._file(record, "base"), record)

    def project(self, record: Record) -> str:
        """Of the shared services; the stacks are called after it."""
        return str(self._file(record, "base")["name"])

    def _manner(self, record: Record, file: Mapping[str, Any]) -> Manner:
        port = port_in(file, record)
        names = {slot: f"{service_name(file['name'], record.deploy.service, slot)}:{port}" for slot in SLOTS}
        return msgspec.structs.replace(super()._manner(record, file), named=names, look=look_at(file, record))

    def _address(self, container: Container, networks: set[str]) -> str:
        return self.swarm.gateway_address(container.id) or super()._address(container, networks)


def look_at(base: Mapping[str, Any], record: Record) -> str:
    """Where the router of a base file listens for its host alone: in a network that nobody else is in."""
    port = next(port for port in LOOKS if port != port_in(base, record))
    return f"{base['services'][record.deploy.service]['networks']['cicd']['ipv4_address']}:{port}"
