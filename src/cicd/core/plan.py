"""What a deployment will do, as a value: reversible steps."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from cicd.core.migrations import Migration
from cicd.core.release import Release, digest

Kind = Literal["promote", "rollback"]
StepKind = Literal["prepare", "services", "migrate", "start", "verify", "canary", "switch", "watch", "downgrade"]
Slot = Literal["blue", "green"]
RollbackClass = Literal["code only", "code and schema", "forward only"]
SLOTS: tuple[Slot, Slot] = ("blue", "green")


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reversible action.

    Attributes:
        kind: what.
        release: id of the release whose code and settings it uses.
        slot: where, for steps that concern one.
        revision: of the schema to reach, for migrate and downgrade; "base" for none.
        share: of the users that a canary gets, percent.
    """

    kind: StepKind
    release: str
    slot: str = ""
    revision: str = ""
    share: float = 0.0

    def __str__(self) -> str:
        where = f" {self.slot}" if self.slot else ""
        to = f" to {self.revision}" if self.revision else ""
        share = f" at {self.share:g}%" if self.share else ""
        return f"{self.kind}{where}{to}{share}"


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What runs in an environment, as its target says.

    Attributes:
        release: the one that has the traffic; None before the first deployment.
        slot: where it runs.
        warm: release id in the other slot, alive but without traffic; empty for none.
        services: digest of the services that both slots use, as they run; empty for none, or where one does not run.
    """

    release: Release | None = None
    slot: str = ""
    warm: str = ""
    services: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment before it happens.

    Attributes:
        kind: promote or rollback.
        environment: where.
        release: what will run.
        replaces: what runs now.
        steps: in order.
        migrations: that will be applied (promote) or taken back (rollback, last first).
        rollback_class: how one would get back from it.
        settings: that change: the name, and for those that are not secret what they were and will be.
        public: digest of the settings that are not secret.
        commits: that it brings, newest first, as far as the checkout knows them.
        back_in: seconds in which one would get back from it, by what its steps took here before; None: not known yet.
    """

    kind: Kind
    environment: str
    release: Release
    replaces: Release | None
    steps: list[Step]
    migrations: list[Migration] = []
    rollback_class: RollbackClass = "code only"
    settings: list[str] = []
    public: str = ""
    commits: list[str] = []
    back_in: float | None = None

    @property
    def hash(self) -> str:
        """Binds an approval to this plan. Secrets are not in it: the job that plans cannot see the environment's."""
        return digest(
            [
                self.kind,
                self.environment,
                self.release.sha,
                self.release.image,
                self.release.manifest,
                self.release.schema,
                self.public,
                self.replaces.id if self.replaces else "",
                [step.kind for step in self.steps if step.kind != "services"],  # theirs are in the manifest
                [step.share for step in self.steps if step.kind == "canary"],
                [migration.revision for migration in self.migrations],
            ]
        )[7:23]


def idle(slot: str) -> Slot:
    """The slot that is not `slot`; blue when nothing runs."""
    return "green" if slot == "blue" else "blue"


def rollback_class(migrations: Sequence[Migration]) -> RollbackClass:
    """How a release that brings these migrations can be left again."""
    if any(migration.kind == "irreversible" for migration in migrations):
        return "forward only"
    return "code and schema" if migrations else "code only"


def plan_promotion(
    environment: str,
    release: Release,
    running: Running,
    migrations: Sequence[Migration],
    settings: Sequence[str],
    *,
    public: str = "",
    commits: Sequence[str] = (),
    took: Mapping[str, float] | None = None,
    canary: float = 0.0,
    services: bool = False,
) -> Plan:
    """Put `release` into the idle slot, prove it, let some users try it, switch, watch.

    Expanding migrations run before the slot starts: the code that runs tolerates them, and the new code finds its
    schema from its first request on.

    Args:
        canary: percent of the users that try it first; where nothing runs there is nobody to spare.
        services: whether the services that both slots use change.
    """
    slot, id_ = idle(running.slot), release.id
    steps = [Step(kind="prepare", release=id_)]
    if services:
        steps.append(Step(kind="services", release=id_))
    if migrations:
        steps.append(Step(kind="migrate", release=id_, revision=release.schema))
    steps += [Step(kind=kind, release=id_, slot=slot) for kind in ("start", "verify")]
    if canary and running.release:
        steps.append(Step(kind="canary", release=id_, slot=slot, share=canary))
    steps += [Step(kind=kind, release=id_, slot=slot) for kind in ("switch", "watch")]
    return Plan(
        kind="promote",
        environment=environment,
        release=release,
        replaces=running.release,
        steps=steps,
        migrations=list(migrations),
        rollback_class=rollback_class(migrations),
        settings=sorted(settings),
        public=public,
        commits=list(commits),
        back_in=back_in(migrations, took or {}) if running.release else None,
    )


def back_in(migrations: Sequence[Migration], took: Mapping[str, float]) -> float | None:
    """Seconds of a rollback while the old slot is warm: verify, switch, and the way down of the schema.

    Args:
        took: seconds by kind of step, as they were here before.
    """
    kinds = ["verify", "switch"]
    if migrations:
        kinds.append(next((kind for kind in ("downgrade", "undo migrate", "migrate") if kind in took), "downgrade"))
    known = [took[kind] for kind in kinds if kind in took]
    return round(sum(known), 1) if len(known) == len(kinds) else None


def plan_rollback(
    environment: str,
    release: Release,
    running: Running,
    migrations: Sequence[Migration],
    *,
    services: bool = False,
) -> Plan:
    """Go back to an older `release`: promote with an older record.

    Traffic leaves the new code first; then the new release's code, which alone knows the way, takes the schema back
    to the revision of the older record.

    Args:
        migrations: those to take back, last first.
        services: whether the services that both slots use change.
    """
    slot, id_ = idle(running.slot), release.id
    steps: list[Step] = [Step(kind="services", release=id_)] if services else []
    if running.warm != id_:
        steps.append(Step(kind="start", release=id_, slot=slot))
    steps += [Step(kind=kind, release=id_, slot=slot) for kind in ("verify", "switch")]
    if migrations and running.release:
        steps.append(Step(kind="downgrade", release=running.release.id, revision=release.schema or "base"))
    return Plan(
        kind="rollback",
        environment=environment,
        release=release,
        replaces=running.release,
        steps=steps,
        migrations=list(migrations),
    )


def settled(plan: Plan) -> str:
    """What a deployment that held is worth saying in the ledger."""
    if plan.kind == "rollback":
        return f"back to {plan.release.name}" + (f" from {plan.replaces.name}" if plan.replaces else "")
    return f"{plan.release.name}, rollback class {plan.rollback_class}"
