"""The step interpreter that promote, rollback and recovery share.

It journals `begin` with all that is needed to undo a step, does the step, journals `end`. When a step fails it undoes
what was begun, in reverse, on the same code path that a recovery after a kill takes. A step that cannot be undone
leaves the attempt open in the journal: the next run tries again before it does anything else.

After a kill a promotion is undone, for nobody watched the release to the end; if only the last line is missing it
stands. A rollback is finished: somebody wanted to get away from what ran.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from cicd.adapters.together import interruptible, shielded
from cicd.core.journal import Attempt, Begun, Entry
from cicd.core.ledger import Payload, Verdict
from cicd.core.plan import Plan, Running, Step, settled
from cicd.errors import (
    CanaryInconclusive,
    CicdError,
    HostRefused,
    HostUnreachable,
    Inconclusive,
    Interrupted,
    JournalFailed,
    RollbackRefused,
    Unfinished,
)

Say = Callable[[str], None]
Hide = Callable[[str], str]
Journal = Callable[[Entry], None]
Facts = dict[str, Any]


class Steps(Protocol):
    """What each kind of step does to the world."""

    def before(self, step: Step) -> Facts:
        """What must be known to undo the step; looked up before it is done."""

    def do(self, step: Step, facts: Facts) -> str:
        """Do it; gives a few words on how it went."""

    def redo(self, step: Step, facts: Facts) -> str:
        """Do it again after a kill, whether it was done, in part, or not at all."""

    def undo(self, step: Step, facts: Facts) -> str:
        """Undo it, also when it was done only in part, or was undone already."""

    def can_go_back(self) -> str:
        """Whether what would be gone back to is healthy; empty if so, else why not."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a deployment ended.

    Attributes:
        verdict: of the planned release.
        running: what has the traffic now.
        error: why it is not stable; None when it is.
        note: the same for the ledger, in one line without secrets.
        seconds: of every step, by its words.
        rollback_seconds: from the verdict to verified traffic on the release before, when it went back.
    """

    verdict: Verdict
    running: Running
    error: CicdError | None = None
    note: str = ""
    seconds: dict[str, float] = {}
    rollback_seconds: float | None = None


class Execution:
    """One deployment under way. A signal cuts in while a step is done, and nowhere else."""

    def __init__(
        self, plan: Plan, before: Running, payload: Payload, steps: Steps, journal: Journal, say: Say, hide: Hide
    ) -> None:
        """
        Args:
            before: what ran when it began.
            payload: what the ledger is told of it.
            hide: takes secrets out of a text.
        """
        self._plan = plan
        self._before = before
        self._payload = payload
        self._steps = steps
        self._journal = journal
        self._say = say
        self._hide = hide
        self._begun: list[Begun] = []
        self._seconds: dict[str, float] = {}

    def run(self, number: int) -> Outcome:
        """Do the plan, or undo what was begun of it. Every end is journalled.

        Args:
            number: GitHub's of the deployment; 0 when GitHub was not reached.
        """
        with shielded():
            self._write("plan", plan=self._plan, payload=self._payload, number=number)
            return self._carry_on(self._do)

    def recover(self, attempt: Attempt) -> Outcome:
        """Finish or undo what a killed run left."""
        self._begun = list(attempt.begun)
        with shielded():
            if attempt.all_done:
                return self._close("stable", self._after())
            if self._plan.kind == "rollback":
                return self._carry_on(self._redo)
            return self._fail(Interrupted("The run before this one was killed", next_step="none is needed"))

    def _carry_on(self, do: Callable[[int, Step], None]) -> Outcome:
        try:
            for number, step in enumerate(self._plan.steps):
                do(number, step)
        except Inconclusive as error:
            return self._close("inconclusive", self._after(), error)
        except CicdError as error:
            return self._fail(error)
        except Exception as bug:  # also then no unproven code keeps the traffic; the bug itself is told by the caller
            self._fail(CicdError(f"An unexpected error: {type(bug).__name__}"))
            raise
        return self._close("stable", self._after())

    def _do(self, number: int, step: Step) -> None:
        started = time.monotonic()
        facts = self._steps.before(step)
        self._write("begin", step=number, facts=facts)
        self._begun.append(Begun(step, facts, number))
        with interruptible():
            how = self._steps.do(step, facts)
        self._write("end", step=number)
        self._begun[-1] = msgspec.structs.replace(self._begun[-1], ended=True)
        self._tell(str(step), how, started)

    def _redo(self, number: int, step: Step) -> None:
        known = next((begun for begun in self._begun if begun.number == number), None)
        if known is None:
            return self._do(number, step)
        started = time.monotonic()
        with interruptible():
            how = self._steps.redo(step, known.facts)
        self._write("end", step=number)
        return self._tell(str(step), how, started)

    def _fail(self, error: CicdError) -> Outcome:
        """Go back, unless what we would go back to is not healthy either."""
        verdict_at = time.monotonic()
        self._say(f"  ✗ {self._hide(str(error))}")
        switch = next((begun for begun in self._begun if begun.step.kind == "switch"), None)
        canary = any(begun.step.kind == "canary" for begun in self._begun)
        if switch and (why := self._why_stay()):
            refused = RollbackRefused(
                f"{error.what.rstrip('.')}; and the release before it is not healthy either: {why}",
                cause="nothing was switched, since there is nothing better to switch to",
                next_step="mend what both need (database, cache), or promote a release that works",
            )
            return self._close("failed", self._after(), refused)
        if self._plan.kind == "rollback" and any(begun.step.kind == "downgrade" for begun in self._begun):
            return self._close("failed", self._after(), error)  # traffic is where it should be
        back_at, stuck = self._undo()
        if stuck:
            unfinished = Unfinished(
                f"{error.what.rstrip('.')}; and not all of it could be undone: {'; '.join(stuck)}",
                cause=error.cause,
                next_step="mend what is named, then run it again: it goes on undoing first",
            )
            return Outcome(verdict="failed", running=self._before, error=unfinished, seconds=self._seconds)
        # A switch that failed by itself has shown the release to nobody; one that a kill cut off may have.
        met_users = switch is not None and (switch.ended or isinstance(error, Interrupted))
        met_users |= canary and not isinstance(error, CanaryInconclusive)
        verdict: Verdict = "rolled-back" if met_users else "failed"
        seconds = back_at - verdict_at if met_users and back_at and self._before.release else None
        return self._close(verdict, self._before, error, seconds)

    def _why_stay(self) -> str:
        """Why not to go back; empty if the release before is well."""
        try:
            return self._steps.can_go_back()
        except (CicdError, OSError, ValueError) as error:
            return f"it cannot be asked: {error}"

    def _undo(self) -> tuple[float | None, list[str]]:
        """Undo in reverse; gives when traffic was back, if it had left, and what could not be undone."""
        back_at, stuck = None, list[str]()
        for begun in reversed(self._begun):
            started = time.monotonic()
            self._try_to_write("undo", step=begun.number)
            try:
                how = self._steps.undo(begun.step, begun.facts)
            except Exception as error:  # whatever it is, the others still must be undone
                said = self._hide(str(error) or type(error).__name__)
                self._say(f"  ! could not undo {begun.step}: {said}")
                stuck.append(f"{begun.step}: {said}")
                self._try_to_write("undo", step=begun.number, error=said)
                continue
            self._try_to_write("undone", step=begun.number)
            if how:
                self._tell(f"undo {begun.step}", how, started)
            if begun.step.kind in ("canary", "switch") and back_at is None:
                back_at = time.monotonic()
        return back_at, stuck

    def _after(self) -> Running:
        """The planned release has the traffic; the one before stays warm in the other slot."""
        slot = next(step.slot for step in self._plan.steps if step.kind == "switch")
        left = self._before.release
        return Running(release=self._plan.release, slot=slot, warm=left.id if left else "")

    def _close(
        self, verdict: Verdict, running: Running, error: CicdError | None = None, rollback: float | None = None
    ) -> Outcome:
        note = f"{error.reason}: {self._hide(error.what.partition(chr(10))[0])}" if error else settled(self._plan)
        try:
            self._write("close", running=running, verdict=verdict, note=note)
        except JournalFailed as failed:
            error, note = failed, failed.reason
        return Outcome(
            verdict=verdict,
            running=running,
            error=error,
            note=note,
            seconds=self._seconds,
            rollback_seconds=rollback,
        )

    def _tell(self, what: str, how: str, started: float) -> None:
        seconds = time.monotonic() - started
        self._seconds[what] = round(seconds, 3)
        self._say(f"  ✓ {what}: {self._hide(how)} ({seconds:.2f} s)")

    def _try_to_write(self, event: str, **values: Any) -> None:
        """For lines without which a recovery only undoes once more: a full disk must not keep us from going back."""
        with contextlib.suppress(JournalFailed):
            self._write(event, **values)

    def _write(self, event: str, **values: Any) -> None:
        entry = Entry(at=time.time(), deployment=self._payload.key, event=event, **values)  # type: ignore[arg-type]
        try:
            self._journal(entry)
        except (OSError, HostUnreachable, HostRefused) as error:
            raise JournalFailed(
                f"The journal cannot be written: {error}",
                cause="the disk is full, the folder is not ours, or its host is away",
                next_step="free disk space, then run it again: what is half done is undone first",
            ) from error
