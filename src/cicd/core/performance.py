"""The performance gate: measures held against budgets, and against the base by runs that alternate on one machine.

One run of each side shows nothing: a shared runner is 10% slower from one minute to the next. So both sides run in
turns, each pair gives one ratio, and a distribution test says whether the ratios are about something or noise. The test
is Wilcoxon's signed ranks, the estimate Hodges and Lehmann's, its bounds those of Tukey on the Walsh averages
(Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, 3rd ed., ch. 3): no bell curve is assumed, and one run
that another tenant of the machine has spoiled moves little.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from statistics import median
from typing import Literal

import msgspec

from cicd.core.reading import Duration, Percent

CERTAIN = 0.01  # of one comparison: how often equal sides may look unlike
Verdict = Literal["passed", "failed", "inconclusive"]


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """What a performance suite is held against.

    `p50`, `p95` and `p99` are the longest times, `throughput` the fewest requests (or rounds) a second, `errors` the
    most that may fail. `only` limits all of it to measures of these names.
    """

    p50: Duration | None = None
    p95: Duration | None = None
    p99: Duration | None = None
    throughput: float | None = None
    errors: Percent | None = None
    only: list[str] = []


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


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How much longer the new side takes than the old one.

    Attributes:
        percent: the estimate; below 0 it is faster.
        low, high: bounds of it, each certain to 1 − CERTAIN.
        pairs: that it is made of.
    """

    percent: float
    low: float
    high: float
    pairs: int


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


def compare(pairs: Sequence[tuple[float, float]], certain: float = CERTAIN) -> Comparison:
    """Old and new seconds, measured in turns, as one estimate with bounds.

    Args:
        pairs: (old, new), both above 0; neighbours in time.
        certain: how often equal sides may seem unlike, for each bound.

    Raises:
        ValueError: there are fewer than two pairs.
    """
    if len(pairs) < 2:
        raise ValueError("a comparison needs two pairs")
    logs = [math.log(new / old) for old, new in pairs]
    averages = sorted((one + other) / 2 for one, other in combinations_with_replacement(logs, 2))
    skip = _rank(len(logs), certain)
    low = averages[skip - 1] if skip else -math.inf
    high = averages[-skip] if skip else math.inf
    return Comparison(percent=_percent(median(averages)), low=_percent(low), high=_percent(high), pairs=len(logs))


def _percent(log: float) -> float:
    return math.inf if log > 50 else 100 * math.expm1(log)


def _rank(count: int, certain: float) -> int:
    """How many Walsh averages lie beyond a bound: the largest c with P(T⁺ < c) ≤ `certain`; 0 if there is none.

    T⁺ is Wilcoxon's statistic of `count` values. Its exact distribution is that of the sum of a random subset of
    1 … count; beyond 60 values the bell curve that it then is.
    """
    if count > 60:
        mean, deviation = count * (count + 1) / 4, math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
        return max(0, math.floor(mean - _z(certain) * deviation))
    ways = [1] + [0] * (count * (count + 1) // 2)
    for rank in range(1, count + 1):
        for total in range(len(ways) - 1, rank - 1, -1):
            ways[total] += ways[total - rank]
    below, most = 0, certain * 2**count
    for total, found in enumerate(ways):
        below += found
        if below > most:
            return total
    return 0


def _z(certain: float) -> float:
    """Standard deviations beyond which a bell curve has so much on one side, by bisection of the error function."""
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(middle / math.sqrt(2)) / 2 > certain else (low, middle)
    return low


def regressions(runs: Sequence[tuple[Sequence[Measure], Sequence[Measure]]], allowed: float) -> list[Judged]:
    """Each measure of the base held against that of the new code.

    Args:
        runs: (base, new), neighbours in time.
        allowed: percent that a measure may be slower.
    """
    series = paired(runs)
    names = [name for name, pairs in series.items() if len(pairs) >= 2]
    certain = CERTAIN / max(1, len(names))  # more measures, more chances for noise to look like something (Bonferroni)
    return [_regression(name, compare(series[name], certain), allowed) for name in names] or [
        Judged(
            measure="",
            what="regression",
            verdict="inconclusive",
            why="base and new code have no measure in common that could be compared",
        )
    ]


def paired(runs: Sequence[tuple[Sequence[Measure], Sequence[Measure]]]) -> dict[str, list[tuple[float, float]]]:
    """Name → (base, new) of each pair of runs that has both."""
    series: dict[str, list[tuple[float, float]]] = {}
    for base, new in runs:
        old = _typical(base)
        for name, value in _typical(new).items():
            if name in old:
                series.setdefault(name, []).append((old[name], value))
    return series


def _typical(measures: Sequence[Measure]) -> Mapping[str, float]:
    return {one.name: value for one in measures if (value := one.typical) is not None and value > 0}


def _regression(name: str, found: Comparison, allowed: float) -> Judged:
    """Slower for certain, and by more than is allowed: failed. Too noisy to say so either way: inconclusive."""
    told = f"{name}: {found.percent:+.1f}% (from {found.low:+.1f}% to {found.high:+.1f}%, {found.pairs} pairs)"
    if found.low > 0 and found.percent > allowed:
        verdict: Verdict = "failed"
        why = f"{told}, at most {allowed:g}% slower is allowed"
    elif found.high - found.percent > max(allowed, 1.0) or found.percent > allowed:
        verdict = "inconclusive"
        why = f"{told}: the noise is larger than the {allowed:g}% that are looked for"
    else:
        verdict, why = "passed", f"{told}, at most {allowed:g}% slower is allowed"
    return Judged(measure=name, what="regression", verdict=verdict, why=why)


def order(pair: int) -> tuple[str, str]:
    """Which side runs first in a pair: they take turns, so that what changes steadily harms neither."""
    return ("base", "new") if pair % 2 == 0 else ("new", "base")


def seconds(value: float) -> str:
    """`12.3 ms`, `1.2 s`."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor or unit == "µs":
            return f"{value / factor:.3g} {unit}"
    raise AssertionError
