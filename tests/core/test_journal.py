import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.journal import Entry, NewerFormat, NotAJournal, decode, encode, fold, rerouted_at
from cicd.core.ledger import Payload
from cicd.core.plan import Plan, Running, plan_promotion, plan_rollback
from tests.core.histories import release

PLAN = plan_promotion("dev", release("v2"), Running(release=release("v1"), slot="blue"), [], [])


def entry(event: str, **values: object) -> Entry:
    return Entry(at=1.0, deployment="d", event=event, **values)  # type: ignore[arg-type]


def opened(plan: Plan, number: int = 0) -> Entry:
    payload = Payload(kind=plan.kind, release=plan.release, release_id=plan.release.id, key="d")
    return entry("plan", plan=plan, payload=payload, number=number)


def closed(plan: Plan, verdict: str, running: Running) -> list[Entry]:
    return [opened(plan), entry("close", verdict=verdict, running=running)]


def test_nothing_yet() -> None:
    state = fold([])
    assert state.running == Running()
    assert state.unfinished is None


def test_what_was_begun_and_not_undone_is_left_in_order() -> None:
    entries = [
        opened(PLAN, 7),
        entry("begin", step=0, facts={"created": True}),
        entry("end", step=0),
        entry("begin", step=1),
        entry("undo", step=1),
        entry("undone", step=1),
        entry("begin", step=2),
    ]
    attempt = fold(entries).unfinished
    assert attempt is not None
    assert (attempt.plan, attempt.number) == (PLAN, 7)
    assert [(begun.step.kind, begun.ended) for begun in attempt.begun] == [("prepare", True), ("verify", False)]
    assert attempt.begun[0].facts == {"created": True}


def test_a_journal_of_a_later_cicd_is_not_guessed_at() -> None:
    with pytest.raises(NewerFormat):
        decode(encode(opened(PLAN)).replace('"format":1', '"format":2'))


@pytest.mark.parametrize(
    "entries",
    [
        [entry("plan")],
        [entry("plan", plan=PLAN)],
        [opened(msgspec.structs.replace(PLAN, steps=[]))],
        [opened(PLAN), entry("begin", step=-1)],
        [opened(PLAN), entry("begin", step=len(PLAN.steps))],
    ],
)
def test_what_cannot_be_recovered_is_not_guessed_at(entries: list[Entry]) -> None:
    with pytest.raises(NotAJournal):
        fold(entries)


def test_the_highest_fence_is_known() -> None:
    assert fold([entry("close", fence=3), entry("close", fence=2)]).fence == 3


def test_a_closed_deployment_leaves_nothing_to_undo() -> None:
    running = Running(release=release("v2"), slot="green", warm=release("v1").id)
    state = fold([entry("begin", step=0), *closed(PLAN, "stable", running)])
    assert state.unfinished is None
    assert state.running == running
    assert [one.version for one in state.history] == ["v2"]


def test_history_forgets_what_was_left_by_a_rollback() -> None:
    v1, v2 = (Running(release=release(name), slot="blue") for name in ("v1", "v2"))
    back = plan_rollback("dev", release("v1"), v2, [])
    state = fold([*closed(PLAN, "stable", v1), *closed(PLAN, "stable", v2), *closed(back, "stable", v1)])
    assert [one.version for one in state.history] == ["v1"]


def test_a_release_that_was_taken_back_is_not_in_the_history() -> None:
    v1 = Running(release=release("v1"), slot="blue")
    state = fold([*closed(PLAN, "stable", v1), *closed(PLAN, "rolled-back", v1)])
    assert [one.version for one in state.history] == ["v1"]
    assert state.running == v1


@given(st.integers(min_value=0))
def test_a_journal_cut_off_anywhere_is_read(cut: int) -> None:
    """A crash may leave half a line; every whole one counts."""
    entries = [opened(PLAN), entry("begin", step=0, facts={"a": "é\n"}), entry("end", step=0)]
    text = "".join(map(encode, entries))
    kept = text[: cut % (len(text) + 1)]
    assert decode(kept) == entries[: kept.count("\n")]


def test_when_traffic_was_last_sent_elsewhere() -> None:
    switch = next(number for number, step in enumerate(PLAN.steps) if step.kind == "switch")
    entries = [
        Entry(at=1, deployment="a", event="plan", plan=PLAN),
        Entry(at=2, deployment="a", event="begin", step=0),
        Entry(at=3, deployment="a", event="begin", step=switch),
        Entry(at=4, deployment="a", event="end", step=switch),
        Entry(at=5, deployment="a", event="begin", step=switch + 1),
    ]
    assert rerouted_at(entries) == 4
    assert rerouted_at(entries[:2]) == 0
