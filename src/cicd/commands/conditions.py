"""Asking Prometheus about a release while it is watched, beside the watch: a slow server holds up nobody's probes."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from cicd.core.conditions import Answered, Told, filled, gaps, held, is_beyond
from cicd.core.config import Condition, Metrics
from cicd.core.watch import Check

POLL = 1.0  # seconds between two rounds; a scrape is rarer
BASELINE = 600  # seconds before the switch that the release before is judged by
Ask = Callable[[str], tuple[float | None, str]]


class Conditions:
    """The conditions of one watch: asked from the start of a `with` to its end.

    Args:
        ask: gives a query's number, and why there is none.
        new: names for queries about the release.
        old: the same for the release before; None: there was none.
    """

    def __init__(
        self, metrics: Metrics, samples: int, ask: Ask, new: Mapping[str, str], old: Mapping[str, str] | None
    ) -> None:
        self._conditions, self._samples, self._ask = dict(metrics.conditions), samples, ask
        self._new, self._old = new, old
        self._told: dict[str, Told] = {name: Told() for name in self._conditions}
        self._beyond: dict[str, float] = {}  # since when, by the monotonic clock
        self._started = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)  # an answer under way holds up nobody

    def __enter__(self) -> "Conditions":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()

    def checks(self) -> list[Check]:
        """What is known by now, held against the limits."""
        return held(self._conditions, dict(self._told), self._samples)

    def gaps(self) -> list[str]:
        """What was not judged, and why."""
        return gaps(self._conditions, dict(self._told))

    def _run(self) -> None:
        before = {name: self._answer(each, self._old, BASELINE) for name, each in self._conditions.items() if self._old}
        while not self._over.is_set():
            for name, condition in self._conditions.items():
                self._told[name] = self._look(name, condition, before.get(name, Answered()))
            self._over.wait(POLL)

    def _look(self, name: str, condition: Condition, before: Answered) -> Told:
        window = max(1, round(time.monotonic() - self._started))
        new = self._answer(condition, self._new, window)
        now = time.monotonic()
        if condition.of or not is_beyond(condition, new.number):
            self._beyond.pop(name, None)
            return Told(new, before)
        return Told(new, before, now - self._beyond.setdefault(name, now))

    def _answer(self, condition: Condition, names: Mapping[str, str] | None, window: int) -> Answered:
        known = {**(names or {}), "window": f"{window}s"}
        number, gap = self._ask(filled(condition.bad or condition.value, known))
        if gap or not condition.of:
            return Answered(number, gap=gap)
        of, gap = self._ask(filled(condition.of, known))
        # Where nothing is bad yet there is no such series: that is none, as long as there is something to be bad.
        return Answered(None if of is None else number or 0.0, of or 0.0, gap)
