"""DORA's five metrics from the ledger of one or many production environments.

By the names and definitions of https://dora.dev/guides/dora-metrics/ (2025); docs/dora.md says what stands for what:

- deployment frequency: promotions that reached users, by the week.
- change lead time: from a change's arrival on its branch to the moment that its release has the users; the median.
- change fail rate: of the promotions that reached users those that were taken back, by themselves, by hand or by alert.
- failed deployment recovery time: from a failed release's users to their return to a healthy one; the median.
- deployment rework rate: of all deployments those that were there to mend: rollbacks, and what follows a failure.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from statistics import median

import msgspec

from cicd.core.config import Targets
from cicd.core.ledger import Deployment

WEEK = 7 * 86400.0  # seconds
LATEST = 253402300800.0  # the year 10000: what is told to be later is no time
REACHED = ("stable", "inconclusive")
EARLIER = 30 * 86400.0  # seconds before a window in which a failure may lie that its first promotion mends


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted in a window; several environments are added up.

    Attributes:
        promotions: that reached users.
        failed: of these, that were taken back.
        rollbacks: by hand or by alert; rehearsals are none.
        repairs: promotions that came right after a failed one.
        lead: seconds of each change.
        recovery: seconds of each failure that has ended.
        clocks: times that lay after what followed them, and count as 0 s.
        untold: promotions that had the users and say nothing of their changes.
    """

    promotions: int = 0
    failed: int = 0
    rollbacks: int = 0
    repairs: int = 0
    lead: tuple[float, ...] = ()
    recovery: tuple[float, ...] = ()
    clocks: int = 0
    untold: int = 0

    def plus(self, other: "Counts") -> "Counts":
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """The five; None where nothing was counted that could tell.

    Attributes:
        deployments_per_week: number.
        lead_time: seconds, median.
        fail_rate: percent.
        recovery_time: seconds, median.
        rework_rate: percent.
    """

    deployments_per_week: float
    lead_time: float | None
    fail_rate: float | None
    recovery_time: float | None
    rework_rate: float | None


class Attempt(msgspec.Struct, frozen=True):
    """One deployment by its times, in seconds since 1970.

    Attributes:
        reached: when its release had the users, and was judged; None: it never was.
        taken_back: when it lost them again; None: it was not taken back.
    """

    deployment: Deployment
    began: float
    reached: float | None
    taken_back: float | None

    @property
    def had_users(self) -> bool:
        return self.reached is not None or self.taken_back is not None

    @property
    def at(self) -> float:
        """When it reached users, or was taken back from them by itself."""
        return self.reached if self.reached is not None else self.taken_back or self.began


def attempt(deployment: Deployment) -> Attempt:
    """Its times: the beginning by who did it, all else by GitHub's clock."""
    told = [(seconds_of(at), verdict) for at, verdict in deployment.verdicts]
    created = seconds_of(deployment.created_at)
    began = deployment.payload.at if 0 < deployment.payload.at < LATEST else created
    reached = next((at for at, verdict in told if verdict in REACHED), None)
    back = next((at for at, verdict in told if verdict == "rolled-back"), None)
    return Attempt(deployment, began, reached, back)


def seconds_of(at: str) -> float:
    """ISO 8601 as GitHub writes it → seconds since 1970; 0 for what is none."""
    try:
        found = datetime.fromisoformat(at)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def count(ledger: Sequence[Deployment], since: float, until: float) -> Counts:
    """What one production environment shows.

    Args:
        ledger: its deployments, in any order. Those made up to EARLIER before the window tell what came after a
            failure; older ones tell nothing, so that it does not matter how many of them are known.
        since, until: seconds since 1970; what reached users within counts.
    """
    known = [one for one in ledger if seconds_of(one.created_at) >= since - EARLIER]
    attempts = sorted(map(attempt, known), key=lambda one: (one.at, one.deployment.id))
    found, after_failure = Counts(), False
    for one in attempts:
        if not one.had_users or one.deployment.payload.rehearsal:
            continue
        inside, repairs = since <= one.at < until, after_failure
        if one.deployment.payload.kind == "rollback":
            found = found.plus(Counts(rollbacks=1)) if inside else found
            continue
        after_failure = one.taken_back is not None
        if inside:
            found = found.plus(_promotion(one, repairs))
    return found


def _promotion(one: Attempt, repairs: bool) -> Counts:
    changes = [change for change in one.deployment.payload.changes if 0 < change < LATEST]
    lead = [one.reached - change for change in changes] if one.reached is not None else []
    recovery = []
    if one.taken_back is not None:
        recovery = [one.taken_back - (one.reached if one.reached is not None else one.began)]
    return Counts(
        promotions=1,
        failed=int(one.taken_back is not None),
        repairs=int(repairs),
        lead=tuple(max(0.0, seconds) for seconds in lead),
        recovery=tuple(max(0.0, seconds) for seconds in recovery),
        clocks=sum(seconds < 0 for seconds in [*lead, *recovery]),
        untold=int(one.reached is not None and not lead),
    )


def total(counts: Iterable[Counts]) -> Counts:
    """All of them together."""
    found = Counts()
    for one in counts:
        found = found.plus(one)
    return found


def measure(counts: Counts, seconds: float) -> Metrics:
    """The five for a window of so many seconds."""
    deployments = counts.promotions + counts.rollbacks
    return Metrics(
        deployments_per_week=counts.promotions * WEEK / seconds,
        lead_time=median(counts.lead) if counts.lead else None,
        fail_rate=100 * counts.failed / counts.promotions if counts.promotions else None,
        recovery_time=median(counts.recovery) if counts.recovery else None,
        rework_rate=100 * (counts.rollbacks + counts.repairs) / deployments if deployments else None,
    )


def met(metrics: Metrics, targets: Targets) -> dict[str, bool | None]:
    """Metric → whether its target is met; None where there is no figure, or no target.

    So many deployments at least; all else below its target. A target of 0 is met by 0.
    """
    return {name: _met(name, getattr(metrics, name), getattr(targets, name)) for name in Metrics.__struct_fields__}


def _met(name: str, value: float | None, target: float | None) -> bool | None:
    if value is None or target is None:
        return None
    if name == "deployments_per_week":
        return value >= target
    return value < target or value == target == 0
