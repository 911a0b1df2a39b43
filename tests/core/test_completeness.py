"""From any true run: whatever is missing, there twice, or altered is found, and what is true is whole."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cicd.core.completeness import FileTimes, Gap, Incomplete, Whole, complete, file_of
from cicd.core.receipt import FileSeconds, Ran, Receipt, ShardSeconds, SomeOutcome

OUTCOMES: st.SearchStrategy[SomeOutcome] = st.sampled_from(
    ["passed", "passed", "failed", "error", "skipped", "xfailed", "xpassed"]
)
PARTS = st.text("ab:[é", min_size=1, max_size=3)


@st.composite
def runs(draw: st.DrawFn, least: int = 1) -> list[Receipt]:
    """The receipts of a true run: each file has an owner, or is split and its tests have one each."""
    shards = draw(st.integers(least, 4))
    files = draw(
        st.dictionaries(PARTS.map(lambda part: f"t/{part}.py"), st.integers(0, shards), min_size=1, max_size=5)
    )
    collected: dict[int, list[str]] = {shard: [] for shard in range(1, shards + 1)}
    others: dict[int, list[str]] = {shard: [] for shard in collected}
    ran: dict[str, Ran] = {}
    for file, owner in files.items():
        for part in draw(st.lists(PARTS, min_size=1, max_size=5, unique=True)):
            test = f"{file}::{part}"
            mine = owner or draw(st.integers(1, shards))
            times = draw(st.sampled_from([1, 1, 1, 2]))
            collected[mine] += [test] * times
            for shard in collected.keys() - {mine} if owner == 0 else ():
                others[shard].append(test)
            ran[test] = Ran(outcome=draw(OUTCOMES), seconds=draw(st.floats(0, 9)), times=times)
    return [
        Receipt(
            suite="unit",
            plan="d1",
            attempt=draw(st.integers(1, 3)),
            shard=shard,
            shards=shards,
            seen=dict(sorted(files.items(), reverse=shard % 2 == 0)),
            collected=tuple(collected[shard]),
            others=tuple(others[shard]),
            ran={test: ran[test] for test in collected[shard]},
            ended=True,
        )
        for shard in collected
    ]


def judged(receipts: list[Receipt]) -> Whole | Incomplete:
    return complete("d1", receipts[0].shards, receipts)


def reasons(receipts: list[Receipt]) -> set[str]:
    found = judged(receipts)
    assert isinstance(found, Incomplete)
    assert all(gap.what and gap.next_step and len(str(gap)) < 1500 for gap in found.gaps)
    return {gap.reason for gap in found.gaps}


@given(runs(), st.randoms())
def test_a_true_run_is_whole(receipts: list[Receipt], chance: Any) -> None:
    older = [replace(one, attempt=one.attempt - 1, collected=(), ran={}) for one in receipts if one.attempt > 1]
    found = complete("d1", len(receipts), chance.sample([*receipts, *older], len(receipts) + len(older)))
    assert isinstance(found, Whole)
    assert found.ran.keys() == {test for one in receipts for test in one.collected}
    assert found.attempts == {one.shard: one.attempt for one in receipts}
    assert {test for times in found.times.values() for test in times.tests} == found.ran.keys()
    assert found.is_red == any(one.red for one in receipts)
    assert not found.said


Change = Callable[[st.DataObject, Receipt], dict[str, Any]]


def without(field: str) -> Change:
    def change(data: st.DataObject, one: Receipt) -> dict[str, Any]:
        left = list(getattr(one, field))
        gone = data.draw(st.sampled_from(left)) if left else None
        if (
            field == "others" and gone
        ):  # a shard that saw nothing of a file has no part of it, and may have seen nothing
            file = file_of(gone, one.seen)
            beside = [
                name for name in (*one.collected, *one.others) if name != gone and file_of(name, one.seen) == file
            ]
            left = left if beside else []
        if field in ("collected", "others"):
            return {field: tuple(name for name in left if name != gone)} if left else {}
        return {field: {name: about for name, about in getattr(one, field).items() if name != gone}} if left else {}

    return change


def renamed(field: str) -> Change:
    def change(data: st.DataObject, one: Receipt) -> dict[str, Any]:
        left = list(getattr(one, field))
        if not left:
            return {}
        gone = data.draw(st.sampled_from(left))
        if field in ("collected", "others"):
            return {field: tuple(f"{name}x" if name == gone else name for name in left)}
        return {field: {f"{name}x" if name == gone else name: about for name, about in getattr(one, field).items()}}

    return change


def twice(field: str) -> Change:
    def change(data: st.DataObject, one: Receipt) -> dict[str, Any]:
        left = getattr(one, field)
        return {field: (*left, data.draw(st.sampled_from(left)))} if left else {}

    return change


def more_often(data: st.DataObject, one: Receipt) -> dict[str, Any]:
    if not one.ran:
        return {}
    test = data.draw(st.sampled_from(sorted(one.ran)))
    return {"ran": {**one.ran, test: replace(one.ran[test], times=one.ran[test].times + 1)}}


def other_owner(data: st.DataObject, one: Receipt) -> dict[str, Any]:
    file = data.draw(st.sampled_from(sorted(one.seen)))
    owner = data.draw(st.integers(0, one.shards + 1).filter(lambda owner: owner != one.seen[file]))
    return {"seen": {**one.seen, file: owner}}


def other(**fields: Any) -> Change:
    return lambda data, one: fields


@pytest.mark.parametrize(
    "change",
    [
        *(without(field) for field in ("collected", "ran", "others", "seen")),
        *(renamed(field) for field in ("collected", "ran", "others", "seen")),
        twice("collected"),
        more_often,
        other_owner,
        other(plan="d2"),
        other(plan=""),
        other(shards=5),
        other(shard=5),
        other(suite="other"),
        other(ended=False),
        other(seen={}),
    ],
)
@given(data=st.data())
def test_one_altered_piece_is_found(change: Change, data: st.DataObject) -> None:
    receipts = data.draw(runs(least=3))  # with two shards nobody could say whose suite is the other one
    place = data.draw(st.integers(0, len(receipts) - 1))
    fields = change(data, receipts[place])
    if fields:
        reasons([*receipts[:place], replace(receipts[place], **fields), *receipts[place + 1 :]])


@given(data=st.data())
def test_a_receipt_that_is_missing_or_there_twice_is_found(data: st.DataObject) -> None:
    receipts = data.draw(runs(least=2))
    place = data.draw(st.integers(0, len(receipts) - 1))
    assert "shard-missing" in reasons(receipts[:place] + receipts[place + 1 :])
    assert "shard-twice" in reasons([*receipts, receipts[place]])


@given(data=st.data())
def test_a_test_of_another_shard_is_found(data: st.DataObject) -> None:
    receipts = data.draw(runs(least=2))
    giver, taker = data.draw(st.permutations(receipts))[:2]
    if giver.collected:
        test = data.draw(st.sampled_from(giver.collected))
        more = replace(
            taker,
            collected=(*taker.collected, test),
            others=tuple(name for name in taker.others if name != test),
            ran={**taker.ran, test: giver.ran[test]},
        )
        assert "run-twice" in reasons([more if one is taker else one for one in receipts])


def receipt(shard: int = 1, **fields: Any) -> Receipt:
    known = {"suite": "unit", "plan": "d1", "attempt": 1, "shards": 2, "ended": True}
    seen = {"a.py": 1, "b.py": 2}
    tests = {1: ("a.py::x", "a.py::y"), 2: ("b.py::x",)}[shard]
    ran = {test: Ran(outcome="passed", seconds=1.0) for test in tests}
    return replace(Receipt(**known, shard=shard, seen=seen, collected=tests, ran=ran), **fields)  # type: ignore[arg-type]


FAILED = {"a.py::x": Ran(outcome="failed")}


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ({"ended": False}, "Shard 1 did not come to its end: it was ended from outside, by its time limit"),
        (
            {"ended": False, "why": "enough", "ran": {}},
            "Shard 1 did not come to its end: enough. Next: look at the end of",
        ),
        ({"ran": FAILED}, "Shard 1 collected and did not run 1 test (a.py::y)"),
        ({"ended": False, "ran": FAILED}, "Shard 1 did not come to its end"),
        ({"seen": {"a.py": 1}}, "Shard 2 saw 1 file (b.py), and shard 1 did not"),
        ({"seen": {"a.py": 1, "b.py": 1}}, "The shards do not agree to whom 1 file (b.py) belongs"),
        ({"plan": "d2"}, "Shard 1 followed another plan (d2, 2 shards)"),
        ({"collected": (), "ran": {}, "seen": {"a.py": 0, "b.py": 2}}, "do not agree"),
    ],
)
def test_gaps_are_said_in_plain_words(first: dict[str, Any], said: str) -> None:
    found = judged([receipt(1, **first), receipt(2)])
    assert isinstance(found, Incomplete)
    assert any(said in str(gap) for gap in found.gaps), [str(gap) for gap in found.gaps]


def test_a_missing_shard_is_said() -> None:
    found = judged([receipt(2)])
    assert isinstance(found, Incomplete)
    said = "Shard 1 of 2 left no receipt. Next: look at its job's end, and run the job of this shard again."
    assert [str(gap) for gap in found.gaps] == [said]


def test_long_lists_and_hostile_names_are_cut() -> None:
    names = tuple(f"b.py::{number}\n::error::{'x' * 500}" for number in range(1000))
    found = judged([receipt(1, collected=names, ran={}), receipt(2)])
    assert isinstance(found, Incomplete)
    assert all(len(str(gap)) < 700 and str(gap).isprintable() for gap in found.gaps)
    assert any("and 997 more" in gap.what for gap in found.gaps)


def test_a_shard_that_stopped_at_a_failure_is_whole_and_says_it() -> None:
    found = judged([receipt(1, ended=False, why="stopping after 1 failures", ran=FAILED), receipt(2)])
    assert isinstance(found, Whole)
    assert found.is_red
    assert found.said == ("Shard 1 ended early (stopping after 1 failures): 1 test did not run.",)


def test_a_file_that_could_not_be_collected_is_red_and_said() -> None:
    found = judged([receipt(1, ended=False, why="1 error", ran={}, collected=(), errors={"a.py": "E"}), receipt(2)])
    assert isinstance(found, Whole)
    assert found.is_red
    assert found.said[0] == "Shard 1 could not collect a.py."


@pytest.mark.parametrize("seen", [{}, {"a.py": 1, "b.py": 2}])
def test_no_test_in_all_is_a_gap(seen: dict[str, int]) -> None:
    empty = {"seen": seen, "collected": (), "ran": {}}
    assert reasons([receipt(1, **empty), receipt(2, **empty)]) == {"no-tests"}
    assert isinstance(judged([receipt(1), receipt(2, collected=(), ran={})]), Whole)


def test_no_receipt_at_all() -> None:
    found = complete("d1", 2, [])
    assert isinstance(found, Incomplete)
    assert [gap.reason for gap in found.gaps] == ["shard-missing", "shard-missing", "no-tests"][:2]
    assert isinstance(found.gaps[0], Gap)


def test_seconds_of_all_shards_come_together() -> None:
    seen = {"a.py": 0}
    one = receipt(1, seen=seen, others=("a.py::z",), files={"a.py": FileSeconds(collect=1, fixtures=2)})
    two = receipt(
        2,
        seen=seen,
        collected=("a.py::z",),
        others=("a.py::x", "a.py::y"),
        ran={"a.py::z": Ran(outcome="passed", seconds=4)},
        files={"a.py": FileSeconds(collect=3, fixtures=1)},
        seconds=ShardSeconds(collect=3, total=9),
    )
    found = judged([one, two])
    assert isinstance(found, Whole)
    tests = {"a.py::x": 1.0, "a.py::y": 1.0, "a.py::z": 4.0}
    assert found.times == {"a.py": FileTimes(tests=tests, fixtures=2.0, collect=3.0)}
    assert found.seconds[2].total == 9


@pytest.mark.parametrize(
    ("test", "file"),
    [("a.py::x", "a.py"), ("a.py", "a.py"), ("d::e/a.py::C::x[a.py::b]", "d::e/a.py"), ("b.py::x", ""), ("", "")],
)
def test_the_file_of_an_id(test: str, file: str) -> None:
    assert file_of(test, {"a.py", "d::e/a.py", "C"}) == file
