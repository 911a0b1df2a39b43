"""Routers: what sends traffic to a slot."""

from collections.abc import Callable, Sequence
from typing import Protocol

from cicd.adapters.routers.log import Log, Mark
from cicd.adapters.routers.nginx import Drained, on_this_machine
from cicd.adapters.routers.share import Share
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target
from cicd.core.health import Probe
from cicd.core.release import Record
from cicd.core.watch import Answer


class Router(Protocol):
    """Sends the traffic of an environment to its slots, and tells what was answered."""

    def route(self, shares: Sequence[Share], port: int) -> None:
        """Send new requests by these shares, one user always to the same slot; those under way end where they are.

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

    def drain(self, address: str, within: float) -> Drained:
        """Wait until nothing more reaches a slot that has no share, no longer than `within` seconds."""

    def mark(self) -> Mark:
        """This moment in the router's log."""

    def log(self, since: Mark) -> Log:
        """What was answered since a mark, and will be."""

    def recent(self, slot: str, release_id: str, count: int) -> list[Answer]:
        """The newest answers of a release in a slot to its users, no more than `count`."""


ROUTERS: dict[str, Callable[[Target, Runner], Router]] = {"nginx": on_this_machine}
