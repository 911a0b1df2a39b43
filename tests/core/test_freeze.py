import contextlib
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.config import Config
from cicd.core.config_rules import parse_config
from cicd.core.freeze import frozen, refusal
from cicd.errors import ConfigError

TEXT = """
version: 1
app: a
deploy: {run: x}
freeze: %s
environments:
  dev: {freeze: [], ports: {router: 1, blue: 2, green: 3}}
  production: {ports: {router: 4, blue: 5, green: 6}}
"""
YEAR_END = "{from: 2026-12-20, to: 2027-01-04, reason: year end}"
WEEKEND = '{weekly: "Fri 16:00 – Mon 08:00", zone: Europe/Berlin}'
BERLIN = ZoneInfo("Europe/Berlin")


def config(*windows: str) -> Config:
    return parse_config(TEXT % f"[{', '.join(windows)}]", "cicd.yml")


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("when", "until"),
    [
        ("2026-12-19 23:59", None),
        ("2026-12-20 00:00", "2027-01-05 00:00"),
        ("2027-01-04 23:59", "2027-01-05 00:00"),
        ("2027-01-05 00:00", None),
    ],
)
def test_a_window_of_days_has_both_its_days(when: str, until: str | None) -> None:
    utc = ZoneInfo("UTC")
    found = frozen(config(YEAR_END), "production", at(when, utc))
    assert (found and found.until) == (until and at(until, utc))


@pytest.mark.parametrize(
    ("when", "until"),
    [
        ("2026-11-20 15:59", None),  # a Friday
        ("2026-11-20 16:00", "2026-11-23 08:00"),
        ("2026-11-22 12:00", "2026-11-23 08:00"),
        ("2026-11-23 07:59", "2026-11-23 08:00"),
        ("2026-11-23 08:00", None),
        ("2026-10-24 12:00", "2026-10-26 08:00"),  # the clocks go back in between, and 08:00 stays 08:00
        ("2027-03-27 12:00", "2027-03-29 08:00"),
    ],
)
def test_a_weekly_window_goes_by_the_clock_on_the_wall(when: str, until: str | None) -> None:
    found = frozen(config(WEEKEND), "production", at(when))
    assert (found and found.until) == (until and at(until))


def test_times_of_day() -> None:
    window = config('{from: 2026-12-20 18:00, to: "2026-12-20T20:30", zone: Europe/Berlin}')
    assert frozen(window, "production", at("2026-12-20 17:59")) is None
    found = frozen(window, "production", at("2026-12-20 18:00"))
    assert found is not None
    assert found.until == at("2026-12-20 20:30")


def test_the_refusal_says_why_and_until_when() -> None:
    found = frozen(config(YEAR_END, WEEKEND), "production", at("2026-12-25 12:00"))
    assert found is not None
    error = refusal("production", found)
    assert str(error).startswith("`production` is frozen until Tue 2027-01-05 00:00 UTC: year end.")
    assert "force" in error.next_step
    assert error.code == 25


def test_an_environments_own_list_replaces_that_of_the_top_level() -> None:
    assert frozen(config(YEAR_END), "dev", at("2026-12-25 12:00")) is None


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ("{}", "freeze[0]: needs `from` and `to`, or `weekly`"),
        ("{from: 2026-12-20}", "needs `from` and `to`"),
        ("{from: 2026-12-20, to: 2026-12-19}", "`from` should be before `to`"),
        ("{from: soon, to: 2026-12-19}", "freeze[0].from: should be a day such as `2026-12-20`"),
        ("{from: 2026-12-20, to: 2026-02-31 10:00}", "freeze[0].to: should be a day"),
        ("{from: 2026-12-20 10:00:00+01:00, to: 2026-12-31}", "freeze[0].from: should be a day"),
        ("{weekly: Fri 16:00}", "weekly: should be such as"),
        ("{weekly: Fri 16:00 - Fri 16:00}", "weekly: should be such as"),
        ("{weekly: Fri 25:00 - Mon 08:00}", "weekly: should be such as"),
        ("{weekly: Fry 16:00 - Mon 08:00}", "weekly: should be such as"),
        ("{weekly: Fri 16:00 - Mon 08:00, from: 2026-12-20}", "either `weekly`, or `from` and `to`"),
        ("{weekly: Fri 16:00 - Mon 08:00, zone: Berlin}", "zone: `Berlin` is not known here"),
        ("{weekly: Fri 16:00 - Mon 08:00, zone: ../passwd}", "is not known here"),
        ("{wekly: Fri 16:00 - Mon 08:00}", "did you mean `weekly`?"),
    ],
)
def test_what_is_wrong_is_said(window: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(window)
    assert said in str(caught.value)


@given(st.integers(0, 7 * 24 * 60 - 1), st.integers(0, 7 * 24 * 60 - 1), st.integers(0, 60 * 24 * 400))
def test_a_weekly_window_and_its_opposite_cover_the_week(start: int, end: int, minute: int) -> None:
    def said(minutes: int) -> str:
        days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
        return f"{days[minutes // 1440]} {minutes % 1440 // 60:02}:{minutes % 60:02}"

    if start == end:
        return
    now = at("2026-01-01 00:00") + minute * 60
    one, other = (
        frozen(config(f'{{weekly: "{said(a)} - {said(b)}", zone: Europe/Berlin}}'), "production", now)
        for a, b in ((start, end), (end, start))
    )
    assert (one is None) != (other is None)
    stop = one or other
    assert stop is not None
    assert now < stop.until <= now + 7 * 86400 + 3600


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Pacific/Kiritimati"])
@pytest.mark.parametrize("end", ["9999-12-31", "9999-12-31 23:59", "9999-12-30"])
def test_a_freeze_for_ever(end: str, zone: str) -> None:
    """The last day that there is has no day after it, and its end no name in every zone."""
    stop = frozen(config(f"{{from: 0001-01-01, to: {end}, zone: {zone}}}"), "production", at("2026-12-01 12:00"))
    assert stop
    assert "frozen until" in str(refusal("production", stop))


@given(st.dates(), st.dates(), st.sampled_from(["UTC", "America/Los_Angeles", "Pacific/Kiritimati"]))
def test_any_two_days_are_a_window_or_a_config_error(start: date, end: date, zone: str) -> None:
    window = f"{{from: {start.isoformat()}, to: {end.isoformat()}, zone: {zone}}}"
    with contextlib.suppress(ConfigError):  # `from` is after `to`
        frozen(config(window), "production", at("2026-12-01 12:00"))
