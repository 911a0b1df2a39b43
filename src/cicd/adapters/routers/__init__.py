"""Routers: what sends traffic to a slot."""

from collections.abc import Sequence
from typing import Protocol

from cicd.adapters.docker import Docker
from cicd.adapters.routers.fleet import FleetRouter
from cicd.adapters.routers.log import Log, Mark
from cicd.adapters.routers.nginx import Drained, in_container, on_this_machine
from cicd.adapters.routers.nginx_container import as_it_is
from cicd.adapters.routers.share import Share
from cicd.adapters.runner import Runner
from cicd.adapters.swarm import Swarm
from cicd.adapters.target import Target
from cicd.core.health import Probe
from cicd.core.release import Record
from cicd.core.watch import Answer


class Router(Protocol):
    """Sends the traffic of an environment to its slots, and tells what was answered."""

    def route(self, shares: Sequence[Share], port: int, *, everywhere: bool = False) -> None:
        """Send new requests by these shares, one user always to the same slot; those under way end where they are.

        Args:
            everywhere: whether to go on with the other hosts where it fails on one; the first error is raised then.

        Raises:
            RouterFailed: the shares are not in force. PortInUse.
        """

    def ask(self, record: Record) -> list[Probe]:
        """Ask the release that has the traffic how it is, as its users would: an answer of each host."""

    def close(self) -> None:
        """Send traffic nowhere: there is no release to send it to."""

    def runs(self) -> bool:
        """Whether it is there."""

    def stop(self) -> None:
        """End the router; one that does not run is fine."""

    def drain(self, addresses: Sequence[str], within: float) -> Drained:
        """Wait until nothing more reaches a slot that has no share, no longer than `within` seconds."""

    def mark(self) -> Sequence[Mark]:
        """This moment in the router's log, on each host."""

    def log(self, since: Sequence[Mark]) -> Log:
        """What was answered since a mark, and will be."""

    def recent(self, slot: str, release_id: str, count: int) -> list[Answer]:
        """The newest answers of a release in a slot to its users, no more than `count`."""


def router_of(engine: str, targets: Sequence[Target], runner: Runner) -> Router:
    """The router of an environment, as its engine needs it. `targets`: the environment on each of its hosts."""
    if engine == "process":
        return on_this_machine(targets[0], runner)
    found = Swarm(Docker(targets[0].host)).addresses if engine == "swarm" else as_it_is
    routers = [in_container(target, found) for target in targets]
    return FleetRouter(routers) if len(routers) > 1 else routers[0]
