"""Random histories of an environment, held against a plain model: ledger and journal must tell the same story."""

import itertools
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from cicd.core.journal import Entry, State, fold
from cicd.core.ledger import BY_HAND, Deployment, Payload, Verdict, current, last_healthy, poisoned, stable_images
from cicd.core.plan import Running, plan_promotion, plan_rollback
from cicd.core.release import Release
from tests.core.histories import release

VERSIONS = ("v1", "v2", "v3", "v4")
EVENTS = st.one_of(
    st.tuples(
        st.just("promote"), st.sampled_from(VERSIONS), st.sampled_from(("stable", "bad", "worse", "machine", "killed"))
    ),
    st.tuples(st.just("rollback"), st.just(""), st.sampled_from(("marked", "unmarked", "offline"))),
)


@dataclass
class History:
    """What happens is written to both; the model knows what is true.

    Attributes:
        stable: releases that were stable and not left or taken back since, newest first.
    """

    entries: list[Entry] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    running: Running = field(default_factory=Running)
    stable: list[Release] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def promote(self, version: str, how: str) -> None:
        made = release(version)
        if self.running.release and self.running.release.id == made.id:
            return
        verdict, note = {
            "stable": ("stable", "fine"),
            "bad": ("rolled-back", "unhealthy: it fails"),
            "worse": ("failed", "unhealthy: it never answered"),
            "machine": ("failed", "port-in-use: taken"),
            "killed": ("rolled-back", "interrupted: killed"),
        }[how]
        plan = plan_promotion("production", made, self.running, [], [])
        payload = Payload(kind="promote", release=made, release_id=made.id, key=str(next(self.numbers)))
        after = Running(release=made, slot="blue") if verdict == "stable" else self.running
        self._write(plan, payload, verdict, note, after)  # type: ignore[arg-type]
        if how == "stable":
            self.stable = [made, *(old for old in self.stable if old.id != made.id)]
        if how in ("bad", "worse"):
            self.stable = [old for old in self.stable if old.id != made.id]

    def rollback(self, how: str) -> None:
        if self.running.release is None or len(self.stable) < 2:
            return
        left, back = self.stable[0], self.stable[1]
        plan = plan_rollback("production", back, self.running, [])
        payload = Payload(
            kind="rollback", release=back, release_id=back.id, key=str(next(self.numbers)), replaces=left.id
        )
        self._write(plan, payload, "stable", f"back to {back.name}", Running(release=back, slot="green"))
        if how == "marked":
            number = next(entry.id for entry in self.deployments if entry.release.id == left.id)
            self.deployments = [self._rolled_back(one) if one.id == number else one for one in self.deployments]
        self.stable = self.stable[1:]

    def _write(self, plan: object, payload: Payload, verdict: Verdict, note: str, after: Running) -> None:
        opened = Entry(at=0, deployment=payload.key, event="plan", plan=plan, payload=payload)  # type: ignore[arg-type]
        closed = Entry(at=0, deployment=payload.key, event="close", verdict=verdict, running=after, note=note)
        self.entries += [opened, closed]
        number = int(payload.key)
        self.deployments.insert(
            0,
            Deployment(
                id=number,
                environment="production",
                created_at=f"{number:04}",
                verdict=verdict,
                note=note,
                payload=payload,
            ),
        )
        self.running = after

    def _rolled_back(self, one: Deployment) -> Deployment:
        return Deployment(
            id=one.id,
            environment=one.environment,
            created_at=one.created_at,
            verdict="rolled-back",
            note=f"{BY_HAND}: to another",
            payload=one.payload,
        )

    @property
    def state(self) -> State:
        return fold(self.entries)


def played(events: list[tuple[str, str, str]]) -> History:
    history = History()
    for kind, version, how in events:
        history.promote(version, how) if kind == "promote" else history.rollback(how)
    return history


@given(st.lists(EVENTS, max_size=30))
def test_ledger_and_journal_tell_what_runs(events: list[tuple[str, str, str]]) -> None:
    history = played(events)
    said = current(history.deployments, "production")
    running = history.running.release
    assert history.state.running.release == running
    assert (said.release if said else None) == running


@given(st.lists(EVENTS, max_size=30))
def test_both_go_back_to_the_same_release(events: list[tuple[str, str, str]]) -> None:
    history = played(events)
    if history.running.release is None:
        return
    here = history.running.release.id
    by_journal = [one for one in history.state.history if one.id != here]
    by_ledger = last_healthy(history.deployments, "production", here)
    assert by_journal == history.stable[1:]
    assert by_ledger[:1] == by_journal[:1]
    assert {one.id for one in by_ledger} == {one.id for one in by_journal}


@given(st.lists(EVENTS, max_size=30))
def test_what_is_gone_back_to_is_neither_poisoned_nor_what_runs(events: list[tuple[str, str, str]]) -> None:
    history = played(events)
    bad = poisoned(history.deployments, "production")
    here = history.running.release
    for one in last_healthy(history.deployments, "production", here.id if here else ""):
        assert one.content not in bad
        assert here is None or one.id != here.id
        assert one.image in stable_images(history.deployments, "production")
