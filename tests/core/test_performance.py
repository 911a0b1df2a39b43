"""Budgets of a performance suite."""

from cicd.core.performance import Budget, Measure, judge, seconds


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


def test_seconds_for_people() -> None:
    assert [seconds(value) for value in (2.5, 0.2, 0.000_3, 0)] == ["2.5 s", "200 ms", "300 µs", "0 µs"]
