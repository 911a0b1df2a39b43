"""Servers that tests need: PostgreSQL and Redis, from the machine or from our locked wheels.

A server's data are disposable and lie in a folder of the job's temp folder that is readable by nobody else.
"""

from typing import Protocol

from cicd.adapters.services import postgres, redis
from cicd.adapters.services.place import Place


class Service(Protocol):
    """One kind of server. Its modules keep no state: all is in the Place."""

    @property
    def PROGRAM(self) -> str:
        """The server's program, as it is called on PATH and in tools.IN_WHEELS."""

    @property
    def FOLDERS(self) -> tuple[str, ...]:
        """Folders off PATH where the machine's packages put it."""

    @property
    def VARIABLE(self) -> str:
        """The variable that gets its URL."""

    @property
    def PORT_TAKEN(self) -> str:
        """What its log says when somebody else has the port."""

    @property
    def RESERVED(self) -> frozenset[str]:
        """Settings that are ours to make."""

    def prepare(self, place: Place) -> None:
        """What comes before the first start. Raises ServiceFailed."""

    def command(self, place: Place, port: int) -> list[str]:
        """argv of the server."""

    def answers(self, place: Place, port: int) -> bool:
        """Whether it answers a real query."""

    def url(self, password: str, port: int) -> str:
        """How a client reaches it, password included."""


SERVICES: dict[str, Service] = {"postgres": postgres, "redis": redis}
