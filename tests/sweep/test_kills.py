"""A promotion, a rollback and a recovery are killed at every point; afterwards all invariants hold.

The short sweep takes points evenly from all; the whole one (`bin/test --sweep`) takes each of them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sweep.swept import Swept, swept

pytestmark = pytest.mark.real
Tell = Callable[[str, int], None]
SHARDS = 8
ROLLBACK = ["rollback", "--environment", "staging"]
RECOVER = ["recover", "--environment", "staging"]
LAST = "begin watch | after the line #1"  # here a promotion leaves the most to undo


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Swept]:
    with swept(tmp_path) as made:
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
    met = 0
    points = {"promotion": site.points(site.promotion())}
    points["rollback"] = site.points(ROLLBACK)
    assert site.kill(LAST, site.promotion())
    points["recovery"] = site.points(RECOVER)
    mine = {what: share(found, number, of) for what, found in points.items()}
    for point in mine["promotion"]:
        met += survives(site, point, site.promotion())
    for point in mine["rollback"]:
        assert not (said := site.run(site.promotion())), said
        met += survives(site, point, ROLLBACK)
    for point in mine["recovery"]:
        assert site.kill(LAST, site.promotion())
        met += survives(site, point, RECOVER)
    tried = sum(map(len, mine.values()))
    tell("kill points tried", tried)
    tell("kill points met and survived", met)
    tell("requests meanwhile, none of them lost", site.traffic.sent)
    assert met > tried * 0.8, "too many points are not met a second time: their names differ from run to run"


@pytest.mark.timeout(300)
def test_a_share_of_the_points(site: Swept, tell: Tell) -> None:
    sweep(site, tell, 5, 24)


@pytest.mark.sweep
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("number", range(SHARDS))
def test_every_point(site: Swept, tell: Tell, number: int) -> None:
    sweep(site, tell, number, SHARDS)
