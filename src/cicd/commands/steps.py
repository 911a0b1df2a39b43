"""What each kind of step does to a target, and how it is undone. Undoing twice, or half a step, is fine."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cicd.adapters.engines.layout import Layout
from cicd.adapters.engines.protocol import Engine
from cicd.adapters.migrators import Migrator
from cicd.adapters.routers import Router
from cicd.adapters.target import Target
from cicd.commands.execute import Facts
from cicd.commands.serving import Serving
from cicd.core.journal import rerouted_at
from cicd.core.migrations import between, why_no_way_back
from cicd.core.plan import SLOTS, Running, Step
from cicd.core.release import Record
from cicd.errors import MigrationFailed


@dataclass
class TargetSteps:
    """The steps of one deployment.

    Attributes:
        before: what ran when it began.
        new: the record to lay out, for a promotion; others are read from the target.
        new_settings: all settings of `new`, secrets included.
        new_layout: how `new` runs.
        prometheus_token: bearer token for the watch's conditions; empty for none.
    """

    target: Target
    engine: Engine
    router: Router
    migrator: Migrator
    before_running: Running
    new: Record | None = None
    new_settings: Mapping[str, str] | None = None
    new_layout: Layout = Layout()  # noqa: RUF009 - frozen
    prometheus_token: str = ""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        by = (self.clock, self.sleep, self.prometheus_token)
        self.serving = Serving(self.target, self.engine, self.router, self.before_running, *by)

    def record(self, release_id: str) -> Record:
        if self.new and self.new.release.id == release_id:
            return self.new
        return self.target.record(release_id)

    def before(self, step: Step) -> Facts:
        if step.kind == "prepare":
            return {"lacking": self.engine.lacking(step.release)}
        if step.kind == "services":
            return {"release": self.before_running.release.id if self.before_running.release else ""}
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
            "services": lambda: self.engine.bring_services(record),
            "migrate": lambda: self._migrate(record, facts["from"], step.revision),
            "downgrade": lambda: self._downgrade(record, facts["from"], step.revision),
            "start": lambda: self._start(step.slot, record),
            "verify": lambda: self.serving.verify(step.slot, record),
            "canary": lambda: self.serving.canary(step.slot, record, step.share),
            "switch": lambda: self.serving.switch(step.slot, record),
            "watch": lambda: self.serving.watch(step.slot, record),
        }
        return actions[step.kind]()

    def redo(self, step: Step, facts: Facts) -> str:
        if step.kind == "start" and self.engine.alive(step.slot) == step.release:
            return "runs already"  # perhaps with the traffic: it must not be started anew
        return self.do(step, facts)

    def undo(self, step: Step, facts: Facts) -> str:
        if step.kind == "prepare" and (lacking := facts.get("lacking")):  # not from hosts that had it before
            self.engine.discard(step.release, lacking)
            return "removed from the target"
        if step.kind == "services" and facts["release"]:
            return self.engine.bring_services(self.target.record(facts["release"]))
        if step.kind == "start":
            drained = self._drain(step.slot, self.record(step.release))
            self.engine.stop(step.slot)
            return f"{drained}, stopped"
        if step.kind == "canary":
            return self.serving.end_canary(facts["slot"], facts["release"])
        if step.kind == "switch":
            return self.serving.switch_back(facts["slot"], facts["release"])
        if step.kind == "migrate":
            return self._unmigrate(step, facts)
        return ""

    def can_go_back(self) -> str:
        return self.serving.why_not_back()

    def _prepare(self, record: Record) -> str:
        self.engine.prepare(record, self.new_settings or {}, self.new_layout)
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
        left = f"{self._drain(slot, record)}, then " if self.engine.alive(slot) else ""  # perhaps just now
        self.engine.start(slot, record)
        return f"{left}{record.release.name} at {', '.join(self.engine.addresses(slot, record))}"

    def _drain(self, slot: str, record: Record) -> str:
        """Give what still goes on in a slot its time to end, which began when traffic left it."""
        gone = max(0.0, time.time() - rerouted_at(self.target.entries()))
        return str(self.router.drain(self.engine.addresses(slot, record), max(0.0, record.deploy.drain - gone)))

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
            self.engine.discard(one)
        return removed


def must_be_at(found: str, wanted: str) -> None:
    """A migrator may end well and have done nothing: a transaction that nobody committed, another database."""
    if (found or "base") != (wanted or "base"):
        raise MigrationFailed(
            f"The database is at {found or 'base'} after the migration, not at {wanted or 'base'}",
            cause="the migration ended well, but its transaction was not committed, or went to another database",
            next_step="look at how it connects (Alembic: migrations/env.py)",
        )
