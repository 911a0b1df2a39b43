"""GitHub fails at each call of a promotion and of a rollback, in each way; afterwards ledger and journal agree.

A call may fail once, or GitHub stays away from that call on. Either way nothing is in the ledger twice, no verdict is
wrong, no command waits for ever, and what could not be recorded is recorded by the next run.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.swept import Swept, swept
from tests.world import DEVELOPER

pytestmark = pytest.mark.real
Tell = Callable[[str, int], None]
FAULTS: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "502": {"kind": "status", "status": 502},
    "dropped": {"kind": "drop-before"},
    "dropped after it took effect": {"kind": "drop-after-write"},
    "403 with retry-after": {"kind": "rate-limit-403", "retry_after": 1},
    "429 with retry-after": {"kind": "rate-limit-429", "retry_after": 1},
    "30 s of silence": {"kind": "hang", "seconds": 30.0},
}
AWAY = ("500", "dropped", "dropped after it took effect", "429 with retry-after")
ROLLBACK = ["rollback", "--environment", "staging"]
RECOVER = ["recover", "--environment", "staging"]
MOST = 12  # calls of a promotion, at most; the sweep goes on until a fault meets none


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Swept]:
    with swept(tmp_path, migrating=False) as made:
        yield made


def fails_at(site: Swept, call: int, fault: dict[str, Any], arguments: list[str], times: int | None) -> bool:
    """Run a command while GitHub fails at its call number `call`; whether it made so many. Then all must hold."""
    before = len(site.world.deployments())
    site.world.faults({"method": "*", "path": "/*", "skip": call, "times": times, **fault})
    said = site.run(arguments, CICD_GITHUB_PATIENCE="30" if times else "2")
    met = bool(site.world.hub.admin("GET", "/faults")["faults"][0]["fired"])
    site.world.faults()
    where = f"{arguments[0]}, call {call}, {fault}"
    if times:
        assert not said, f"{where}: {said}"
    assert not (failed := site.run(RECOVER)), f"{where}: {failed}"
    assert site.broken() == [], where
    assert len(site.world.deployments()) - before <= 1, where
    return met


def sweep(site: Swept, tell: Tell, fault: dict[str, Any], times: int | None, calls: range) -> None:
    """One way to fail, at each of these calls of a promotion and of a rollback."""
    met = 0
    for call in calls:
        met += fails_at(site, call, fault, site.promotion(), times)
        met += fails_at(site, call, fault, ROLLBACK, times)
    assert met, "no call failed at all"
    tell("API fault points met and survived", met)


def test_a_share_of_the_calls(site: Swept, tell: Tell) -> None:
    sweep(site, tell, FAULTS["dropped after it took effect"], 1, range(3, 5))
    sweep(site, tell, FAULTS["dropped"], None, range(5, 7))


@pytest.mark.sweep
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", FAULTS)
def test_each_call_fails_once(site: Swept, tell: Tell, name: str) -> None:
    sweep(site, tell, FAULTS[name], 1, range(MOST))


@pytest.mark.sweep
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", AWAY)
def test_github_stays_away_from_each_call_on(site: Swept, tell: Tell, name: str) -> None:
    sweep(site, tell, FAULTS[name], None, range(MOST))


def test_the_sweep_covers_every_call(site: Swept) -> None:
    """A command that makes more calls than are swept would not be swept whole."""
    for arguments in (site.promotion(), ROLLBACK):
        site.world.faults({"method": "*", "path": "/*", "skip": MOST, "times": 1, "kind": "status", "status": 500})
        assert not (said := site.run(arguments)), said
        assert not site.world.hub.admin("GET", "/faults")["faults"][0]["fired"]
    site.world.faults()
    assert site.world.hub.call("GET", "/user", DEVELOPER)
