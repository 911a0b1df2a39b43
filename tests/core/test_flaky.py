"""Flaky tests: quarantine with an owner and a day, and how often."""

from datetime import date

from cicd.core.flaky import WINDOW, Quarantined, Rates, counted_in, rate, sort_failures

TODAY = date(2026, 6, 15)


def entry(test: str, until: str = "2026-06-15") -> Quarantined:
    return Quarantined(test=test, owner="@ann", until=until, reason="a race, #12")


def test_a_test_in_quarantine_may_fail_until_its_day_is_over() -> None:
    quarantine = [entry("t.py::a"), entry("t.py::b", "2026-06-14"), entry("t.py::c"), entry("t.py::p")]
    found = sort_failures(["t.py::a", "t.py::b", "t.py::x", "t.py::p[1]"], ["t.py::c", "t.py::p[2]"], quarantine, TODAY)
    assert found.failed == ["t.py::b", "t.py::x"]
    assert list(found.excused) == ["t.py::a", "t.py::p[1]"]
    assert [one.test for one in found.expired] == ["t.py::b"]
    assert [one.test for one in found.unused] == ["t.py::c"], "p failed with another parameter"


def test_a_day_that_nobody_can_read_excuses_nothing() -> None:
    assert sort_failures(["t.py::a"], [], [entry("t.py::a", "soon")], TODAY).failed == ["t.py::a"]


def test_the_rate_is_over_a_window() -> None:
    rates = Rates()
    for number in range(100):
        rates = counted_in(rates, ["t.py::a"] if number % 10 == 0 else [])
    assert rate(rates, "t.py::a") == 10
    assert rate(rates, "t.py::b") == 0
    for _ in range(5 * WINDOW):
        rates = counted_in(rates, [])
    assert rates.runs == WINDOW
    assert rate(rates, "t.py::a") < 0.1
