"""Measures of load and benchmark tools, held against absolute limits; against the base: regression.py."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Annotated, Literal

import msgspec

from cicd.core.reading import Duration, Percent

FEWEST, MOST = 7, 100  # pairs: of fewer than 7 equal sides look unlike more often than 1% even if all point one way
Verdict = Literal["passed", "failed", "inconclusive"]


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """What a performance suite is held against.

    `p50`, `p95` and `p99` are the longest times, `throughput` the fewest requests (or rounds) a second, `errors` the
    most that may fail. `only` limits all of it to measures of these names.

    `regression` is how much slower than the base's code the new one may be, by at most `pairs` of runs in turns on the
    same machine, all `within` this time. `inconclusive` says what becomes of the suite when noise hides the answer or
    there is no base: `pass` with a warning, or `fail`.
    """

    p50: Duration | None = None
    p95: Duration | None = None
    p99: Duration | None = None
    throughput: float | None = None
    errors: Percent | None = None
    only: list[str] = []
    regression: Percent | None = None
    pairs: Annotated[int, msgspec.Meta(ge=FEWEST, le=MOST)] = 40
    within: Duration = 900
    inconclusive: Literal["pass", "fail"] = "pass"


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What a load or benchmark tool measured under one name.

    Attributes:
        name: of the benchmark, request or command.
        samples: seconds of each round or request; empty where the tool gives figures alone.
        quantiles: seconds by percent, such as {95: 0.2}, as the tool gives them.
        rate: requests or rounds per second; None where it is not said.
        count: rounds or requests.
        failed: how many of them failed; None: nobody counted.
    """

    name: str
    samples: list[float] = []
    quantiles: dict[float, float] = {}
    rate: float | None = None
    count: int = 0
    failed: int | None = None

    def quantile(self, percent: float) -> float | None:
        """Seconds that so many percent do not exceed; None if the tool does not tell."""
        if percent in self.quantiles:
            return self.quantiles[percent]
        if not self.samples:
            return None
        ranked = sorted(self.samples)
        return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]  # the nearest rank: a value that was seen

    @property
    def typical(self) -> float | None:
        """Seconds that stand for a run in a comparison."""
        return median(self.samples) if self.samples else self.quantile(50)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One measure held against one limit. `why` is a sentence."""

    measure: str
    what: str
    verdict: Verdict
    why: str


def judge(measures: Sequence[Measure], budget: Budget) -> list[Judged]:
    """All measures held against the absolute limits. What a limit is set for and nobody measured has failed."""
    wanted = [measure for measure in measures if not budget.only or measure.name in budget.only]
    judged = [
        Judged(measure=name, what="measured", verdict="failed", why=f"{name} is not among the measures")
        for name in budget.only
        if name not in {measure.name for measure in measures}
    ]
    if not wanted and not judged:
        return [Judged(measure="", what="measured", verdict="failed", why="the reports have no measure")]
    for measure in wanted:
        for percent, limit in ((50, budget.p50), (95, budget.p95), (99, budget.p99)):
            if limit is not None:
                judged.append(_time(measure, percent, limit))
        if budget.throughput is not None:
            judged.append(_throughput(measure, budget.throughput))
        if budget.errors is not None:
            judged.append(_errors(measure, budget.errors))
    return judged


def _time(measure: Measure, percent: int, limit: float) -> Judged:
    what, found = f"p{percent}", measure.quantile(percent)
    if found is None:
        why = f"{measure.name}: its report does not say the {what}"
    else:
        why = f"{measure.name}: {what} is {seconds(found)}, at most {seconds(limit)} is allowed"
    passed = found is not None and found <= limit
    return Judged(measure=measure.name, what=what, verdict="passed" if passed else "failed", why=why)


def _throughput(measure: Measure, least: float) -> Judged:
    found = measure.rate
    why = f"{measure.name}: " + (
        "its report does not say how many a second" if found is None else f"{found:.4g} a second, at least {least:g}"
    )
    passed = found is not None and found >= least
    return Judged(measure=measure.name, what="throughput", verdict="passed" if passed else "failed", why=why)


def _errors(measure: Measure, most: float) -> Judged:
    share = 100 * measure.failed / measure.count if measure.count and measure.failed is not None else None
    if share is None:
        why = f"{measure.name}: its report does not count what failed"
    else:
        why = f"{measure.name}: {share:.3g}% of {measure.count:,} failed, at most {most:g}% may"
    passed = share is not None and share <= most
    return Judged(measure=measure.name, what="errors", verdict="passed" if passed else "failed", why=why)


def seconds(value: float) -> str:
    """`12.3 ms`, `1.2 s`."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor or unit == "µs":
            return f"{value / factor:.3g} {unit}"
    raise AssertionError
