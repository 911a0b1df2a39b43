"""The step interpreter that promote, rollback and recovery share.

It journals `begin` with all that is needed to undo a step, does the step, journals `end`. When a step fails it undoes
what was begun, in reverse, on the same code path that a recovery after a kill takes. A step that cannot be undone
leaves the attempt open in the journal: the next run tries again before it does anything else.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from cicd.core.journal import Begun, Entry
from cicd.core.ledger import Verdict
from cicd.core.plan import Plan, Running, Step
from cicd.errors import CicdError, Inconclusive, Interrupted, RollbackRefused, Unfinished

Say = Callable[[str], None]
Facts = dict[str, Any]


class Steps(Protocol):
    """What each kind of step does to the world."""

    def before(self, step: Step) -> Facts:
        """What must be known to undo the step; looked up before it is done."""

    def do(self, step: Step, facts: Facts) -> str:
        """Do it; gives a few words on how it went."""

    def undo(self, step: Step, facts: Facts) -> str:
        """Undo it, also when it was done only in part, or was undone already."""

    def can_go_back(self, begun: list[Begun]) -> str:
        """Whether what would be gone back to is healthy; empty if so, else why not."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a deployment ended.

    Attributes:
        verdict: of the planned release.
        running: what has the traffic now.
        error: why it is not stable; None when it is.
        seconds: of every step, by its words.
        rollback_seconds: from the verdict to verified traffic on the release before, when it went back.
    """

    verdict: Verdict
    running: Running
    error: CicdError | None = None
    seconds: dict[str, float] = {}
    rollback_seconds: float | None = None


class Execution:
    """One deployment under way."""

    def __init__(self, key: str, steps: Steps, journal: Callable[[Entry], None], say: Say) -> None:
        self._key = key
        self._steps = steps
        self._journal = journal
        self._say = say
        self._begun: list[tuple[int, Begun]] = []
        self._seconds: dict[str, float] = {}

    def run(self, plan: Plan, before: Running) -> Outcome:
        """Do the plan, or undo what was begun of it. Every end is journalled."""
        self._write("plan", plan=plan)
        try:
            for number, step in enumerate(plan.steps):
                self._do(number, step)
        except Inconclusive as error:
            return self._close("inconclusive", self._now_running(plan, before), error)
        except CicdError as error:
            return self._fail(plan, before, error)
        except Exception as bug:  # also then no unproven code keeps the traffic; the bug itself is told by the caller
            self._fail(plan, before, CicdError(f"An unexpected error: {type(bug).__name__}"))
            raise
        return self._close("stable", self._now_running(plan, before))

    def recover(self, plan: Plan, before: Running, begun: list[Begun]) -> Outcome:
        """Undo what a killed run left of `plan`."""
        numbers = {id(entry): plan.steps.index(entry.step) for entry in begun}
        self._begun = [(numbers[id(entry)], entry) for entry in begun]
        return self._fail(plan, before, Interrupted("The run before this one was killed", next_step="none is needed"))

    def _do(self, number: int, step: Step) -> None:
        started = time.monotonic()
        facts = self._steps.before(step)
        self._write("begin", step=number, facts=facts)
        self._begun.append((number, Begun(step, facts)))
        how = self._steps.do(step, facts)
        self._write("end", step=number)
        self._tell(str(step), how, started)

    def _fail(self, plan: Plan, before: Running, error: CicdError) -> Outcome:
        """Go back, unless what we would go back to is not healthy either."""
        verdict_at = time.monotonic()
        self._say(f"  ✗ {error}")
        begun = [entry for _, entry in self._begun]
        switched = any(entry.step.kind == "switch" for entry in begun)
        if switched and (why := self._steps.can_go_back(begun)):
            refused = RollbackRefused(
                f"{error.what.rstrip('.')}; and the release before it is not healthy either: {why}",
                cause="nothing was switched, since there is nothing better to switch to",
                next_step="mend what both need (database, cache), or promote a release that works",
            )
            return self._close("failed", self._now_running(plan, before), refused)
        if plan.kind == "rollback" and any(entry.step.kind == "downgrade" for entry in begun):
            return self._close("failed", self._now_running(plan, before), error)  # traffic is where it should be
        back_at, stuck = self._undo()
        if stuck:
            unfinished = Unfinished(
                f"{error.what.rstrip('.')}; and not all of it could be undone: {'; '.join(stuck)}",
                cause=error.cause,
                next_step="mend what is named, then run it again: it goes on undoing first",
            )
            return Outcome(verdict="failed", running=before, error=unfinished, seconds=self._seconds)
        verdict: Verdict = "rolled-back" if switched else "failed"
        seconds = back_at - verdict_at if switched and back_at and before.release else None
        return self._close(verdict, before, error, seconds)

    def _undo(self) -> tuple[float | None, list[str]]:
        """Undo in reverse; gives when traffic was back, if it had left, and what could not be undone."""
        back_at, stuck = None, list[str]()
        for number, entry in reversed(self._begun):
            started = time.monotonic()
            self._write("undo", step=number)
            try:
                how = self._steps.undo(entry.step, entry.facts)
            except (CicdError, OSError) as error:
                self._say(f"  ! could not undo {entry.step}: {error}")  # the others still must be undone
                stuck.append(f"{entry.step}: {error}")
                self._write("undo", step=number, error=str(error))
                continue
            self._write("undone", step=number)
            if how:
                self._tell(f"undo {entry.step}", how, started)
            if entry.step.kind == "switch":
                back_at = time.monotonic()
        return back_at, stuck

    def _now_running(self, plan: Plan, before: Running) -> Running:
        """The planned release has the traffic; the one before stays warm in the other slot."""
        slot = next(step.slot for step in plan.steps if step.kind == "switch")
        return Running(release=plan.release, slot=slot, warm=before.release.id if before.release else "")

    def _close(
        self, verdict: Verdict, running: Running, error: CicdError | None = None, rollback: float | None = None
    ) -> Outcome:
        self._write("close", running=running, verdict=verdict, error=str(error) if error else "")
        return Outcome(verdict=verdict, running=running, error=error, seconds=self._seconds, rollback_seconds=rollback)

    def _tell(self, what: str, how: str, started: float) -> None:
        seconds = time.monotonic() - started
        self._seconds[what] = round(seconds, 3)
        self._say(f"  ✓ {what}: {how} ({seconds:.2f} s)")

    def _write(self, event: str, **values: Any) -> None:
        self._journal(Entry(at=time.time(), deployment=self._key, event=event, **values))  # type: ignore[arg-type]
