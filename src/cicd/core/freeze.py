"""Freeze windows: times at which nothing is promoted. Going back is never frozen."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from cicd.core.reading import Moment
from cicd.errors import Frozen

if TYPE_CHECKING:
    from cicd.core.config import Config

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WEEKLY = re.compile(r"(\w{3}) (\d{1,2}):(\d{2}) ?(?:-|–|to) ?(\w{3}) (\d{1,2}):(\d{2})")
MINUTES = 7 * 24 * 60  # of a week
LAST = datetime(9999, 12, 30)  # a later `to` is one without end; of this one any zone has a day after it


class Freeze(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """A time at which nothing is promoted: `from` a day (or time) `to` the end of a day (or a time), or every week.

    `weekly` is such as `Fri 16:00 - Mon 08:00`; `zone` is where the clock hangs, such as `Europe/Berlin`, and needs
    the system's time zone data (package tzdata). `force` promotes all the same; a rollback is never frozen.
    """

    start: Moment = msgspec.field(name="from", default="")
    end: Moment = msgspec.field(name="to", default="")
    weekly: str = ""
    zone: str = "UTC"
    reason: str = ""


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is promoted now, and until when, in seconds since 1970."""

    reason: str
    until: float
    zone: str


def frozen(config: Config, environment: str, now: float) -> Stop | None:
    """The window that is open now, of several the one that ends last; None if there is none.

    Args:
        now: seconds since 1970.
    """
    own = config.environments[environment].freeze
    ends = [
        Stop(reason=window.reason, until=until, zone=window.zone)
        for window in (config.freeze if own is None else own)
        if (until := _end(window, now)) is not None
    ]
    return max(ends, key=lambda stop: stop.until, default=None)


def refusal(environment: str, stop: Stop) -> Frozen:
    """The refusal of a promotion."""
    until = datetime.fromtimestamp(stop.until, _zone(stop.zone)).strftime("%a %Y-%m-%d %H:%M")
    return Frozen(
        f"`{environment}` is frozen until {until} {stop.zone}" + (f": {stop.reason}" if stop.reason else ""),
        cause="a freeze window of the config",
        next_step="wait until then, or promote with `force: true`; `cicd rollback` is never frozen",
    )


def problem(window: Freeze) -> str | None:
    """What is wrong with a window; None if nothing is."""
    try:
        _zone(window.zone)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return f"zone: `{window.zone}` is not known here; is it such as `Europe/Berlin`, and is tzdata installed?"
    if window.weekly:
        if window.start or window.end:
            return "either `weekly`, or `from` and `to`"
        return None if _week(window.weekly) else "weekly: should be such as `Fri 16:00 - Mon 08:00`"
    if not (window.start and window.end):
        return "needs `from` and `to`, or `weekly`"
    return None if _moments(window)[0] < _moments(window)[1] else "`from` should be before `to`"


def _zone(name: str) -> tzinfo:
    """UTC needs no time zone data."""
    return UTC if name == "UTC" else ZoneInfo(name)


def _end(window: Freeze, now: float) -> float | None:
    """When a window that is open now ends; None if it is not open."""
    if window.weekly:
        return _week_end(window, now)
    start, end = _moments(window)
    return end if start <= now < end else None


def _moments(window: Freeze) -> tuple[float, float]:
    """`from` and `to` in seconds since 1970; a day as the end is over when the next one begins."""
    zone = _zone(window.zone)
    start, end = (datetime.fromisoformat(text) for text in (window.start, window.end))
    if len(window.end) == len("2026-12-20") and end < LAST:
        end += timedelta(days=1)
    end = min(end, LAST)
    return start.replace(tzinfo=zone).timestamp(), end.replace(tzinfo=zone).timestamp()


def _week(text: str) -> tuple[int, int] | None:
    """A weekly window in minutes since Monday 00:00; None if it is not one."""
    found = WEEKLY.fullmatch(text.strip())
    if found is None:
        return None
    day, hour, minute, end_day, end_hour, end_minute = found.groups()
    start = _minutes(day, int(hour), int(minute))
    end = _minutes(end_day, int(end_hour), int(end_minute))
    return None if start is None or end is None or start == end else (start, end)


def _minutes(day: str, hour: int, minute: int) -> int | None:
    if day.title() not in DAYS or hour > 24 or minute > 59 or hour * 60 + minute > 24 * 60:
        return None
    return (DAYS.index(day.title()) * 24 * 60 + hour * 60 + minute) % MINUTES


def _week_end(window: Freeze, now: float) -> float | None:
    """By the clock on the wall, so that 08:00 is 08:00 in summer and in winter."""
    week = _week(window.weekly)
    assert week is not None, "the config was checked"
    start, end = week
    here = datetime.fromtimestamp(now, _zone(window.zone))
    passed = here.weekday() * 24 * 60 + here.hour * 60 + here.minute
    if (passed - start) % MINUTES >= (end - start) % MINUTES:
        return None
    left = (end - passed) % MINUTES
    return (here.replace(second=0, microsecond=0, fold=0) + timedelta(minutes=left)).timestamp()
