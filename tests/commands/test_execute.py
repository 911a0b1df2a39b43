"""The interpreter: what is done, undone and journalled, for a failure at every step."""

import os
import signal
from typing import Any

import pytest

from cicd.adapters.together import interruptible
from cicd.commands.execute import Execution, Outcome
from cicd.core.journal import Entry, fold
from cicd.core.ledger import Payload
from cicd.core.migrations import Migration
from cicd.core.plan import Plan, Running, Step, plan_promotion, plan_rollback
from cicd.errors import CicdError, Inconclusive, Interrupted, JournalFailed, Unhealthy
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

    def redo(self, step: Step, facts: dict[str, Any]) -> str:
        self.done.append(f"redo {step.kind}")
        return "done again"

    def undo(self, step: Step, facts: dict[str, Any]) -> str:
        assert facts == {"of": step.kind}
        self.done.append(f"undo {step.kind}")
        if step.kind == self.undo_fails:
            raise Unhealthy("cannot be undone")
        return "undone"

    def can_go_back(self) -> str:
        return self._back


def execute(plan: Plan, steps: Recorder, before: Running = BEFORE) -> tuple[Outcome, list[Entry]]:
    entries: list[Entry] = []
    return execution(plan, steps, entries, before).run(7), entries


def execution(plan: Plan, steps: Recorder, entries: list[Entry], before: Running = BEFORE) -> Execution:
    payload = Payload(kind=plan.kind, release=plan.release, release_id=plan.release.id, key="key")
    return Execution(plan, before, payload, steps, entries.append, lambda line: None, str)


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
    assert outcome.verdict == ("rolled-back" if fails == "watch" else "failed")
    assert outcome.running == BEFORE
    assert fold(entries).running == BEFORE
    assert fold(entries).unfinished is None


def test_a_step_is_journalled_before_it_is_done() -> None:
    entries: list[Entry] = []

    class Killed(Recorder):
        def do(self, step: Step, facts: dict[str, Any]) -> str:
            assert entries[-1].event == "begin"
            assert entries[-1].facts == facts
            return super().do(step, facts)

    execution(PROMOTION, Killed(), entries).run(7)


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
    assert outcome.error is not None
    assert outcome.error.reason == "unfinished"
    state = fold(entries)
    assert state.unfinished is not None
    left = [begun.step.kind for begun in state.unfinished.begun]
    assert left == ["prepare", "migrate"], "the next run tries again, and needs the release for it"
    steps.undo_fails = ""
    assert execution(PROMOTION, steps, entries).recover(state.unfinished).running == BEFORE
    assert fold(entries).unfinished is None


def test_a_schema_that_cannot_go_down_leaves_traffic_on_the_older_release() -> None:
    running = Running(release=release("v2", "0002"), slot="green", warm=release("v1", "0001").id)
    plan = plan_rollback("dev", release("v1", "0001"), running, [MIGRATION])
    steps = Recorder("downgrade")
    outcome, _ = execute(plan, steps, running)
    assert outcome.verdict == "failed"
    assert outcome.running.release == plan.release
    assert not [step for step in steps.done if step.startswith("undo")]


def killed(plan: Plan, begun: int, ended: int) -> list[Entry]:
    """The journal of a run that was killed after it had begun and ended so many steps."""
    payload = Payload(kind=plan.kind, release=plan.release, release_id=plan.release.id, key="key")
    entries = [Entry(at=0, deployment="key", event="plan", plan=plan, payload=payload, number=7)]
    for number, step in enumerate(plan.steps[:begun]):
        entries.append(Entry(at=0, deployment="key", event="begin", step=number, facts={"of": step.kind}))
        if number < ended:
            entries.append(Entry(at=0, deployment="key", event="end", step=number))
    return entries


@pytest.mark.parametrize("begun", range(1, len(KINDS) + 1))
@pytest.mark.parametrize("open_steps", [0, 1])
def test_recovery_undoes_what_a_killed_promotion_had_begun(begun: int, open_steps: int) -> None:
    entries = killed(PROMOTION, begun, begun - open_steps)
    attempt, steps = fold(entries).unfinished, Recorder()
    assert attempt is not None
    outcome = execution(PROMOTION, steps, entries).recover(attempt)
    assert fold(entries).unfinished is None
    if attempt.all_done:
        assert (outcome.verdict, steps.done) == ("stable", []), "only the last line was missing"
        return
    assert steps.done == [f"undo {kind}" for kind in reversed(KINDS[:begun])]
    assert outcome.running == BEFORE
    assert outcome.verdict == ("rolled-back" if "switch" in KINDS[:begun] else "failed")


RUNNING = Running(release=release("v2", "0002"), slot="green")
ROLLBACK = plan_rollback("dev", release("v1", "0001"), RUNNING, [MIGRATION])
BACK = [step.kind for step in ROLLBACK.steps]


@pytest.mark.parametrize("begun", range(len(BACK) + 1))
@pytest.mark.parametrize("open_steps", [0, 1])
def test_recovery_finishes_a_killed_rollback(begun: int, open_steps: int) -> None:
    entries = killed(ROLLBACK, begun, begun - open_steps)
    attempt, steps = fold(entries).unfinished, Recorder()
    assert attempt is not None
    outcome = execution(ROLLBACK, steps, entries, RUNNING).recover(attempt)
    assert outcome.verdict == "stable"
    assert outcome.running.release == ROLLBACK.release
    if not attempt.all_done:
        assert steps.done == [f"redo {kind}" for kind in BACK[:begun]] + [f"do {kind}" for kind in BACK[begun:]]
    assert fold(entries).unfinished is None


