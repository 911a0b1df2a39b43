"""New code held against its base by runs that alternate on one machine.

One run of each side shows nothing: a shared runner is 10% slower from one minute to the next. So both sides run in
turns, each pair gives one ratio, and a distribution test says whether the ratios are about something or noise. The test
is Wilcoxon's signed ranks, the estimate Hodges and Lehmann's, its bounds those of Tukey on the Walsh averages
(Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, 3rd ed., ch. 3): no bell curve is assumed, and one run
that another tenant of the machine has spoiled moves little.

It looks at the pairs a few times, and stops when both bounds lie on one side of what is allowed. Each look could be
wrong, and each measure: so each gets its part of what may be wrong in all (Bonferroni). Whenever it stops, equal code
fails in at most CERTAIN.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement
from statistics import median

import msgspec

from cicd.core.performance import Budget, Judged, Measure, Verdict

CERTAIN = 0.01  # of one suite: how often equal sides may look unlike
EARLIEST = 10  # pairs before the first look
LAST = 0.6
Figures = Mapping[str, float]  # measure → seconds that stand for one run
REGRESSION = "regression"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How much longer the new side takes than the old one.

    Attributes:
        percent: the estimate; below 0 it is faster.
        low, high: bounds of it, each certain to 1 − what was asked for.
        pairs: that it is made of.
    """

    percent: float
    low: float
    high: float
    pairs: int


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What the pairs show so far. `clear`: more of them would change nothing that counts."""

    judged: list[Judged]
    clear: bool


def looks(pairs: int) -> list[int]:
    """After how many pairs it is looked at them: at a quarter, at the half, at the end; never before EARLIEST."""
    return [*sorted({at for at in (pairs // 4, pairs // 2) if EARLIEST <= at < pairs}), pairs]


def share(pairs: int, planned: int) -> float:
    """How much of CERTAIN a look after so many pairs may spend: the last one LAST of it, for it decides most often."""
    at = looks(planned)
    if len(at) == 1:
        return 1.0
    return LAST if pairs > at[-2] else (1 - LAST) / (len(at) - 1)


def order(pair: int) -> tuple[str, str]:
    """Which side runs first in a pair: they take turns, so that what changes steadily harms neither."""
    return ("base", "new") if pair % 2 == 0 else ("new", "base")


def figures(measures: Sequence[Measure], budget: Budget) -> dict[str, float]:
    """Measure → seconds that stand for the run. Measures without a time, and those beside `only`, are left out."""
    found: dict[str, float] = {}
    for one in measures:
        value = one.typical
        if value is None or (budget.only and one.name not in budget.only):
            continue
        name, number = one.name, 2
        while name in found:  # two reports may use the same name
            name, number = f"{one.name} ({number})", number + 1
        found[name] = value
    return found


def look(runs: Sequence[tuple[Figures, Figures]], budget: Budget, *, last: bool = False) -> Look:
    """Each measure of the base held against that of the new code.

    Args:
        runs: (base, new), neighbours in time.
        last: whether no more will come, for the time is over: it is the next look, earlier than planned.
    """
    allowed = budget.regression or 0.0
    names = list(dict.fromkeys(name for pair in runs for side in pair for name in side))
    series = {name: paired(runs, name) for name in names}
    compared = [name for name in names if len(series[name]) == len(runs) >= 2]
    certain = CERTAIN * share(len(runs), budget.pairs) / max(1, len(compared))
    found = {name: compare(series[name], certain) for name in compared}
    judged = [_regression(name, one, allowed) for name, one in found.items()]
    too_slow, fine = (
        any(one.low > allowed for one in found.values()),
        all(one.high <= allowed for one in found.values()),
    )
    clear = too_slow or fine or last or len(runs) >= budget.pairs
    judged += [_unlike(name, runs) for name in names if name not in found]
    if not found:
        why = "base and new code have no measure in common that could be compared"
        judged.append(_judged("", "inconclusive", why))
    return Look(judged=judged, clear=clear)


def paired(runs: Sequence[tuple[Figures, Figures]], name: str) -> list[tuple[float, float]]:
    """(base, new) of each pair of runs that has both, above 0."""
    pairs = [(base.get(name, 0.0), new.get(name, 0.0)) for base, new in runs]
    return [pair for pair in pairs if min(pair) > 0]


def _unlike(name: str, runs: Sequence[tuple[Figures, Figures]]) -> Judged:
    """A measure that not every run of both sides has."""
    old, new = ([name in side for side in sides] for sides in zip(*runs, strict=True))
    if not any(old) and all(new):
        return _judged(name, "passed", f"{name} is new: the base has nothing that it could be held against")
    if not any(new):
        return _judged(name, "inconclusive", f"{name} is gone: only the base measures it")
    if all(old) and all(new):
        return _judged(name, "inconclusive", f"{name}: it took 0 seconds, which cannot be compared")
    return _judged(name, "inconclusive", f"{name}: not every run has measured it")


def _judged(name: str, verdict: Verdict, why: str) -> Judged:
    return Judged(measure=name, what=REGRESSION, verdict=verdict, why=why)


def _regression(name: str, found: Comparison, allowed: float) -> Judged:
    """Slower for certain, and by more than is allowed: failed. Too noisy to say so either way: inconclusive."""
    limit = f"at most {allowed:g}% slower is allowed"
    if math.isinf(found.high):
        few = f"{found.pairs} pairs are too few to be certain of so many measures"
        return _judged(name, "inconclusive", f"{name}: {found.percent:+.1f}%, {few}")
    told = f"{name}: {found.percent:+.1f}% (from {found.low:+.1f}% to {found.high:+.1f}%, {found.pairs} pairs)"
    if found.low > 0 and found.percent > allowed:
        return _judged(name, "failed", f"{told}, {limit}")
    noisy = found.high - found.percent > max(allowed, 1.0) and found.high > allowed
    if noisy or found.percent > allowed:
        return _judged(name, "inconclusive", f"{told}: the noise is larger than the {allowed:g}% that are looked for")
    return _judged(name, "passed", f"{told}, {limit}")


def settled(judged: Sequence[Judged], budget: Budget) -> list[Judged]:
    """The same, as red as the config wants what is inconclusive to be."""
    if budget.inconclusive == "pass":
        return list(judged)
    return [
        msgspec.structs.replace(one, verdict="failed", why=f"{one.why} (`inconclusive: fail`)")
        if one.verdict == "inconclusive"
        else one
        for one in judged
    ]


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


@lru_cache(1000)
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
