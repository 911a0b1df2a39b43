"""A promotion with a canary, a rollback and a recovery are killed at every point; afterwards all invariants hold.

The short sweep takes points evenly from all; the whole one (`bin/test --sweep`) takes each of them.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sweep.swept import Swept, swept

pytestmark = pytest.mark.real
Tell = Callable[[str, int], None]
# CI takes every second part of the points with each commit, the others with another one.
PARTS, OFFSET = int(os.environ.get("CICD_SWEEP_PARTS", "1")), int(os.environ.get("CICD_SWEEP_OFFSET", "0"))
SHARDS = 12  # LocalHub lets a repository make 1,000 calls an hour, as GitHub does
ROLLBACK = ["rollback", "--environment", "staging"]
RECOVER = ["recover", "--environment", "staging"]
LAST = "begin watch | after the line #1"  # here a promotion leaves the most to undo


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Swept]:
    with swept(tmp_path, canary=True) as made:
        assert made.broken() == []
        yield made


def share(points: list[str], number: int, of: int) -> list[str]:
    """Every `of`-th point, from the `number`-th on."""
    return points[number::of]


def survives(site: Swept, point: str, arguments: list[str]) -> bool:
    """Kill at a point and recover; False if the point was not met this time. Fails if an invariant does not hold."""
    met = site.kill(point, arguments)
    said = site.run(RECOVER)
    assert not said, f"{point}: {said}"
    assert site.broken() == [], point
    return met


def sweep(site: Swept, tell: Tell, number: int, of: int) -> None:
    """This shard's share of the points of a promotion, a rollback, and a recovery that is killed too."""
    missed: list[str] = []
    points = {"promotion": site.points(site.promotion())}
    assert any(point.startswith("begin canary | ") for point in points["promotion"])
    points["rollback"] = site.points(ROLLBACK)
    assert site.kill(LAST, site.promotion())
    points["recovery"] = site.points(RECOVER)
    mine = {what: share(found, number, of) for what, found in points.items()}
    for point in mine["promotion"]:
        missed += [] if survives(site, point, site.promotion()) else [point]
    for point in mine["rollback"]:
        assert not (said := site.run(site.promotion())), said
        missed += [] if survives(site, point, ROLLBACK) else [point]
    for point in mine["recovery"]:
        assert site.kill(LAST, site.promotion())
        missed += [] if survives(site, point, RECOVER) else [point]
    tried = sum(map(len, mine.values()))
    tell("kill points tried", tried)
    tell("kill points met and survived", tried - len(missed))
    tell("requests meanwhile, none of them lost", site.traffic.sent)
    for point in missed:
        tell(f"not met a second time: {point}", 1)
    assert len(missed) < tried * 0.2, f"the names of points differ from run to run: {missed}"


@pytest.mark.timeout(300)
def test_a_share_of_the_points(site: Swept, tell: Tell) -> None:
    sweep(site, tell, 5, 24)


@pytest.mark.sweep
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("number", range(OFFSET % PARTS, SHARDS, PARTS))
def test_every_point(site: Swept, tell: Tell, number: int) -> None:
    sweep(site, tell, number, SHARDS)