def test_a_rollback_that_cannot_be_finished_is_undone() -> None:
    entries = killed(ROLLBACK, 1, 1)
    attempt = fold(entries).unfinished
    assert attempt is not None
    steps = Recorder("verify")
    outcome = execution(ROLLBACK, steps, entries, RUNNING).recover(attempt)
    assert (outcome.verdict, outcome.running) == ("failed", RUNNING)
    assert steps.done == ["redo start", "do verify", "undo verify", "undo start"]


@pytest.mark.parametrize(("error", "verdict"), [(Unhealthy("x"), "failed"), (Interrupted("x"), "rolled-back")])
def test_a_switch_that_fails_by_itself_has_shown_the_release_to_nobody(error: CicdError, verdict: str) -> None:
    outcome, _ = execute(PROMOTION, Recorder("switch", error))
    assert outcome.verdict == verdict


def test_an_attempt_is_unrecorded_until_the_ledger_has_it() -> None:
    _, entries = execute(PROMOTION, Recorder("watch"))
    closed = fold(entries).unrecorded
    assert [(one.number, one.verdict, one.note) for one in closed] == [(7, "rolled-back", "unhealthy: it failed")]
    assert fold([*entries, Entry(at=0, deployment="key", event="recorded")]).unrecorded == []


@pytest.mark.parametrize("fails", ["verify", "watch"])
def test_an_unexpected_error_is_undone_and_not_swallowed(fails: str) -> None:
    steps, entries = Recorder(fails, ZeroDivisionError()), list[Entry]()
    with pytest.raises(ZeroDivisionError):
        execution(PROMOTION, steps, entries).run(7)
    assert steps.done[-1] == "undo prepare"
    assert fold(entries).running == BEFORE
    assert fold(entries).unfinished is None


def test_every_expected_error_is_caught() -> None:
    for kind in CicdError.__subclasses__():
        outcome, _ = execute(PROMOTION, Recorder("prepare", kind("x")))
        assert outcome.verdict in ("failed", "inconclusive")


@pytest.mark.parametrize("lines", range(20))
def test_a_disk_that_gets_full_does_not_keep_it_from_going_back(lines: int) -> None:
    """From any line of the journal on nothing can be written: what was begun is undone; a recovery may do it again."""
    entries, steps = list[Entry](), Recorder("watch")

    def write(entry: Entry) -> None:
        if len(entries) >= lines:
            raise OSError(28, "No space left on device")
        entries.append(entry)

    payload = Payload(kind="promote", release=PROMOTION.release, release_id=PROMOTION.release.id, key="key")
    full = Execution(PROMOTION, BEFORE, payload, steps, write, lambda line: None, str)
    if lines == 0:
        with pytest.raises(JournalFailed):
            full.run(7)
        assert steps.done == []
        return
    outcome = full.run(7)
    begun = [step.removeprefix("do ") for step in steps.done if step.startswith("do ")]
    assert steps.done[len(begun) :] == [f"undo {kind}" for kind in reversed(begun)]
    assert outcome.running == BEFORE
    attempt = fold(entries).unfinished
    assert attempt is not None
    assert execution(PROMOTION, Recorder(), entries).recover(attempt).running == BEFORE
    assert fold(entries).unfinished is None


def test_a_slot_that_cannot_be_asked_is_not_gone_back_to() -> None:
    class Deaf(Recorder):
        def can_go_back(self) -> str:
            raise ValueError("its file is damaged")

    outcome, _ = execute(PROMOTION, Deaf("watch"))
    assert outcome.error is not None
    assert outcome.error.reason == "rollback-refused"
    assert "its file is damaged" in str(outcome.error)


def test_an_undo_that_hits_a_bug_does_not_keep_the_others_from_it() -> None:
    class Buggy(Recorder):
        def undo(self, step: Step, facts: dict[str, Any]) -> str:
            super().undo(step, facts)
            if step.kind == "verify":
                raise KeyError("x")
            return "undone"

    steps = Buggy("watch")
    outcome, _ = execute(PROMOTION, steps)
    assert steps.done[-1] == "undo migrate", "all but the release itself, which the next run needs"
    assert outcome.error is not None
    assert outcome.error.reason == "unfinished"


@pytest.mark.parametrize("moment", ["said", "undone"])
def test_a_signal_does_not_cut_an_undo_off(moment: str) -> None:
    class Signalled(Recorder):
        def undo(self, step: Step, facts: dict[str, Any]) -> str:
            if moment == "undone":
                os.kill(os.getpid(), signal.SIGTERM)
            return super().undo(step, facts)

    def say(line: str) -> None:
        if moment == "said" and "✗" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    steps, entries = Signalled("watch"), list[Entry]()
    payload = Payload(kind="promote", release=PROMOTION.release, release_id=PROMOTION.release.id, key="key")
    with interruptible():
        outcome = Execution(PROMOTION, BEFORE, payload, steps, entries.append, say, str).run(7)
    assert steps.done[-1] == "undo prepare"
    assert outcome.verdict == "rolled-back"


def test_a_signal_between_two_steps_is_heard_at_the_next() -> None:
    class Signalled(Recorder):
        def before(self, step: Step) -> dict[str, Any]:
            if step.kind == "verify":
                os.kill(os.getpid(), signal.SIGTERM)
            return super().before(step)

    steps = Signalled()
    outcome, _ = execute(PROMOTION, steps)
    assert outcome.error is not None
    assert outcome.error.reason == "interrupted"
    assert "do verify" not in steps.done
