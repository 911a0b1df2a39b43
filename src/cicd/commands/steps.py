"""What each kind of step does to a target, and how it is undone. Undoing twice, or half a step, is fine."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cicd.adapters.engines import Engine
from cicd.adapters.http import ROUTER_RELEASE, probe
from cicd.adapters.migrators import Migrator
from cicd.adapters.ports import HOST
from cicd.adapters.routers import Router
from cicd.adapters.routers.log import Mark
from cicd.adapters.routers.share import Share
from cicd.adapters.target import Target
from cicd.commands.execute import Facts
from cicd.commands.watch import BASELINE, Watched, Watcher
from cicd.core.health import Probe, good, healthy, why_not
from cicd.core.migrations import between, why_no_way_back
from cicd.core.plan import SLOTS, Running, Step
from cicd.core.release import Record
from cicd.core.watch import Judgement
from cicd.errors import CanaryInconclusive, Inconclusive, MigrationFailed, RouterFailed, Unhealthy

BACK_WITHIN = 10.0  # seconds that the release before has to answer through the router again


@dataclass
class TargetSteps:
    """The steps of one deployment.

    Attributes:
        before: what ran when it began.
        new: the record to lay out, for a promotion; others are read from the target.
        new_settings: all settings of `new`, secrets included.
    """

    target: Target
    engine: Engine
    router: Router
    migrator: Migrator
    before_running: Running
    new: Record | None = None
    new_settings: Mapping[str, str] | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    switched_at: Mark | None = None  # in the router's log: the watch sees also the first users

    def record(self, release_id: str) -> Record:
        if self.new and self.new.release.id == release_id:
            return self.new
        return self.target.record(release_id)

    def before(self, step: Step) -> Facts:
        if step.kind == "prepare":
            return {"created": not self.target.has(step.release)}
        if step.kind in ("migrate", "downgrade"):
            return {"from": self._revision(self.record(step.release))}
        if step.kind in ("canary", "switch"):
            was = self.before_running
            return {"slot": was.slot, "release": was.release.id if was.release else ""}
        return {}

    def do(self, step: Step, facts: Facts) -> str:
        record = self.record(step.release)
        actions: dict[str, Callable[[], str]] = {
            "prepare": lambda: self._prepare(record),
            "migrate": lambda: self._migrate(record, facts["from"], step.revision),
            "downgrade": lambda: self._downgrade(record, facts["from"], step.revision),
            "start": lambda: self._start(step.slot, record),
            "verify": lambda: self._verify(step.slot, record),
            "canary": lambda: self._canary(step.slot, record, step.share),
            "switch": lambda: self._switch_all(step.slot, record),
            "watch": lambda: self._watch(step.slot, record),
        }
        return actions[step.kind]()

    def redo(self, step: Step, facts: Facts) -> str:
        if step.kind == "start" and self.engine.alive(step.slot) == step.release:
            return "runs already"  # perhaps with the traffic: it must not be started anew
        return self.do(step, facts)

    def undo(self, step: Step, facts: Facts) -> str:
        if step.kind == "prepare" and facts["created"]:
            self.engine.discard(step.release)
            return "removed from the target"
        if step.kind == "start":
            self.router.drain()
            self.engine.stop(step.slot)
            return "stopped"
        if step.kind == "canary":
            return self._route_back(facts)
        if step.kind == "switch":
            return self._switch_back(facts)
        if step.kind == "migrate":
            return self._unmigrate(step, facts)
        return ""

    def can_go_back(self) -> str:
        slot, release = self.before_running.slot, self.before_running.release
        if release is None:
            return ""  # nothing ran before; going back is sending traffic nowhere
        record = self.target.record(release.id)
        if self.engine.alive(slot) != release.id:
            return f"it no longer runs in slot {slot}"
        answer = self._ask_slot(slot, record)
        health = record.deploy.health
        return "" if good(answer, health, self._told(record)) else why_not([answer], health, self._told(record))

    def _prepare(self, record: Record) -> str:
        self.engine.prepare(record, self.new_settings or {})
        return f"release {record.release.name} lies on the target"

    def _revision(self, record: Record) -> str:
        return self.migrator.current(self.engine, record)

    def _migrate(self, record: Record, low: str, high: str) -> str:
        must_be_at(self.migrator.upgrade(self.engine, record, high), high)
        names = [migration.revision for migration in between(record.migrations, low, high)]
        return f"{low or 'base'} → {high}" if names else f"already at {high}"

    def _downgrade(self, record: Record, high: str, low: str) -> str:
        must_be_at(self.migrator.downgrade(self.engine, record, low), low)
        return f"{high or 'base'} → {low}"

    def _unmigrate(self, step: Step, facts: Facts) -> str:
        """Take the schema back, with the new release's code, unless a migration has no way back."""
        record, low = self.record(step.release), facts["from"]
        if not self.target.has(step.release) or self._revision(record) == low:
            return ""
        if why := why_no_way_back(between(record.migrations, low, step.revision)[::-1]):
            return f"left at {step.revision}: {why}"
        return self._downgrade(record, step.revision, low or "base")

    def _start(self, slot: str, record: Record) -> str:
        if self.engine.alive(slot):
            self.router.drain()  # it was left just now, perhaps
        self.engine.start(slot, record)
        return f"{record.release.name} at {self.engine.address(slot, record)}"

    def _verify(self, slot: str, record: Record) -> str:
        """Prove the slot before traffic: successes in a row, and fail at once if its program has ended."""
        health, release = record.deploy.health, self._told(record)
        probes: list[Probe] = []
        deadline = self.clock() + health.within
        while not healthy(probes, health, release):
            if self.engine.alive(slot) != record.release.id:
                raise Unhealthy(
                    f"The program in slot {slot} ended by itself:\n{self.engine.log_tail(slot)}",
                    next_step="mend the release; what runs was not touched",
                )
            if self.clock() > deadline:
                raise Unhealthy(
                    f"Slot {slot} was not healthy within {health.within:g} s: {why_not(probes, health, release)}",
                    cause=self.engine.log_tail(slot, 5),
                    next_step="mend the release; what runs was not touched",
                )
            if probes:
                self.sleep(health.interval)
            probes.append(self._ask_slot(slot, record))
        return f"{health.successes} right answers in a row"

    def _told(self, record: Record) -> str:
        """The release id to ask the application for; empty when it does not tell."""
        return record.release.id if record.deploy.health.release_header else ""

    def _ask_slot(self, slot: str, record: Record) -> Probe:
        health = record.deploy.health
        url = f"http://{self.engine.address(slot, record)}{health.path}"
        return probe(url, release_header=health.release_header)

    def _ask_router(self, record: Record) -> Probe:
        url = f"http://{HOST}:{record.ports.router}{record.deploy.health.path}"
        return probe(url, release_header=ROUTER_RELEASE)

    def _share(self, slot: str, record: Record, percent: float = 100.0) -> Share:
        return Share(slot, self.engine.address(slot, record), record.release.id, percent)

    def _switch_all(self, slot: str, record: Record) -> str:
        self.switched_at = self.router.mark()
        return self._switch(slot, record)

    def _switch(self, slot: str, record: Record) -> str:
        self.router.route([self._share(slot, record)], record.ports.router)
        self._verify_router(record)
        return f"traffic goes to {slot}, checked through the router"

    def _verify_router(self, record: Record) -> None:
        """Ask through the router until the new release answers rightly, several times in a row."""
        health, probes = record.deploy.health, list[Probe]()
        deadline = self.clock() + BACK_WITHIN
        while not healthy(probes, health, record.release.id):
            if self.clock() > deadline:
                raise RouterFailed(
                    f"Through the router: {why_not(probes, health, record.release.id)}",
                    next_step="look at router/error.log in the target's folder",
                )
            if probes:
                self.sleep(0.02)
            probes.append(self._ask_router(record))

    def _switch_back(self, facts: Facts) -> str:
        if not facts["release"]:
            self.router.close()
            return "no release before this one: the router answers 502"
        return self._switch(facts["slot"], self.target.record(facts["release"]))

    def _route_back(self, facts: Facts) -> str:
        """All users to the release before, which has most of them anyway: whether it is well is not asked."""
        record = self.target.record(facts["release"])
        self.router.route([self._share(facts["slot"], record)], record.ports.router)
        return f"all traffic goes to {facts['slot']}"

    def _canary(self, slot: str, record: Record, share: float) -> str:
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

    def _watch(self, slot: str, record: Record) -> str:
        """Look at what the release answers under traffic until the verdict is clear."""
        health, was = record.deploy.health, self._release_before()
        new = Watched(slot, lambda: good(self._ask_router(record), health, record.release.id))
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

    def _look(
        self, new: Watched, old: Watched | None, record: Record, since: Mark, seconds: float
    ) -> tuple[Judgement, str]:
        with self.router.log(since) as log:
            return Watcher(log, record.deploy.watch, self.clock, self.sleep).watch(new, old, seconds)

    def _release_before(self) -> tuple[str, Record] | None:
        """Slot and record of what ran when this began."""
        slot, release = self.before_running.slot, self.before_running.release
        return (slot, self.target.record(release.id)) if release else None

    def _asking(self, slot: str, record: Record) -> Callable[[], bool]:
        """A probe of a slot, past the router."""
        return lambda: good(self._ask_slot(slot, record), record.deploy.health, self._told(record))

    def prune(self, release_id: str) -> list[str]:
        """Keep the last releases on the target, remove the others; gives their ids. Not part of the transaction."""
        stable, running = [release.id for release in self.target.state().history], self.before_running.release
        busy = {release_id, *(self.engine.alive(slot) for slot in SLOTS), running.id if running else ""}
        # First what one may want to go back to, then the newest of the others.
        order = dict.fromkeys([*stable, *self.target.releases()])
        spare = [one for one in order if one not in busy and self.target.has(one)]
        keep = busy | set(spare[: max(0, self.record(release_id).deploy.keep - len(busy - {""}))])
        removed = [one for one in self.target.releases() if one not in keep]
        for one in removed:
            self.target.remove(one)
        return removed


def must_be_at(found: str, wanted: str) -> None:
    """A migrator may end well and have done nothing: a transaction that nobody committed, another database."""
    if (found or "base") != (wanted or "base"):
        raise MigrationFailed(
            f"The database is at {found or 'base'} after the migration, not at {wanted or 'base'}",
            cause="the migration ended well, but its transaction was not committed, or went to another database",
            next_step="look at how it connects (Alembic: migrations/env.py)",
        )
