"""How long a release is looked at, and at what: with a clock that is turned by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from cicd.adapters.routers.log import Log
from cicd.commands.watch import BESIDE, Watched, Watcher
from cicd.core.config import Watch

SECONDS = 5.0


class Time:
    """A clock that a sleep turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def watch(time: Time, beside: Callable[[], str], right: bool = True, samples: int = 3) -> tuple[str, str]:
    silent: Any = type("Silent", (Log,), {"__init__": lambda self: None, "read": lambda self: []})()
    policy = Watch(seconds=SECONDS, samples=samples)
    watcher = Watcher(silent, policy, lambda: time.now, time.sleep)
    return watcher.watch(Watched("blue", lambda: right, beside=beside), None, SECONDS)


@pytest.mark.parametrize("after", [0.0, BESIDE, SECONDS / 2, SECONDS - 0.001])
def test_what_crashes_beside_it_fails_it_whenever_that_is(after: float) -> None:
    time = Time()
    began = time.now
    verdict = watch(time, lambda: "the worker crashed" if time.now >= began + after else "")
    assert verdict == ("failed", "the worker crashed")
    assert time.now - began <= after + BESIDE + 1, "and not only at the end"


def test_too_little_seen_does_not_hide_a_crash() -> None:
    time = Time()
    assert watch(time, lambda: "crashed" if time.now >= 100 + SECONDS - 0.001 else "", samples=1000)[0] == "failed"


def test_nothing_crashed() -> None:
    time, looks = Time(), list[float]()
    judgement, _ = watch(time, lambda: looks.append(time.now) or "")  # type: ignore[func-returns-value]
    assert judgement == "stable"
    assert 1 < len(looks) <= SECONDS / BESIDE + 2, "it takes longer than a look at the answers"


def test_wrong_answers_need_no_look_beside() -> None:
    judgement, why = watch(Time(), lambda: "crashed", right=False)
    assert judgement == "failed"
    assert "probes failed" in why
