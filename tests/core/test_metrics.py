"""What monitoring is told of a ledger."""

import re

from hypothesis import given

from cicd.core.lock import Lock
from cicd.core.metrics import Family, Sample, merged, of_environment
from tests.core.histories import ledger
from tests.core.test_dora import DEPLOYMENTS, START, deployed

NAME = re.compile(r"cicd_[a-z_]+")


def values(families: list[Family]) -> dict[str, list[float]]:
    return {one.name: [sample.value for sample in one.samples] for one in families}


def test_an_environment() -> None:
    entries = [
        deployed(900, (1000, "stable"), kind="rollback"),
        deployed(500, (560, "rolled-back")),
        deployed(100, (160, "stable")),
    ]
    held = Lock(cicd=1, state="held", token=1, claim="x", by="dana", what="promote", since=START)
    found = of_environment("acme/api", "production", entries, held, START + 1000)
    told = values(found)
    assert sum(told["cicd_deployments"]) == 3
    assert told["cicd_promotion_duration_seconds"] == [60.0]
    assert told["cicd_rollback_duration_seconds"] == [100.0]
    assert told["cicd_lock_held_seconds"] == [1000.0]
    assert told["cicd_release_timestamp_seconds"] == [START + 1000]
    assert all(sample.labels.items() >= {"repository": "acme/api"}.items() for one in found for sample in one.samples)


def test_nothing_is_nothing() -> None:
    assert values(of_environment("a/b", "dev", [], None, 5.0)) == {
        "cicd_deployments": [],
        "cicd_lock_held_seconds": [0.0],
    }


def test_an_attempt_that_has_not_ended_is_not_counted() -> None:
    found = values(of_environment("a/b", "production", ledger("v1 stable, v2 in-progress"), None, 5.0))
    assert sum(found["cicd_deployments"]) == 1


@given(DEPLOYMENTS, DEPLOYMENTS)
def test_any_ledger_is_told_once_and_never_negative(one: object, other: object) -> None:
    first = of_environment("a/b", "production", [one], None, START)  # type: ignore[list-item]
    second = of_environment("c/d", "production", [other], None, START)  # type: ignore[list-item]
    both = merged([*first, *second])
    assert [family.name for family in both] == sorted({family.name for family in [*first, *second]})
    for family in both:
        assert NAME.fullmatch(family.name)
        labels = [tuple(sorted(sample.labels.items())) for sample in family.samples]
        assert len(labels) == len(set(labels))
        assert all(sample.value >= 0 for sample in family.samples)
        assert len({tuple(sample.labels) for sample in family.samples}) <= 1, "Prometheus wants the same labels"


def test_merged_keeps_every_sample() -> None:
    parts = [Family("cicd_a", "gauge", "A.", (Sample({"n": str(n)}, float(n)),)) for n in range(3)]
    assert values(merged(parts)) == {"cicd_a": [0.0, 1.0, 2.0]}
