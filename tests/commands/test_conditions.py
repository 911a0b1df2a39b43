"""Prometheus, asked while a release is watched."""

import threading
import time
from collections.abc import Callable

from cicd.commands import conditions
from cicd.commands.conditions import Conditions
from cicd.core.config import Condition, Metrics

METRICS = Metrics(
    url="http://127.0.0.1:9",
    conditions={
        "checkout": Condition(bad='bad{slot="$slot"}[$window]', of='of{slot="$slot"}', share=1.0),
        "queue": Condition(value='queue{release="$release"}', most=5.0, lasts=0.2),
    },
)
NEW = {"slot": "green", "release": "bbb"}
OLD = {"slot": "blue", "release": "aaa"}


def until(known: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not known():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_both_releases_are_asked(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(conditions, "POLL", 0.01)
    asked: list[str] = []

    def ask(query: str) -> tuple[float | None, str]:
        asked.append(query)
        return {"bad": 50.0, "of{": 100.0, "queue": 9.0}[
            next(key for key in ("bad", "of{", "queue") if query.startswith(key))
        ], ""

    with Conditions(METRICS, 20, ask, NEW, OLD) as running:
        until(lambda: len(running.checks()) == 2)
        assert asked[0] == 'bad{slot="blue"}[600s]', "the release before, over the time before"
        assert not any(check.failed for check in running.checks()), "it was as bad before"
    with Conditions(METRICS, 20, ask, NEW, None) as running:
        until(lambda: [check.failed for check in running.checks()] == [True, True])
        assert 'bad{slot="green"}[1s]' in asked
        assert running.gaps() == []


def test_no_series_of_bad_ones_is_none() -> None:
    numbers = {'bad{slot="green"}[1s]': None, 'of{slot="green"}': 100.0}
    with Conditions(METRICS, 20, lambda query: (numbers.get(query), ""), NEW, None) as running:
        until(lambda: len(running.checks()) == 1)
        assert not running.checks()[0].over
        assert "queue was not judged" in running.gaps()[0]


def test_a_server_that_does_not_answer_holds_up_nothing() -> None:
    never = threading.Event()

    def ask(query: str) -> tuple[float | None, str]:
        never.wait(30)
        return None, "late"

    with Conditions(METRICS, 20, ask, NEW, OLD) as running:
        assert running.checks() == []
        assert len(running.gaps()) == 2
    never.set()
