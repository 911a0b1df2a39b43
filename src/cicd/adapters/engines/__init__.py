"""Engines: what runs releases on a target."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from cicd.adapters.engines.process import ProcessEngine
from cicd.adapters.process import Completed, ProcessId
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target
from cicd.core.release import Record


class Engine(Protocol):
    """Runs releases in slots. A release is prepared once and can then be started without anything from outside."""

    def require_image(self, image: str) -> Path:
        """The image's file. Raises ImageMissing."""

    def commit(self, image: str) -> str:
        """Full sha that an image was built from; empty if it does not tell."""

    def size(self, image: str) -> int:
        """Bytes of an image that is there."""

    def prepare(self, record: Record, settings: Mapping[str, str]) -> None:
        """Lay a release out on the target. Raises PrepareFailed, ImageMissing, DependenciesFailed."""

    def discard(self, release_id: str) -> None:
        """Take a release off the target; one that is not there is fine."""

    def start(self, slot: str, record: Record) -> None:
        """Start a release in a slot, in place of what was there. Raises PortInUse, PrepareFailed."""

    def stop(self, slot: str) -> None:
        """Empty a slot; an empty one is fine."""

    def alive(self, slot: str) -> str:
        """Id of the release that lives in a slot; empty for none."""

    def address(self, slot: str, record: Record) -> str:
        """`host:port` at which the slot answers."""

    def run_in(self, record: Record, argv: Sequence[str], extra: Mapping[str, str], timeout: float) -> Completed:
        """Run a program with a release's code and settings; its end is not checked.

        Args:
            extra: variables besides.
            timeout: seconds after which it is ended.
        """

    def left_behind(self) -> list[ProcessId]:
        """What run_in has started on this target, now or in a run that was killed, and still works."""

    def setting(self, record: Record, name: str) -> str:
        """One setting of a release, secrets included; empty if it has none of this name."""

    def log_tail(self, slot: str, lines: int = 20) -> str:
        """The end of what the slot's program said."""


ENGINES: dict[str, Callable[[Target, Runner], Engine]] = {"process": ProcessEngine}
