"""How an nginx is run: as a process of this machine, or in a container of a host."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Worker:
    """A worker of an nginx.

    Attributes:
        pid: its process id.
        title: its command line, in which it says what it does; empty for one that has ended.
    """

    pid: int
    title: str

    @property
    def leaving(self) -> bool:
        """Whether it only ends what it had begun."""
        return not self.title or "shutting down" in self.title


class NginxProgram(Protocol):
    """One nginx, with its configuration in a folder that it can read."""

    def check(self, conf: Path) -> str:
        """Have a configuration read; empty if it is right, else what is wrong with it."""

    def start(self, conf: Path, port: int) -> None:
        """Start it; `port` of the host is where it will be. Raises RouterFailed, PortInUse."""

    def runs(self) -> bool:
        """Whether it is there."""

    def stop(self) -> None:
        """End it; one that does not run is fine."""

    def reload(self) -> None:
        """Have it read its configuration; it says nothing of how that went."""

    def reopen_logs(self) -> None:
        """Have it open its logs anew, after they were renamed."""

    def workers(self) -> list[Worker]:
        """Its workers, those that are leaving too; none if it does not run."""

    def connections(self, pids: set[int], address: str) -> int:
        """How many connections these workers have to an address of a slot."""
