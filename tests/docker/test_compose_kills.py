"""A promotion with a canary, a rollback and a recovery of engine compose are killed; afterwards all invariants hold.

The short sweep takes three points; the whole one (`bin/test --sweep`) each line of the journal, and each program that
changes something between two of them: before it starts, and while it works. All of them take more than an hour: with
CICD_SWEEP_EVERY=10 each tenth is taken, from CICD_SWEEP_OFFSET on, so that runs of several commits take all.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker.engine import Engine
from tests.docker.lab import Lab
from tests.docker.swept_shop import SweptShop, swept_shop

pytestmark = pytest.mark.real
Tell = Callable[[str, int], None]
SHARDS = 5
LOOKS = re.compile(r"start (docker (ps|inspect|top|logs|events|info|(image|network) inspect)|git|/docker compose) ")
ROLLBACK = ["rollback", "--environment", "production"]
RECOVER = ["recover", "--environment", "production"]
EVERY, OFFSET = int(os.environ.get("CICD_SWEEP_EVERY", "1")), int(os.environ.get("CICD_SWEEP_OFFSET", "0"))
LAST = "begin watch | after the line #1"  # here a promotion leaves the most to undo


@pytest.fixture
def site(tmp_path: Path, lab: Lab, engine: Engine) -> Iterator[SweptShop]:
    with swept_shop(tmp_path, lab) as made:
        assert made.broken() == []
        yield made


def swept(points: list[str]) -> list[str]:
    """Of all points those at a line of the journal, and at a program that does more than look."""
    lines = [" line #" in point or (" | start " in point and not LOOKS.search(point)) for point in points]
    return [point for point, wanted in zip(points, lines, strict=True) if wanted and not point.startswith("at first")]


def survives(site: SweptShop, point: str, arguments: list[str]) -> bool:
    """Kill at a point and recover; False if the point was not met this time. Fails if an invariant does not hold."""
    met = site.kill(point, arguments)
    said = site.run(RECOVER)
    assert not said, f"{point}: {said}"
    assert site.broken() == [], point
    return met


def test_some_points(site: SweptShop, tell: Tell) -> None:
    assert survives(site, "end start | before the line #1", site.promotion())
    assert survives(site, LAST, site.promotion())
    assert not (said := site.run(site.promotion())), said
    assert survives(site, "begin switch | after the line #1", ROLLBACK)
    tell("kill points of engine compose met and survived", 3)
    tell("requests meanwhile, none of them lost", site.traffic.sent)


def test_the_next_promotion_recovers_by_itself(site: SweptShop) -> None:
    assert site.kill(LAST, site.promotion())
    assert not (said := site.run(site.promotion())), said
    assert site.broken() == []


@pytest.mark.sweep
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("number", range(SHARDS))
@pytest.mark.parametrize("what", ["promotion", "rollback", "recovery"])
def test_every_point(site: SweptShop, tell: Tell, what: str, number: int) -> None:
    arguments = {"rollback": ROLLBACK, "recovery": RECOVER}.get(what) or site.promotion()
    if what == "recovery":
        assert site.kill(LAST, site.promotion())
    mine = swept(site.points(arguments))[number::SHARDS][OFFSET % EVERY :: EVERY]
    missed: list[str] = []
    for point in mine:
        if what == "rollback":
            assert not (said := site.run(site.promotion())), said
        elif what == "recovery":
            assert site.kill(LAST, site.promotion())
        missed += [] if survives(site, point, arguments if what != "promotion" else site.promotion()) else [point]
    tell("kill points of engine compose tried", len(mine))
    tell("kill points of engine compose met and survived", len(mine) - len(missed))
    tell("requests meanwhile, none of them lost", site.traffic.sent)
    for point in missed:
        tell(f"not met a second time: {point}", 1)
    assert len(missed) <= max(1, len(mine) * 0.2), f"the names of points differ from run to run: {missed}"
