"""Conditions of a watch: what Prometheus tells of a release, held against limits.

Two kinds. A share (`bad` and `of`, both counts) is judged by the rule of core/watch.py, like requests of the router's
log, with the release before as its baseline. A value (`value` with `most` or `least`) fails a release when each answer
was beyond its limit for `lasts`, and the release before was not beyond it.

No answer is not the release's fault: it is told as a gap, and the verdict comes from the rest.
"""

import math
from collections.abc import Iterable, Mapping
from string import Template
from typing import Any

import msgspec

from cicd.core.config import Condition
from cicd.core.watch import Check, Traffic, hold_share

MOST = 1e12  # counts beyond this are nonsense, and no arithmetic is tried with them


class Answered(msgspec.Struct, frozen=True):
    """What one condition's queries gave.

    Attributes:
        number: the value, or how many were bad; None: nothing yet, as long as too little was scraped.
        of: of how many; 0 for a value.
        gap: why there is no answer; empty where there is one.
    """

    number: float | None = None
    of: float = 0.0
    gap: str = ""


class Told(msgspec.Struct, frozen=True):
    """All that is known of one condition.

    Attributes:
        new: of the release.
        old: of the release before, while it had the users.
        beyond: seconds for which each answer was beyond the limit.
    """

    new: Answered = Answered()
    old: Answered = Answered()
    beyond: float = 0.0


def filled(query: str, names: Mapping[str, str]) -> str:
    """A query with its names in place. `$` before anything else is as it is, so regular expressions keep theirs."""
    return Template(query).safe_substitute(names)


def number_of(answer: Any) -> tuple[float | None, str]:
    """The one number of an answer of `/api/v1/query` and what is wrong with it.

    https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries. No series is no number yet; NaN, such
    as nothing ÷ nothing, is none either.
    """
    if not isinstance(answer, dict) or answer.get("status") != "success":
        error = answer.get("error") if isinstance(answer, dict) else None
        return None, _line(error or "it does not answer as Prometheus does")
    try:
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind == "vector" and len(result) > 1:
            return None, f"the query gives {len(result)} series and not one: put sum(…) or max(…) around it"
        if kind not in ("vector", "scalar"):
            return None, f"the query gives a {_line(kind)} and not a number"
        if kind == "vector" and not result:
            return None, ""
        number = float(result[1] if kind == "scalar" else result[0]["value"][1])
    except (KeyError, IndexError, TypeError, ValueError):
        return None, "it does not answer as Prometheus does"
    return (None if math.isnan(number) else number), ""


def is_beyond(condition: Condition, number: float | None) -> bool:
    """Whether a value is on the wrong side of its limit."""
    if number is None:
        return False
    above = condition.most is not None and number > condition.most
    return above or (condition.least is not None and number < condition.least)


def held(conditions: Mapping[str, Condition], told: Mapping[str, Told], samples: int) -> list[Check]:
    """Each condition with an answer, against its limit. `samples`: of less nothing is judged."""
    checks = []
    for name, condition in conditions.items():
        known = told.get(name, Told())
        if known.new.number is None:
            continue
        if condition.of:
            checks.append(hold_share(name, _counted(known.new), _counted(known.old), condition.share or 0.0, samples))
        else:
            checks.append(_value(name, condition, known, known.new.number))
    return checks


def gaps(conditions: Iterable[str], told: Mapping[str, Told]) -> list[str]:
    """What was not judged, and why: a line each."""
    found = []
    for name in conditions:
        new = told.get(name, Told()).new
        if new.gap:
            found.append(f"{name} was not judged: {new.gap}")
        elif new.number is None:
            found.append(f"{name} was not judged: Prometheus has nothing about this release yet")
    return found


def _value(name: str, condition: Condition, known: Told, number: float) -> Check:
    over = is_beyond(condition, number)
    before = known.old.number
    as_before = is_beyond(condition, before)
    failed = over and not as_before and known.beyond >= condition.lasts
    limit = f"most {condition.most:g}" if condition.most is not None else f"least {condition.least or 0:g}"
    said = f"{name} is {number:g}, at {limit}"
    if over:
        said += f", for {known.beyond:.0f} s of {condition.lasts:g} s"
    return Check(over, failed, said + (f"; the release before: {before:g}" if before is not None else ""))


def _counted(answered: Answered) -> Traffic:
    """Counts that Prometheus extrapolates are whole to us; more bad ones than there are is all of them."""
    if answered.number is None or not math.isfinite(answered.number) or not math.isfinite(answered.of):
        return Traffic()
    of = round(min(max(0.0, answered.of), MOST))
    return Traffic(of, round(min(max(0.0, answered.number), of)))


def _line(text: object) -> str:
    return " ".join(str(text).split())[:200]
