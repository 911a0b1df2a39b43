"""What the journal of a target says: the file is written before and after every step, and folded here into a state."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from cicd.core.ledger import Verdict
from cicd.core.plan import Plan, Running, Step
from cicd.core.release import Release

Event = Literal["plan", "begin", "end", "undo", "undone", "close"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the journal.

    Attributes:
        at: seconds since the epoch.
        deployment: which attempt it belongs to.
        event: `plan` opens an attempt, `close` ends it; the others are about the step number `step` of the plan.
        facts: what must be known to undo the step, written before it is done.
        running: with `close`: what has the traffic from now on.
        verdict: with `close`.
    """

    at: float
    deployment: str
    event: Event
    plan: Plan | None = None
    step: int = -1
    facts: dict[str, Any] = {}
    running: Running | None = None
    verdict: Verdict | None = None
    error: str = ""


class Begun(msgspec.Struct, frozen=True):
    """A step that was begun and not undone, with what is needed to undo it."""

    step: Step
    facts: dict[str, Any]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where a target stands.

    Attributes:
        running: what has the traffic, by the last attempt that was closed.
        unfinished: the plan of an attempt that was never closed: a run was killed.
        deployment: the key of that attempt.
        begun: its steps to undo, in the order they were begun.
        history: releases that were stable here, newest first.
    """

    running: Running = Running()
    unfinished: Plan | None = None
    deployment: str = ""
    begun: list[Begun] = []
    history: list[Release] = []


def decode(text: str) -> list[Entry]:
    """The entries of a journal. A last line that was cut off by a crash is not an entry."""
    lines = text.split("\n")
    complete = lines[:-1]  # what follows the last newline was never finished
    return [msgspec.json.decode(line, type=Entry) for line in complete if line.strip()]


def encode(entry: Entry) -> str:
    """One line."""
    return msgspec.json.encode(entry).decode() + "\n"


def fold(entries: Iterable[Entry]) -> State:
    """The state that the entries lead to."""
    running, history = Running(), list[Release]()
    plan: Plan | None = None
    deployment, begun = "", dict[int, Begun]()
    for entry in entries:
        if entry.event == "plan":
            plan, deployment, begun = entry.plan, entry.deployment, {}
        elif entry.event == "begin" and plan:
            begun[entry.step] = Begun(plan.steps[entry.step], entry.facts)
        elif entry.event == "undone":
            begun.pop(entry.step, None)
        elif entry.event == "close":
            running = entry.running or running
            if entry.verdict == "stable" and running.release:
                release = running.release
                left = plan.replaces.id if plan and plan.kind == "rollback" and plan.replaces else ""
                history = [release, *(old for old in history if old.id not in (release.id, left))]
            elif entry.verdict == "rolled-back" and plan:
                history = [old for old in history if old.id != plan.release.id]
            plan, deployment, begun = None, "", {}
    return State(
        running=running,
        unfinished=plan,
        deployment=deployment,
        begun=[begun[number] for number in sorted(begun)],
        history=history,
    )
