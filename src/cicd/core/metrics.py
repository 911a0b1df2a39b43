"""What monitoring is told: names, meanings and values, by Prometheus' conventions.

https://prometheus.io/docs/practices/naming/: base units, a unit as the suffix, counters end with `_total`, what is
known of a release as labels of a metric that is always 1. Each has the labels `repository` and `environment`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from cicd.core.dora import Metrics, attempt
from cicd.core.ledger import Deployment, current
from cicd.core.lock import Lock


class Sample(msgspec.Struct, frozen=True):
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, frozen=True):
    """One metric. A counter's name is without `_total`, which its text has."""

    name: str
    kind: Literal["counter", "gauge"]
    about: str
    samples: tuple[Sample, ...]


def of_environment(
    repository: str, environment: str, ledger: Sequence[Deployment], lock: Lock | None, now: float
) -> list[Family]:
    """All that ledger and lock tell of one environment.

    Args:
        ledger: all of its deployments, newest first.
        lock: who holds it or let it go; None: nobody ever did.
        now: seconds since 1970.
    """
    where = {"repository": repository, "environment": environment}
    return [
        *_counted(ledger, where),
        *_newest(ledger, where),
        *_running(current(ledger, environment), where),
        *_locked(lock, where, now),
    ]


def _counted(ledger: Sequence[Deployment], where: dict[str, str]) -> list[Family]:
    ended = Counter((one.payload.kind, one.verdict) for one in ledger if one.verdict != "in-progress")
    samples = tuple(
        Sample({**where, "kind": kind, "verdict": verdict}, float(count))
        for (kind, verdict), count in sorted(ended.items())
    )
    return [Family("cicd_deployments", "counter", "Deployments that have ended, by how they began and ended.", samples)]


def _newest(ledger: Sequence[Deployment], where: dict[str, str]) -> list[Family]:
    """How long the newest promotion and the newest rollback took that came to an end."""
    found = []
    for kind, name, about in (
        ("promote", "cicd_promotion_duration_seconds", "From the newest promotion's start to its verdict."),
        ("rollback", "cicd_rollback_duration_seconds", "From the newest rollback's start to its verdict."),
    ):
        of_kind = [attempt(one) for one in ledger if one.payload.kind == kind and one.verdicts]
        if of_kind:
            newest = max(of_kind, key=lambda one: (one.began, one.deployment.id))
            seconds = max(0.0, newest.at - newest.began)
            found.append(Family(name, "gauge", about, (Sample(where, seconds),)))
    return found


def _running(one: Deployment | None, where: dict[str, str]) -> list[Family]:
    """What runs, by the ledger."""
    if one is None:
        return []
    release, since = one.release, attempt(one).at
    about = {"release": release.id, "version": release.version, "sha": release.sha}
    found = [
        Family("cicd_release_info", "gauge", "The release that runs; always 1.", (Sample({**where, **about}, 1.0),)),
        Family("cicd_release_timestamp_seconds", "gauge", "Since when it has the users.", (Sample(where, since),)),
    ]
    if release.schema:
        schema = (Sample({**where, "revision": release.schema}, 1.0),)
        found.append(Family("cicd_schema_info", "gauge", "The schema that it came with; always 1.", schema))
    return found


def _locked(lock: Lock | None, where: dict[str, str], now: float) -> list[Family]:
    held = lock is not None and lock.state == "held"
    seconds = max(0.0, now - lock.since) if lock is not None and held else 0.0
    about = "For how long somebody has held the environment; 0: nobody does."
    return [Family("cicd_lock_held_seconds", "gauge", about, (Sample(where, seconds),))]


# Metric → the figure, what makes its unit of it, and what it means.
DORA = {
    "cicd_dora_deployments_per_week": ("deployments_per_week", 1.0, "Promotions that reached users, by the week."),
    "cicd_dora_lead_time_seconds": ("lead_time", 1.0, "Median time from a change on its branch to its users."),
    "cicd_dora_fail_ratio": ("fail_rate", 0.01, "Share of promotions that were taken back."),
    "cicd_dora_recovery_time_seconds": ("recovery_time", 1.0, "Median time from a failed release to a healthy one."),
    "cicd_dora_rework_ratio": ("rework_rate", 0.01, "Share of deployments that were there to mend."),
}


def of_dora(repository: str, metrics: Metrics) -> list[Family]:
    """DORA's figures; one that there is not is left out."""
    values = ((name, getattr(metrics, entry[0]), entry[1], entry[2]) for name, entry in DORA.items())
    return [
        Family(name, "gauge", about, (Sample({"repository": repository}, value * factor),))
        for name, value, factor, about in values
        if value is not None
    ]


def merged(families: Iterable[Family]) -> list[Family]:
    """Each metric once, with all of its samples; in the order of their names."""
    found: dict[str, Family] = {}
    for one in families:
        known = found.get(one.name)
        found[one.name] = msgspec.structs.replace(one, samples=(*known.samples, *one.samples)) if known else one
    return [found[name] for name in sorted(found)]
