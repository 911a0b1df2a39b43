"""The routers of several hosts: switched one after the other, looked at together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cicd.adapters.routers.log import Log, Mark
from cicd.adapters.routers.nginx import Drained, Nginx
from cicd.adapters.routers.share import Share
from cicd.core.health import Probe
from cicd.core.release import Record
from cicd.core.watch import Answer
from cicd.errors import CicdError


@dataclass(frozen=True)
class FleetRouter:
    """The routers of the hosts, in their order."""

    routers: Sequence[Nginx]

    def route(self, shares: Sequence[Share], port: int, *, everywhere: bool = False) -> None:
        failed: list[CicdError] = []
        for number, router in enumerate(self.routers):
            own = [replace(share, addresses=share.addresses[number : number + 1]) for share in shares]
            try:
                router.route(own, port)
            except CicdError as error:
                failed.append(error)
                if not everywhere:
                    break
        if failed:
            raise failed[0]

    def ask(self, record: Record) -> list[Probe]:
        return [answer for router in self.routers for answer in router.ask(record)]

    def close(self) -> None:
        for router in self.routers:
            router.close()

    def runs(self) -> bool:
        return all(router.runs() for router in self.routers)

    def stop(self) -> None:
        for router in self.routers:
            router.stop()

    def drain(self, addresses: Sequence[str], within: float) -> Drained:
        seconds, cut = 0.0, 0
        for router, address in zip(self.routers, addresses, strict=True):
            drained = router.drain([address], max(0.0, within - seconds))
            seconds, cut = seconds + drained.seconds, cut + drained.cut
        return Drained(seconds, cut)

    def mark(self) -> Sequence[Mark]:
        return [mark for router in self.routers for mark in router.mark()]

    def log(self, since: Sequence[Mark]) -> Log:
        logs = [router.log([mark]) for router, mark in zip(self.routers, since, strict=True)]
        return Log([file for log in logs for file in log.files])

    def recent(self, slot: str, release_id: str, count: int) -> list[Answer]:
        each = max(1, count // len(self.routers))
        return [answer for router in self.routers for answer in router.recent(slot, release_id, each)]
