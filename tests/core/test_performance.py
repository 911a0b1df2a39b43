"""The performance gate: budgets, and comparisons that know noise from effect."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.performance import Budget, Measure, compare, judge, order, regressions, seconds


def run(value: float) -> list[Measure]:
    return [Measure(name="load", samples=[value])]


def runs(count: int, slower: float, noise: float, seed: int) -> list[tuple[list[Measure], list[Measure]]]:
    """Pairs of runs on a machine whose speed also drifts."""
    chance, made = random.Random(seed), []
    for number in range(count):
        drift = 1 + 0.3 * number / count
        old, new = (drift * chance.lognormvariate(0, noise) for _ in range(2))
        made.append((run(old), run(new * slower)))
    return made


def test_limits_on_times_rates_and_errors() -> None:
    measure = Measure(name="load", samples=[0.1] * 94 + [0.3] * 6, rate=40, count=100, failed=2)
    budget = Budget(p50=0.1, p95=0.2, throughput=50, errors=2)
    judged = {one.what: one for one in judge([measure], budget)}
    assert {what: one.verdict for what, one in judged.items()} == {
        "p50": "passed",
        "p95": "failed",
        "throughput": "failed",
        "errors": "passed",
    }
    assert judged["p95"].why == "load: p95 is 300 ms, at most 200 ms is allowed"


def test_what_was_not_measured_has_failed() -> None:
    assert [one.verdict for one in judge([Measure(name="x")], Budget(p95=1, throughput=1, errors=1))] == ["failed"] * 3
    assert [one.verdict for one in judge([], Budget(p95=1))] == ["failed"]
    missing = judge([Measure(name="x", samples=[0.1])], Budget(p95=1, only=["y"]))
    assert [(one.measure, one.verdict) for one in missing] == [("y", "failed")]


def test_the_tools_own_quantiles_count_before_samples() -> None:
    assert Measure(name="x", quantiles={95: 0.5}).quantile(95) == 0.5
    assert Measure(name="x", samples=[3, 1, 2]).quantile(95) == 3
    assert Measure(name="x").typical is None


def test_equal_sides_seldom_look_unlike_and_ten_percent_are_seen() -> None:
    alarms = sum(regressions(runs(10, 1.0, 0.04, seed), 5)[0].verdict == "failed" for seed in range(300))
    seen = sum(regressions(runs(10, 1.1, 0.03, seed), 5)[0].verdict == "failed" for seed in range(300))
    assert alarms <= 6, "2%"
    assert seen >= 270, "90%"


def test_noise_that_hides_the_effect_is_said() -> None:
    judged = regressions(runs(10, 1.1, 0.5, 1), 5)
    assert judged[0].verdict == "inconclusive"
    assert "noise" in judged[0].why
    assert regressions([(run(1), [Measure(name="other", samples=[1])])] * 9, 5)[0].verdict == "inconclusive"


def test_more_measures_make_no_more_alarms() -> None:
    def many(seed: int) -> list[tuple[list[Measure], list[Measure]]]:
        chance = random.Random(seed)
        return [
            tuple(  # type: ignore[misc]
                [Measure(name=str(name), samples=[chance.lognormvariate(0, 0.05)]) for name in range(20)]
                for _ in range(2)
            )
            for _ in range(15)
        ]

    alarms = sum(any(one.verdict == "failed" for one in regressions(many(seed), 1)) for seed in range(100))
    assert alarms <= 4


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=2, max_size=80))
def test_the_estimate_lies_within_its_bounds_and_turns_with_the_sides(pairs: list[tuple[float, float]]) -> None:
    found = compare(pairs)
    assert found.low <= found.percent <= found.high
    turned = compare([(new, old) for old, new in pairs])
    assert (1 + found.percent / 100) * (1 + turned.percent / 100) == pytest.approx(1, rel=1e-6)


def test_the_exact_distribution_is_that_of_the_tables() -> None:
    """Of 10 values P(T ≤ 5) = 0.0098 (Hollander, Wolfe, Chicken, table A.4): the 6th average is the 1% bound."""
    found = compare([(1.0, 2.0 ** (number / 10)) for number in range(10)], certain=0.01)
    logs = [number / 10 for number in range(10)]
    averages = sorted((logs[i] + logs[j]) / 2 for i in range(10) for j in range(i, 10))
    assert found.low == pytest.approx(100 * (2 ** averages[5] - 1))


def test_sides_take_turns() -> None:
    assert [order(pair)[0] for pair in range(4)] == ["base", "new", "base", "new"]


def test_seconds_for_people() -> None:
    assert [seconds(value) for value in (2.5, 0.2, 0.000_3, 0)] == ["2.5 s", "200 ms", "300 µs", "0 µs"]
