"""Servers that tests need: PostgreSQL, Redis and RabbitMQ by name, any other as the config describes it.

A server's data are disposable and lie in a folder of the job's temp folder that is readable by nobody else.
"""

from pathlib import Path
from typing import Protocol

from cicd.adapters.services import postgres, rabbitmq, redis
from cicd.adapters.services.described import Described
from cicd.adapters.services.place import Address, Contained, Place
from cicd.core.services import Wanted


class Started(Protocol):
    """A server that can be started. It keeps no state: all is in the Place."""

    @property
    def VARIABLE(self) -> str:
        """The variable that gets its URL; empty for none."""

    @property
    def PORT_TAKEN(self) -> str:
        """What its log says when somebody else has the port, as a regular expression."""

    @property
    def USER(self) -> str:
        """Whom it lets in."""

    @property
    def DATABASE(self) -> str:
        """The database that it makes; empty for none."""

    def prepare(self, place: Place) -> None:
        """What comes before the first start. Raises ServiceFailed."""

    def command(self, place: Place, port: int) -> list[str]:
        """argv of the server."""

    def environ(self, place: Place, port: int) -> dict[str, str]:
        """The server's variables, besides those of the place."""

    def cwd(self, place: Place) -> Path:
        """Where it runs."""

    def ask(self, address: Address, place: Place | None = None) -> tuple[int, ...] | None:
        """Ask a real query: the version that it says it has, empty if it says none; None: it does not answer."""

    def url(self, address: Address) -> str:
        """How a client reaches it, password included; empty if there is no such thing."""


class Service(Started, Protocol):
    """One kind of server."""

    @property
    def PROGRAM(self) -> str:
        """The server's program, as it is called on PATH and in tools.IN_WHEELS; empty if only the config knows it."""

    @property
    def FOLDERS(self) -> tuple[str, ...]:
        """Folders off PATH where the machine's packages put it."""

    @property
    def RESERVED(self) -> frozenset[str]:
        """Settings that are ours to make."""

    @property
    def IMAGE(self) -> str:
        """Its image, with `{version}`."""

    @property
    def PORT(self) -> int:
        """The port on which it listens in a container."""

    def version(self, program: Path) -> tuple[int, ...]:
        """The version of a program; empty if it is none that we can start."""

    def contained(self, place: Place, port: int) -> Contained:
        """What its image is run with."""


SERVICES: dict[str, Service] = {"postgres": postgres, "redis": redis, "rabbitmq": rabbitmq}


def service_of(wanted: Wanted) -> Service:
    """The kind of server that is wanted."""
    return SERVICES.get(wanted.name) or Described(wanted)
