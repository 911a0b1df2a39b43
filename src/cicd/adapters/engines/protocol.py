"""What an engine is."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from cicd.adapters.engines.layout import Layout
from cicd.adapters.process import Completed
from cicd.core.health import Probe
from cicd.core.release import Record


class Programs(Protocol):
    """Programs that run with a release's code and settings, besides its slots."""

    def __bool__(self) -> bool:
        """Whether there are any."""

    def clients(self) -> set[tuple[str, int]]:
        """IP and port of each connection that they have made; port 0 where any of the IP is theirs."""

    def end(self) -> None:
        """End them, with what they have started."""


class Engine(Protocol):
    """Runs releases in slots. A release is prepared once and can then be started without anything from outside."""

    def require_image(self, image: str) -> None:
        """Raises ImageMissing if the image cannot be had."""

    def commit(self, image: str) -> str:
        """Full sha that an image was built from; empty if it does not tell."""

    def size(self, image: str) -> int:
        """Bytes of an image that can be had."""

    def free(self) -> int:
        """Bytes that are free where images and releases lie; the least of all disks and hosts."""

    def texts(self, image: str, suffixes: tuple[str, ...]) -> dict[str, str]:
        """The text files of an image whose names end so, by their paths below the application. Raises PrepareFailed."""

    def has(self, release_id: str) -> bool:
        """Whether a release lies on the target, whole."""

    def lacking(self, release_id: str) -> list[str]:
        """The hosts, by name, on which a release does not lie, or not whole."""

    def prepare(self, record: Record, settings: Mapping[str, str], layout: Layout) -> None:
        """Lay a release out on the target. Raises PrepareFailed, ImageMissing, DependenciesFailed."""

    def discard(self, release_id: str, hosts: Collection[str] | None = None) -> None:
        """Take a release off the target; one that is not there is fine.

        Args:
            hosts: names of those that it is taken off; None: all.
        """

    def bring_services(self, record: Record) -> str:
        """Bring the services that both slots use to what a release says; gives a few words. Raises ServiceFailed."""

    def services_run(self, record: Record) -> bool:
        """Whether the services that both slots use run, the router with them, as a release has them."""

    def revive(self, slot: str, record: Record) -> str:
        """Start of a slot and its services what does not run though it should; gives what; empty for nothing.

        Such as after a crash of the machine. Raises ServiceFailed, PortInUse, PrepareFailed.
        """

    def start(self, slot: str, record: Record) -> None:
        """Start a release in a slot, in place of what was there. Raises PortInUse, PrepareFailed."""

    def stop(self, slot: str) -> None:
        """Empty a slot; an empty one is fine."""

    def alive(self, slot: str) -> str:
        """Id of the release that lives in a slot; empty for none."""

    def take_over(self, slot: str, record: Record) -> str:
        """The companions of a slot work, those of the other one do not; gives a few words."""

    def fallen(self, slot: str, record: Record) -> str:
        """The companions of a slot that crashed since they work, with their last words; empty if none did."""

    def addresses(self, slot: str, record: Record) -> tuple[str, ...]:
        """`host:port` at which the router finds the slot, for each host."""

    def ask(self, slot: str, record: Record) -> list[Probe]:
        """Ask the slot how it is, past the router: an answer of each host."""

    def run_in(self, record: Record, argv: Sequence[str], extra: Mapping[str, str], timeout: float) -> Completed:
        """Run a program with a release's code and settings; its end is not checked.

        Args:
            extra: variables besides.
            timeout: seconds after which it is ended.
        """

    def left_behind(self) -> Programs:
        """What run_in has started on this target, now or in a run that was killed, and still works."""

    def reach(self, host: str, port: int) -> tuple[str, int]:
        """Where we find what a release's code finds at `host:port`, such as its database."""

    def setting(self, record: Record, name: str) -> str:
        """One setting of a release, secrets included; empty if it has none of this name."""

    def log_tail(self, slot: str, lines: int = 20) -> str:
        """The end of what the slot's program said."""
