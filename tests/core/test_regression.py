"""New code held against its base: comparisons that know noise from effect."""

import random
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.performance import Budget, Measure
from cicd.core.regression import Look, compare, figures, look, looks, order, settled

FIVE = Budget(regression=5, pairs=10)
Runs = list[tuple[Mapping[str, float], Mapping[str, float]]]


def runs(count: int, slower: float, noise: float, seed: int, names: int = 1) -> Runs:
    """Pairs of runs on a machine whose speed also drifts."""
    chance = random.Random(seed)
    made: Runs = []
    for number in range(count):
        drift = 1 + 0.3 * number / count
        old, new = ({str(name): drift * chance.lognormvariate(0, noise) for name in range(names)} for _ in range(2))
        made.append((old, {name: value * slower for name, value in new.items()}))
    return made


def stopped(pairs: Runs, budget: Budget) -> Look:
    """What a suite comes to that stops as soon as it is clear."""
    for at in looks(budget.pairs):
        found = look(pairs[:at], budget)
        if found.clear:
            break
    return found


def of(pairs: Runs, budget: Budget = FIVE) -> dict[str, str]:
    return {one.measure: one.verdict for one in look(pairs, budget).judged}


def failed(found: Look) -> bool:
    return any(one.verdict == "failed" for one in found.judged)


@pytest.mark.parametrize("pairs", [10, 20])
def test_equal_sides_seldom_look_unlike_and_ten_percent_are_seen(pairs: int) -> None:
    budget = Budget(regression=5, pairs=pairs)
    alarms = sum(failed(stopped(runs(pairs, 1.0, 0.04, seed), budget)) for seed in range(300))
    seen = sum(failed(stopped(runs(pairs, 1.1, 0.03, seed), budget)) for seed in range(300))
    assert alarms <= 6, "2%"
    assert seen >= 270, "90%"


def test_no_slowdown_allowed_makes_no_more_alarms_however_often_it_is_looked() -> None:
    """The hardest case: any estimate above 0 is too slow, and 20 measures are looked at three times."""
    budget = Budget(regression=0, pairs=40)
    assert looks(40) == [10, 20, 40]
    alarms = sum(failed(stopped(runs(40, 1.0, 0.05, seed, names=20), budget)) for seed in range(200))
    assert alarms <= 4


def test_noise_that_hides_the_effect_is_said_and_is_as_red_as_the_config_wants() -> None:
    found = look(runs(10, 1.1, 0.5, 1), FIVE)
    assert [one.verdict for one in found.judged] == ["inconclusive"]
    assert "noise" in found.judged[0].why
    assert settled(found.judged, FIVE) == found.judged
    strict = settled(found.judged, msgspec.structs.replace(FIVE, inconclusive="fail"))
    assert [one.verdict for one in strict] == ["failed"]


def test_what_is_much_faster_passes_however_noisy() -> None:
    assert of(runs(10, 0.5, 0.1, 1)) == {"0": "passed"}


def test_it_stops_when_it_is_clear_and_not_before() -> None:
    budget = Budget(regression=5, pairs=20)
    assert look(runs(10, 1.0, 0.005, 1), budget).clear
    assert look(runs(10, 1.3, 0.005, 1), budget).clear
    assert not look(runs(10, 1.04, 0.02, 1), budget).clear
    assert look(runs(10, 1.04, 0.02, 1), budget, last=True).clear
    assert look(runs(20, 1.04, 0.02, 1), budget).clear


def test_too_few_pairs_show_nothing() -> None:
    (judged,) = look(runs(3, 2.0, 0.001, 1), FIVE, last=True).judged
    assert judged.verdict == "inconclusive"
    assert "too few" in judged.why
    assert of(runs(1, 2.0, 0.001, 1))["0"] == "inconclusive"


def test_names_that_one_side_has_alone() -> None:
    pairs: Runs = [({"kept": 1.0, "gone": 1.0}, {"kept": 1.0, "new": 1.0})] * 10
    assert of(pairs) == {"kept": "passed", "new": "passed", "gone": "inconclusive"}
    assert of([({"old": 1.0}, {"new": 1.0})] * 10) == {"new": "passed", "old": "inconclusive", "": "inconclusive"}
    assert of([({}, {})] * 10) == {"": "inconclusive"}


def test_no_time_at_all_and_a_measure_that_comes_and_goes() -> None:
    assert of([({"a": 0.0}, {"a": 1.0})] * 10) == {"a": "inconclusive", "": "inconclusive"}
    pairs: Runs = [({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 1.0})] * 9
    assert of([*pairs, ({"a": 1.0}, {"a": 1.0, "b": 1.0})]) == {"a": "passed", "b": "inconclusive"}


def test_the_figures_of_a_run() -> None:
    measures = [
        Measure(name="x", samples=[3, 1, 2]),
        Measure(name="x", quantiles={50: 5}),
        Measure(name="rate", rate=5),
    ]
    assert figures(measures, Budget()) == {"x": 2, "x (2)": 5}
    assert figures(measures, Budget(only=["rate"])) == {}


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=2, max_size=80))
def test_the_estimate_lies_within_its_bounds_and_turns_with_the_sides(pairs: list[tuple[float, float]]) -> None:
    found = compare(pairs)
    assert found.low <= found.percent <= found.high
    turned = compare([(new, old) for old, new in pairs])
    assert (1 + found.percent / 100) * (1 + turned.percent / 100) == pytest.approx(1, rel=1e-6)


values = st.dictionaries(st.sampled_from("abc"), st.sampled_from([0.0, 1e-9, 1.0, 1e9]))


@given(st.lists(st.tuples(values, values), min_size=1, max_size=12), st.sampled_from([0.0, 5.0, 100.0]))
def test_every_measure_is_told_of_and_only_what_both_have_can_fail(pairs: Runs, allowed: float) -> None:
    found = look(pairs, Budget(regression=allowed, pairs=7), last=True)
    names = {name for pair in pairs for side in pair for name in side}
    assert {one.measure for one in found.judged} | {""} == names | {""}
    assert found.clear
    for one in found.judged:
        if one.verdict == "failed":
            assert all(one.measure in side for pair in pairs for side in pair)


def test_the_exact_distribution_is_that_of_the_tables() -> None:
    """Of 10 values P(T ≤ 5) = 0.0098 (Hollander, Wolfe, Chicken, table A.4): the 6th average is the 1% bound."""
    found = compare([(1.0, 2.0 ** (number / 10)) for number in range(10)], certain=0.01)
    logs = [number / 10 for number in range(10)]
    averages = sorted((logs[i] + logs[j]) / 2 for i in range(10) for j in range(i, 10))
    assert found.low == pytest.approx(100 * (2 ** averages[5] - 1))


def test_sides_take_turns() -> None:
    assert [order(pair)[0] for pair in range(4)] == ["base", "new", "base", "new"]
