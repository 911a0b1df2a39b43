"""The interpreter: what is done, undone and journalled, for a failure at every step."""

from typing import Any

import pytest

from cicd.commands.execute import Execution, Outcome
from cicd.core.journal import Begun, Entry, fold
from cicd.core.migrations import Migration
from cicd.core.plan import Plan, Running, Step, plan_promotion, plan_rollback
from cicd.errors import CicdError, Inconclusive, Interrupted, Unhealthy
from tests.core.histories import release

MIGRATION = Migration(revision="0002", down="0001", kind="expand")
BEFORE = Running(release=release("v1", "0001"), slot="blue")
PROMOTION = plan_promotion("dev", release("v2", "0002"), BEFORE, [MIGRATION], [])
KINDS = [step.kind for step in PROMOTION.steps]


class Recorder:
    """Steps that do nothing but tell; one of them may fail, before or within doing it."""

    def __init__(self, fails: str = "", error: BaseException | None = None, back: str = "") -> None:
        self.done: list[str] = []
        self._fails = fails
        self._error = error or Unhealthy("it failed")
        self._back = back
        self.undo_fails = ""

    def before(self, step: Step) -> dict[str, Any]:
        return {"of": step.kind}

    def do(self, step: Step, facts: dict[str, Any]) -> str:
        assert facts == {"of": step.kind}
        self.done.append(f"do {step.kind}")
        if step.kind == self._fails:
            raise self._error
        return "done"

    def undo(self, step: Step, facts: dict[str, Any]) -> str:
        assert facts == {"of": step.kind}
        self.done.append(f"undo {step.kind}")
        if step.kind == self.undo_fails:
            raise Unhealthy("cannot be undone")
        return "undone"

    def can_go_back(self, begun: list[Begun]) -> str:
        return self._back


def execute(plan: Plan, steps: Recorder, before: Running = BEFORE) -> tuple[Outcome, list[Entry]]:
    entries: list[Entry] = []
    outcome = Execution("key", steps, entries.append, lambda line: None).run(plan, before)
    return outcome, entries


def test_all_goes_well() -> None:
    steps = Recorder()
    outcome, entries = execute(PROMOTION, steps)
    assert outcome.verdict == "stable"
    assert steps.done == [f"do {kind}" for kind in KINDS]
    state = fold(entries)
    assert state.running == Running(release=PROMOTION.release, slot="green", warm=release("v1", "0001").id)
    assert state.unfinished is None


@pytest.mark.parametrize("fails", KINDS)
def test_a_failure_at_any_step_undoes_all_that_was_begun_in_reverse(fails: str) -> None:
    steps = Recorder(fails)
    outcome, entries = execute(PROMOTION, steps)
    begun = KINDS[: KINDS.index(fails) + 1]  # type: ignore[arg-type]
    assert steps.done == [f"do {kind}" for kind in begun] + [f"undo {kind}" for kind in reversed(begun)]
    assert outcome.verdict == ("rolled-back" if "switch" in begun else "failed")
    assert outcome.running == BEFORE
    assert fold(entries).running == BEFORE
    assert fold(entries).begun == []


def test_a_step_is_journalled_before_it_is_done() -> None:
    entries: list[Entry] = []

    class Killed(Recorder):
        def do(self, step: Step, facts: dict[str, Any]) -> str:
            assert entries[-1].event == "begin"
            assert entries[-1].facts == facts
            return super().do(step, facts)

    Execution("key", Killed(), entries.append, lambda line: None).run(PROMOTION, BEFORE)


def test_too_little_seen_holds_both_slots() -> None:
    steps = Recorder("watch", Inconclusive("too little"))
    outcome, _ = execute(PROMOTION, steps)
    assert outcome.verdict == "inconclusive"
    assert not [step for step in steps.done if step.startswith("undo")]
    assert outcome.running.slot == "green"
    assert outcome.running.warm == release("v1", "0001").id


def test_it_does_not_go_back_to_what_is_not_healthy() -> None:
    steps = Recorder("watch", back="it no longer runs")
    outcome, _ = execute(PROMOTION, steps)
    assert not [step for step in steps.done if step.startswith("undo")]
    assert outcome.error is not None
    assert outcome.error.reason == "rollback-refused"
    assert outcome.running.release == PROMOTION.release


def test_before_the_switch_it_does_not_ask_the_old_slot() -> None:
    outcome, _ = execute(PROMOTION, Recorder("verify", back="it no longer runs"))
    assert outcome.verdict == "failed"
    assert outcome.running == BEFORE


def test_a_cancelled_run_is_undone_too() -> None:
    outcome, _ = execute(PROMOTION, Recorder("watch", Interrupted("cancelled")))
    assert outcome.verdict == "rolled-back"
    assert outcome.error is not None
    assert outcome.error.reason == "interrupted"


def test_what_cannot_be_undone_does_not_keep_the_others_from_it() -> None:
    steps = Recorder("watch")
    steps.undo_fails = "migrate"
    outcome, entries = execute(PROMOTION, steps)
    assert steps.done[-1] == "undo prepare"
    assert outcome.error is not None
    assert outcome.error.reason == "unfinished"
    state = fold(entries)
    assert [begun.step.kind for begun in state.begun] == ["migrate"], "the next run tries again"
    steps.undo_fails = ""
    assert state.unfinished is not None
    recovery = Execution("key", steps, entries.append, lambda line: None)
    assert recovery.recover(state.unfinished, BEFORE, state.begun).running == BEFORE
    assert fold(entries).unfinished is None


def test_a_schema_that_cannot_go_down_leaves_traffic_on_the_older_release() -> None:
    running = Running(release=release("v2", "0002"), slot="green", warm=release("v1", "0001").id)
    plan = plan_rollback("dev", release("v1", "0001"), running, [MIGRATION])
    steps = Recorder("downgrade")
    outcome, _ = execute(plan, steps, running)
    assert outcome.verdict == "failed"
    assert outcome.running.release == plan.release
    assert not [step for step in steps.done if step.startswith("undo")]


@pytest.mark.parametrize("last", range(len(KINDS)))
def test_recovery_undoes_what_a_killed_run_had_begun(last: int) -> None:
    entries: list[Entry] = [Entry(at=0, deployment="key", event="plan", plan=PROMOTION)]
    for number in range(last + 1):
        facts = {"of": KINDS[number]}
        entries.append(Entry(at=0, deployment="key", event="begin", step=number, facts=facts))
    state = fold(entries)
    steps = Recorder()
    assert state.unfinished is not None
    recovery = Execution(state.deployment, steps, entries.append, lambda line: None)
    outcome = recovery.recover(state.unfinished, BEFORE, state.begun)
    assert steps.done == [f"undo {kind}" for kind in reversed(KINDS[: last + 1])]
    assert outcome.running == BEFORE
    assert fold(entries).unfinished is None


@pytest.mark.parametrize("fails", ["verify", "watch"])
def test_an_unexpected_error_is_undone_and_not_swallowed(fails: str) -> None:
    steps, entries = Recorder(fails, ZeroDivisionError()), list[Entry]()
    with pytest.raises(ZeroDivisionError):
        Execution("key", steps, entries.append, lambda line: None).run(PROMOTION, BEFORE)
    assert steps.done[-1] == "undo prepare"
    assert fold(entries).running == BEFORE
    assert fold(entries).unfinished is None


def test_every_expected_error_is_caught() -> None:
    for kind in CicdError.__subclasses__():
        outcome, _ = execute(PROMOTION, Recorder("prepare", kind("x")))
        assert outcome.verdict in ("failed", "inconclusive")
