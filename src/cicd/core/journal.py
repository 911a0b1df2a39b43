"""What the journal of a target says: the file is written before and after every step, and folded here into a state.

The journal is what happened; the ledger on GitHub mirrors it. What could not be written there, a later run writes.
"""

import statistics
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from cicd.core.ledger import Payload, Verdict, speaks_against
from cicd.core.plan import Plan, Running, Step
from cicd.core.release import Release

FORMAT = 1  # of a line; a line of a later format stops an older cicd, which would not know what it undoes
Event = Literal["plan", "begin", "end", "undo", "undone", "close", "recorded"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the journal.

    Attributes:
        at: seconds since the epoch.
        deployment: the key of the attempt that it belongs to.
        event: `plan` opens an attempt, `close` ends it, `recorded` says that the ledger has its verdict; the others are
            about the step number `step` of the plan.
        fence: token of the lock under which it was written; it never goes down.
        plan: with `plan`.
        payload: with `plan`: what the ledger is told.
        number: with `plan`: GitHub's number of the deployment; 0 when GitHub was not reached.
        facts: what must be known to undo the step, written before it is done.
        running: with `close`: what has the traffic from now on.
        verdict: with `close`.
        note: with `close`: what the ledger is told of it; a failure begins with its reason code.
        error: with `undo`: why the step could not be undone.
    """

    at: float
    deployment: str
    event: Event
    fence: int = 0
    plan: Plan | None = None
    payload: Payload | None = None
    number: int = 0
    step: int = -1
    facts: dict[str, Any] = {}
    running: Running | None = None
    verdict: Verdict | None = None
    note: str = ""
    error: str = ""


class Begun(msgspec.Struct, frozen=True):
    """A step that was begun and not undone, with what is needed to undo it.

    Attributes:
        ended: whether it was done to its end.
        undoing: whether somebody has begun to undo it.
    """

    step: Step
    facts: dict[str, Any]
    number: int
    ended: bool = False
    undoing: bool = False


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that was never closed: its run was killed, or could not undo all of it.

    Attributes:
        plan: what it was to do.
        payload: what the ledger was told, or is to be told.
        number: GitHub's number of the deployment; 0 when GitHub was not reached.
        begun: its steps to undo, in the order they were begun.
    """

    plan: Plan
    payload: Payload
    number: int
    begun: list[Begun]

    @property
    def all_done(self) -> bool:
        """Whether every step came to its end: only the `close` is missing."""
        return len(self.begun) == len(self.plan.steps) and all(begun.ended for begun in self.begun)


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt with a verdict of which the ledger may not know yet."""

    payload: Payload
    number: int
    verdict: Verdict
    note: str


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where a target stands.

    Attributes:
        running: what has the traffic, by the last attempt that was closed.
        unfinished: the attempt that was never closed.
        history: releases that were stable here, newest first.
        unrecorded: attempts that were closed and not recorded in the ledger, oldest first.
        fence: the highest token that an entry was written under.
    """

    running: Running = Running()
    unfinished: Attempt | None = None
    history: list[Release] = []
    unrecorded: list[Closed] = []
    fence: int = 0


class NotAJournal(ValueError):
    """The lines are entries, and no cicd writes them in this order."""


class NewerFormat(ValueError):
    """The journal was written by a later cicd."""


def decode(text: str) -> list[Entry]:
    """The entries of a journal. A last line that was cut off by a crash is not an entry.

    Raises:
        msgspec.MsgspecError: a line is not an entry. NewerFormat.
    """
    lines = text.split("\n")
    complete = lines[:-1]  # what follows the last newline was never finished
    return [_entry(line) for line in complete if line.strip()]


def _entry(line: str) -> Entry:
    about = msgspec.json.decode(line, type=dict[str, Any])
    written = about.pop("format", FORMAT)
    if written != FORMAT:
        raise NewerFormat(f"a line has format {written!r}, and this cicd knows {FORMAT}")
    return msgspec.convert(about, Entry)


def encode(entry: Entry) -> str:
    """One line."""
    return msgspec.json.encode({"format": FORMAT, **msgspec.to_builtins(entry)}).decode() + "\n"


def fold(entries: Iterable[Entry]) -> State:
    """The state that the entries lead to. Raises NotAJournal."""
    folding = _Folding()
    for entry in entries:
        folding.take(entry)
    return folding.state()


class _Folding:
    """A state in the making."""

    def __init__(self) -> None:
        self._running = Running()
        self._history: list[Release] = []
        self._opened: Entry | None = None
        self._begun: dict[int, Begun] = {}
        self._unrecorded: dict[str, Closed] = {}
        self._fence = 0

    def take(self, entry: Entry) -> None:
        self._fence = max(self._fence, entry.fence)
        if entry.event == "recorded":
            self._unrecorded.pop(entry.deployment, None)
        elif entry.event == "plan":
            self._opened, self._begun = _opening(entry), {}
        elif self._opened is None or self._opened.plan is None:
            return
        elif entry.event == "begin":
            self._begun[entry.step] = Begun(_step(self._opened.plan, entry.step), entry.facts, entry.step)
        elif entry.event == "end" and entry.step in self._begun:
            self._begun[entry.step] = msgspec.structs.replace(self._begun[entry.step], ended=True)
        elif entry.event == "undo" and entry.step in self._begun:
            self._begun[entry.step] = msgspec.structs.replace(self._begun[entry.step], undoing=True)
        elif entry.event == "undone":
            self._begun.pop(entry.step, None)
        elif entry.event == "close":
            self._close(entry, self._opened, self._opened.plan)

    def _close(self, entry: Entry, opened: Entry, plan: Plan) -> None:
        self._running = entry.running or self._running
        if entry.verdict == "stable" and self._running.release:
            release = self._running.release
            left = plan.replaces.id if plan.kind == "rollback" and plan.replaces else ""
            self._history = [release, *(old for old in self._history if old.id not in (release.id, left))]
        elif entry.verdict and speaks_against(plan.kind, entry.verdict, entry.note):
            self._history = [old for old in self._history if old.id != plan.release.id]
        if opened.payload and entry.verdict:
            self._unrecorded[opened.deployment] = Closed(
                payload=opened.payload, number=opened.number, verdict=entry.verdict, note=entry.note
            )
        self._opened, self._begun = None, {}

    def state(self) -> State:
        attempt = None
        if self._opened and self._opened.plan and self._opened.payload:
            attempt = Attempt(
                plan=self._opened.plan,
                payload=self._opened.payload,
                number=self._opened.number,
                begun=[self._begun[number] for number in sorted(self._begun)],
            )
        return State(
            running=self._running,
            unfinished=attempt,
            history=self._history,
            unrecorded=list(self._unrecorded.values()),
            fence=self._fence,
        )


def _opening(entry: Entry) -> Entry:
    """An entry that opens an attempt which can be ended. Raises NotAJournal."""
    if entry.plan is None or entry.payload is None or not any(step.kind == "switch" for step in entry.plan.steps):
        raise NotAJournal(f"{entry.deployment} has no whole plan")
    return entry


def _step(plan: Plan, number: int) -> Step:
    if not 0 <= number < len(plan.steps):
        raise NotAJournal(f"it names step {number}, which its plan does not have")
    return plan.steps[number]


def rerouted_at(entries: Iterable[Entry]) -> float:
    """When traffic was last sent elsewhere, in seconds since 1970; 0 for never."""
    steps, last = list[Step](), 0.0
    for entry in entries:
        if entry.plan:
            steps = entry.plan.steps
        if 0 <= entry.step < len(steps) and steps[entry.step].kind in ("canary", "switch"):
            last = max(last, entry.at)
    return last


RECENT = 20  # durations of which the median is taken


def durations(entries: Iterable[Entry]) -> dict[str, float]:
    """Seconds that each kind of step took here lately, and `undo <kind>`: the median of the last RECENT."""
    took: dict[str, list[float]] = {}
    steps: list[Step] = []
    begun: dict[tuple[str, int], float] = {}
    for entry in entries:
        if entry.plan:
            steps = entry.plan.steps
        if not 0 <= entry.step < len(steps):
            continue
        kind, done = steps[entry.step].kind, {"end": "begin", "undone": "undo"}.get(entry.event)
        if done and (since := begun.pop((done, entry.step), None)) is not None:
            took.setdefault(kind if done == "begin" else f"undo {kind}", []).append(entry.at - since)
        elif entry.event in ("begin", "undo"):
            begun[entry.event, entry.step] = entry.at
    return {kind: round(statistics.median(values[-RECENT:]), 2) for kind, values in took.items()}
