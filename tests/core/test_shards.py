"""The planner: every test in one shard, near the lower bound, the same each time."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.completeness import FileTimes
from cicd.core.shards import MOST, assign, choose_shards, longest_of, seconds_of, weigh, words

SECONDS = st.floats(0.001, 100)
NAMES = st.sampled_from(["a", "b/c", "b/d", "b/e/f", "g", "h", "i/j", "k"]).map(lambda name: f"{name}_test.py")
TESTS = st.dictionaries(st.sampled_from("xyz123"), SECONDS, min_size=1)
KNOWN = st.dictionaries(NAMES, TESTS, max_size=8)


def times(named: Mapping[str, Mapping[str, float]], again: float = 0.0) -> dict[str, FileTimes]:
    return {
        file: FileTimes(tests={f"{file}::{test}": seconds for test, seconds in tests.items()}, fixtures=again)
        for file, tests in named.items()
    }


@given(KNOWN, st.sets(NAMES), st.integers(1, 9), st.floats(0, 5))
def test_every_test_is_in_one_shard(
    named: dict[str, dict[str, float]], more: set[str], shards: int, again: float
) -> None:
    known = times(named, again)
    files = sorted({*known, *more})
    plan = assign(files, known, shards)
    assert sorted([*plan.files, *plan.split]) == files
    assert set(plan.files.values()) <= set(range(1, shards + 1))
    for file, tests in plan.split.items():
        assert tests.keys() == known[file].tests.keys()
        assert len(set(tests.values())) <= shards
    assert len(plan.loads) == shards
    assert plan == assign(files[::-1], dict(reversed(known.items())), shards)


@given(KNOWN, st.integers(1, 9))
def test_no_shard_is_far_from_the_lower_bound(named: dict[str, dict[str, float]], shards: int) -> None:
    plan = assign(named, times(named), shards)
    assert max(plan.loads) <= 4 / 3 * plan.floor * 1.5 + 1e-6
    assert sum(plan.loads) == pytest.approx(sum(seconds_of(one) for one in times(named).values()))


def test_many_files_come_to_the_bound_itself() -> None:
    chance = random.Random(1)
    named = {f"t/{number}_test.py": {"a": chance.lognormvariate(0, 1.5)} for number in range(2000)}
    for shards in (2, 8, 16, 100):
        plan = assign(named, times(named), shards)
        assert max(plan.loads) <= 1.001 * plan.floor, shards


def test_only_a_file_that_is_too_heavy_is_split_and_its_classes_stay_whole() -> None:
    named = {
        "big_test.py": {"A::a": 2.0, "A::b": 2.0, "B::a": 3.0, "c": 4.0, "d": 5.0},
        "small_test.py": {"a": 2.0, "b": 2.0},
    }
    plan = assign(named, times(named, again=0.1), 4)
    assert list(plan.split) == ["big_test.py"]
    placed = plan.split["big_test.py"]
    assert placed["big_test.py::A::a"] == placed["big_test.py::A::b"]
    assert max(plan.loads) == pytest.approx(7.1), "four pieces for four shards, each a little over its share"


def test_fixtures_that_cost_more_than_a_share_keep_a_file_whole() -> None:
    named = {"big_test.py": dict.fromkeys("abcdef", 0.1), "other_test.py": {"a": 0.1}}
    assert not assign(named, times(named, again=60), 4).split


def test_a_new_file_weighs_what_its_neighbours_do() -> None:
    known = times({"a/x_test.py": {"t": 9.0}, "a/y_test.py": {"t": 11.0}, "b/z_test.py": {"t": 1.0}})
    found = weigh(["a/new_test.py", "a/deep/new_test.py", "c/new_test.py", "a/x_test.py"], known)
    assert found == {"a/new_test.py": 10.0, "a/deep/new_test.py": 10.0, "c/new_test.py": 9.0, "a/x_test.py": 9.0}
    assert weigh(["a_test.py"], {}) == {"a_test.py": 1.0}


def test_more_shards_than_files_leave_some_empty() -> None:
    plan = assign(["a_test.py"], {}, 3)
    assert sorted(plan.loads) == [0.0, 0.0, 1.0]
    assert assign([], {}, 2).loads == [0.0, 0.0]


def test_as_many_shards_as_are_worth_it() -> None:
    choice = choose_shards(work=1800, longest=30, fixed=60)
    assert choice.shards == 6, "1800 / 60 = 30, and 5 × 6 is 30"
    assert choice.why == "6 shards: 6 min 0 s; one more would save 43 s and cost 1 min 0 s of machine time"
    assert choose_shards(work=1800, longest=30, fixed=60, target=180).shards == 15
    late = choose_shards(work=1800, longest=300, fixed=60, target=180)
    assert "cannot be met" in late.why
    assert choose_shards(work=1e9, longest=0, fixed=0.001).shards == MOST
    assert choose_shards(work=0, longest=0, fixed=0).shards == 1


@given(st.floats(0, 1e5), st.floats(0, 1e3), st.floats(0, 600), st.floats(0, 600))
def test_any_choice_is_one(work: float, longest: float, fixed: float, target: float) -> None:
    choice = choose_shards(work, min(work, longest), fixed, target)
    assert 1 <= choice.shards <= MOST
    if target and choice.wall > target:
        assert "cannot be met" in choice.why


def test_words() -> None:
    assert [words(seconds) for seconds in (0.44, 35.2, 250, 119.7)] == ["0.4 s", "35 s", "4 min 10 s", "2 min 0 s"]


def test_a_class_is_split_only_from_another_and_pays_its_own_fixtures() -> None:
    tests = {f"big_test.py::{one}::{test}": 1.0 for one in "ABCD" for test in "xy"}
    classes = {f"big_test.py::{one}": 5.0 for one in "ABCD"}
    plan = assign(["big_test.py"], {"big_test.py": FileTimes(tests=tests, classes=classes)}, 4)
    assert plan.loads == pytest.approx([7.0] * 4)
    placed = plan.split["big_test.py"]
    assert len({placed[f"big_test.py::{one}::x"] for one in "ABCD"}) == 4
    assert all(placed[f"big_test.py::{one}::x"] == placed[f"big_test.py::{one}::y"] for one in "ABCD")


def test_the_longest_test_has_the_fixtures_around_it() -> None:
    tests = {"a.py::A::B::x[p::q]": 2.0, "a.py::Ab::y": 3.0, "a.py::z": 1.0}
    known = FileTimes(tests=tests, classes={"a.py::A": 4.0, "a.py::A::B": 0.5}, fixtures=1.0, collect=9.0)
    assert longest_of(known) == 7.5
    assert seconds_of(known) == 20.5
