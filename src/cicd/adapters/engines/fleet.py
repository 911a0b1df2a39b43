"""An engine of several hosts: each step is done on all of them at once, and counts when it is done on all."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from cicd.adapters.engines.layout import Layout
from cicd.adapters.engines.protocol import Engine, Programs
from cicd.adapters.process import Completed
from cicd.core.health import Probe
from cicd.core.release import Record

T = TypeVar("T")


@dataclass(frozen=True)
class Fleet:
    """The engines of the hosts; the first one's host has the journal, and runs the migrations."""

    engines: Sequence[Engine]

    @property
    def first(self) -> Engine:
        return self.engines[0]

    def require_image(self, image: str) -> None:
        self._all(lambda engine: engine.require_image(image))

    def commit(self, image: str) -> str:
        return self.first.commit(image)

    def size(self, image: str) -> int:
        return self.first.size(image)

    def free(self) -> int:
        return min(self._all(lambda engine: engine.free()))

    def texts(self, image: str, suffixes: tuple[str, ...]) -> dict[str, str]:
        return self.first.texts(image, suffixes)

    def has(self, release_id: str) -> bool:
        return all(self._all(lambda engine: engine.has(release_id)))

    def lacking(self, release_id: str) -> list[str]:
        return [host for found in self._all(lambda engine: engine.lacking(release_id)) for host in found]

    def prepare(self, record: Record, settings: Mapping[str, str], layout: Layout) -> None:
        self._all(lambda engine: engine.prepare(record, settings, layout))

    def discard(self, release_id: str, hosts: Collection[str] | None = None) -> None:
        self._all(lambda engine: engine.discard(release_id, hosts))

    def bring_services(self, record: Record) -> str:
        return self._all(lambda engine: engine.bring_services(record))[0]

    def services_run(self, record: Record) -> bool:
        return all(self._all(lambda engine: engine.services_run(record)))

    def revive(self, slot: str, record: Record) -> str:
        return "; ".join(filter(None, self._all(lambda engine: engine.revive(slot, record))))

    def start(self, slot: str, record: Record) -> None:
        self._all(lambda engine: engine.start(slot, record))

    def stop(self, slot: str) -> None:
        self._all(lambda engine: engine.stop(slot))

    def alive(self, slot: str) -> str:
        there = set(self._all(lambda engine: engine.alive(slot)))
        return there.pop() if len(there) == 1 else ""

    def take_over(self, slot: str, record: Record) -> str:
        return self._all(lambda engine: engine.take_over(slot, record))[0]

    def fallen(self, slot: str, record: Record) -> str:
        return "; ".join(filter(None, self._all(lambda engine: engine.fallen(slot, record))))

    def addresses(self, slot: str, record: Record) -> tuple[str, ...]:
        return tuple(one for found in self._all(lambda engine: engine.addresses(slot, record)) for one in found)

    def ask(self, slot: str, record: Record) -> list[Probe]:
        return [answer for told in self._all(lambda engine: engine.ask(slot, record)) for answer in told]

    def run_in(self, record: Record, argv: Sequence[str], extra: Mapping[str, str], timeout: float) -> Completed:
        return self.first.run_in(record, argv, extra, timeout)

    def left_behind(self) -> Programs:
        return self.first.left_behind()

    def reach(self, host: str, port: int) -> tuple[str, int]:
        return self.first.reach(host, port)

    def setting(self, record: Record, name: str) -> str:
        return self.first.setting(record, name)

    def log_tail(self, slot: str, lines: int = 20) -> str:
        return "\n".join(dict.fromkeys(self._all(lambda engine: engine.log_tail(slot, lines))))

    def _all(self, act: Callable[[Engine], T]) -> list[T]:
        """What each host gives. The first error is raised when all have ended: nothing goes on behind our back."""
        with ThreadPoolExecutor(len(self.engines)) as pool:
            futures = [pool.submit(act, engine) for engine in self.engines]
        return [future.result() for future in futures]
