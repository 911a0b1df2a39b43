"""Which slot serves the users: it is proven, some try it, all get it, it is watched; and the way back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cicd.adapters.engines.protocol import Engine
from cicd.adapters.prometheus import Prometheus
from cicd.adapters.routers import Router
from cicd.adapters.routers.log import Mark
from cicd.adapters.routers.share import Share
from cicd.adapters.target import Target
from cicd.commands.conditions import Conditions
from cicd.commands.watch import BASELINE, Watched, Watcher
from cicd.core.health import Probe, good, healthy, why_not
from cicd.core.plan import Running
from cicd.core.release import Record
from cicd.core.watch import Judgement
from cicd.errors import CanaryInconclusive, Inconclusive, RouterFailed, Unhealthy

LOOK_EVERY = 0.2  # seconds between two looks at a program that does not answer yet: a look costs it more than a probe
ANSWERS_WITHIN = 10.0  # seconds that a release has to answer through the router after a switch


@dataclass
class Serving:
    """The slots of one deployment and their users.

    Attributes:
        before: what served when it began.
        prometheus_token: bearer token for the watch's conditions; empty for none.
        switched_at: in the router's log; so the watch sees also the first users.
    """

    target: Target
    engine: Engine
    router: Router
    before: Running
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    prometheus_token: str = ""
    switched_at: Sequence[Mark] | None = None

    def verify(self, slot: str, record: Record) -> str:
        """Prove the slot before traffic: successes in a row, and fail at once if its program has ended."""
        health, release = record.deploy.health, self._told(record)
        probes: list[Probe] = []
        looked = self.clock()
        deadline = looked + health.within
        while not healthy(probes, health, release):
            if probes and not good(probes[-1], health, release) and self.clock() - looked >= LOOK_EVERY:
                self._require_alive(slot, record)
                looked = self.clock()
            if self.clock() > deadline:
                raise Unhealthy(
                    f"Slot {slot} was not healthy within {health.within:g} s: {why_not(probes, health, release)}",
                    cause=self.engine.log_tail(slot, 5),
                    next_step="mend the release; what runs was not touched",
                )
            if probes:
                self.sleep(health.interval)
            probes.append(self._ask_slot(slot, record))
        self._require_alive(slot, record)  # who has answered is the release: an answer need not tell
        return f"{health.successes} right answers in a row"

    def _require_alive(self, slot: str, record: Record) -> None:
        if self.engine.alive(slot) != record.release.id:
            raise Unhealthy(
                f"The program in slot {slot} ended by itself:\n{self.engine.log_tail(slot)}",
                next_step="mend the release; what runs was not touched",
            )

    def canary(self, slot: str, record: Record, share: float) -> str:
        """Let a share of the users try the release, next to the one before."""
        policy, was = record.deploy.canary, self._release_before()
        if policy is None or was is None:
            return "not wanted"
        shares = [self._share(slot, record, share), self._share(*was, 100 - share)]
        mark = self.router.mark()
        self.router.route(shares, record.ports.router)
        new = Watched(slot, self._asking(slot, record))
        old = Watched(was[0], self._asking(*was))
        judgement, why = self._look(new, old, record, mark, policy.seconds)
        if judgement == "failed":
            raise Unhealthy(
                f"The release fails {share:g}% of the users: {why}", next_step="mend it, then promote it again"
            )
        if judgement == "inconclusive":
            raise CanaryInconclusive(
                f"The canary at {share:g}% shows nothing clear: {why}",
                cause="all users are with the release before",
                next_step="promote again when there is more traffic, or give the canary more time or a larger share",
            )
        return why

    def switch(self, slot: str, record: Record) -> str:
        """All users to a slot."""
        self.switched_at = self.router.mark()
        return self._switch(slot, record)

    def watch(self, slot: str, record: Record) -> str:
        """Look at what the release answers under traffic until the verdict is clear."""
        health, was = record.deploy.health, self._release_before()
        new = Watched(
            slot,
            lambda: good(self._ask_router(record), health, record.release.id),
            beside=lambda: self.engine.fallen(slot, record),
        )
        old = None
        if was:
            old = Watched(was[0], self._asking(*was), self.router.recent(was[0], was[1].release.id, BASELINE))
        mark = self.switched_at or self.router.mark()
        judgement, why = self._look(new, old, record, mark, record.deploy.watch.seconds)
        if judgement == "failed":
            raise Unhealthy(f"The release fails under traffic: {why}", next_step="mend it, then promote it again")
        if judgement == "inconclusive":
            raise Inconclusive(
                f"The watch shows nothing clear: {why}",
                cause="both slots are held as they are",
                next_step="promote again when there is traffic, or roll back",
            )
        return why

    def end_canary(self, slot: str, release_id: str) -> str:
        """All users to the release before, which has most of them anyway: whether it is well is not asked."""
        record = self.target.record(release_id)
        self.router.route([self._share(slot, record)], record.ports.router, everywhere=True)
        return f"all traffic goes to {slot}"

    def switch_back(self, slot: str, release_id: str) -> str:
        """All users to the release before; to nothing if there was none."""
        if release_id:
            return self._switch(slot, self.target.record(release_id), everywhere=True)
        self.router.close()
        return "no release before this one: the router answers 502"

    def why_not_back(self) -> str:
        """Why the release before should not get the users back; empty if it is well, or there was none."""
        was = self._release_before()
        if was is None:
            return ""  # going back is sending traffic nowhere
        slot, record = was
        if self.engine.alive(slot) != record.release.id:
            return f"it no longer runs in slot {slot}"
        answer, health, told = self._ask_slot(slot, record), record.deploy.health, self._told(record)
        return "" if good(answer, health, told) else why_not([answer], health, told)

    def _switch(self, slot: str, record: Record, *, everywhere: bool = False) -> str:
        if not everywhere and not self.engine.services_run(record):  # removed by hand, perhaps
            self.engine.bring_services(record)
        self.router.route([self._share(slot, record)], record.ports.router, everywhere=everywhere)
        self._verify_router(record)
        companions = self.engine.take_over(slot, record)
        return f"traffic goes to {slot}, checked through the router{companions and f'; {companions}'}"

    def _verify_router(self, record: Record) -> None:
        """Ask through the router until the new release answers rightly, several times in a row."""
        health, probes = record.deploy.health, list[Probe]()
        deadline = self.clock() + ANSWERS_WITHIN
        while not healthy(probes, health, record.release.id):
            if self.clock() > deadline:
                raise RouterFailed(
                    f"Through the router: {why_not(probes, health, record.release.id)}",
                    next_step="look at router/error.log in the target's folder",
                )
            if probes:
                self.sleep(0.02)
            probes.append(self._ask_router(record))

    def _look(
        self, new: Watched, old: Watched | None, record: Record, since: Sequence[Mark], seconds: float
    ) -> tuple[Judgement, str]:
        policy, log = record.deploy.watch, self.router.log(since)
        if policy.metrics is None:
            return Watcher(log, policy, self.clock, self.sleep).watch(new, old, seconds)
        was = self._release_before()
        prometheus = Prometheus(policy.metrics.url, policy.metrics.within, self.prometheus_token)
        before = self._names(*was) if was else None
        with Conditions(policy.metrics, policy.samples, prometheus.ask, self._names(new.slot, record), before) as asked:
            watcher = Watcher(log, policy, self.clock, self.sleep, asked.checks, asked.gaps)
            return watcher.watch(new, old, seconds)

    def _names(self, slot: str, record: Record) -> dict[str, str]:
        """What queries about a release have in them."""
        return {
            "slot": slot,
            "release": record.release.id,
            "app": self.target.app,
            "environment": record.environment,
        }

    def _release_before(self) -> tuple[str, Record] | None:
        """Slot and record of what ran when this began."""
        slot, release = self.before.slot, self.before.release
        return (slot, self.target.record(release.id)) if release else None

    def _asking(self, slot: str, record: Record) -> Callable[[], bool]:
        """A probe of a slot, past the router."""
        return lambda: good(self._ask_slot(slot, record), record.deploy.health, self._told(record))

    def _share(self, slot: str, record: Record, percent: float = 100.0) -> Share:
        return Share(slot, self.engine.addresses(slot, record), record.release.id, percent)

    def _told(self, record: Record) -> str:
        """The release id to ask the application for; empty when it does not tell."""
        return record.release.id if record.deploy.health.release_header else ""

    def _ask_slot(self, slot: str, record: Record) -> Probe:
        return _worst(self.engine.ask(slot, record), record, self._told(record))

    def _ask_router(self, record: Record) -> Probe:
        return _worst(self.router.ask(record), record, record.release.id)


def _worst(answers: list[Probe], record: Record, release_id: str) -> Probe:
    """One for all hosts: a wrong answer if there is any, else the slowest."""
    wrong = [answer for answer in answers if not good(answer, record.deploy.health, release_id)]
    return wrong[0] if wrong else max(answers, key=lambda answer: answer.seconds)
