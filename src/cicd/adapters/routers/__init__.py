"""Routers: what sends traffic to a slot."""

from collections.abc import Callable
from typing import Protocol

from cicd.adapters.routers.nginx import Nginx
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target
from cicd.core.health import Traffic


class Router(Protocol):
    """Sends all traffic of an environment to one slot, and counts what was answered."""

    def switch(self, address: str, release_id: str, port: int) -> None:
        """Send new requests to `address`; those under way end where they are. Raises RouterFailed, PortInUse."""

    def close(self) -> None:
        """Send traffic nowhere: there is no release to send it to."""

    def runs(self) -> bool:
        """Whether it answers on its port already."""

    def stop(self) -> None:
        """End the router; one that does not run is fine."""

    def position(self) -> int:
        """A mark in the router's log."""

    def traffic(self, release_id: str, since: int) -> Traffic:
        """What the release answered since a mark."""


ROUTERS: dict[str, Callable[[Target, Runner], Router]] = {"nginx": Nginx}
