from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cicd.core.compaction import parted
from cicd.core.journal import RECENT, Entry, decode, durations, encode, fold, rerouted_at
from cicd.core.ledger import BLAMED, Payload, Verdict
from cicd.core.plan import Running, plan_promotion, plan_rollback
from tests.core.histories import release

OFTEN = 3 * RECENT


class Told(NamedTuple):
    """An attempt: what it brought, how it ended, how many of its steps were done, whether the ledger knows it."""

    version: int
    verdict: Verdict | None = "stable"
    back: bool = False
    steps: int = 4
    recorded: bool = True


def journal(attempts: list[Told]) -> list[Entry]:
    """All that a target would have written."""
    entries, running, at = list[Entry](), Running(), 0.0

    def write(key: str, event: str, **values: object) -> None:
        nonlocal at
        at += 1 + len(entries) % 7
        entries.append(Entry(at=at, deployment=key, event=event, fence=len(entries) // 9, **values))  # type: ignore[arg-type]

    for number, told in enumerate(attempts):
        new, key = release(f"v{told.version}"), f"run/{number}"
        plan = plan_rollback("dev", new, running, []) if told.back else plan_promotion("dev", new, running, [], [])
        payload = Payload(kind=plan.kind, release=new, release_id=new.id, key=key)
        write(key, "plan", plan=plan, payload=payload, number=number)
        done = range(min(told.steps, len(plan.steps)))
        for step in done:
            write(key, "begin", step=step)
            write(key, "end", step=step)
        if told.verdict is None:
            continue
        if told.verdict == "stable":
            running = Running(release=new, slot="blue")
        else:
            for step in reversed(done):
                write(key, "undo", step=step)
                write(key, "undone", step=step)
        note = "" if told.verdict == "stable" else f"{min(BLAMED)}: x"
        write(key, "close", running=running, verdict=told.verdict, note=note)
        if told.recorded:
            write(key, "recorded", number=number)
    return entries


def told(entries: list[Entry]) -> list[str]:
    return [encode(entry).rstrip("\n") for entry in entries]


ATTEMPTS = st.builds(
    Told,
    version=st.integers(0, 5),
    verdict=st.sampled_from(["stable", "stable", "failed", "rolled-back", None]),
    back=st.booleans(),
    steps=st.integers(0, 9),
    recorded=st.sampled_from([True, True, True, False]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ATTEMPTS, min_size=1, max_size=12), st.integers(1, 12), st.sets(st.integers(0, 5)))
def test_what_stays_says_what_the_whole_said(some: list[Told], times: int, versions: set[int]) -> None:
    entries = journal(some * times)
    lying = {release(f"v{version}").id for version in versions}
    parts = parted(told(entries), entries, lying)
    if parts is None:
        return
    stays, goes = (decode(part) for part in parts)
    assert sorted(stays + goes, key=lambda entry: entry.at) == entries, "nothing is lost, and all is in its order"
    assert not {entry.deployment for entry in stays} & {entry.deployment for entry in goes}
    before, after = fold(entries), fold(stays)
    assert replace(after, history=[]) == replace(before, history=[])
    assert [one for one in after.history if one.id in lying] == [one for one in before.history if one.id in lying]
    assert durations(stays) == durations(entries)
    assert rerouted_at(stays) == rerouted_at(entries)


def test_what_nobody_needs_goes() -> None:
    """Each attempt brings another release; two old ones still lie there, one attempt waits for the ledger."""
    attempts = [Told(number) for number in range(OFTEN * 3)]
    attempts[5] = Told(5, recorded=False)
    entries = journal(attempts)
    parts = parted(told(entries), entries, {release(f"v{number}").id for number in (9, OFTEN, OFTEN * 3 - 1)})
    assert parts
    stays = dict.fromkeys(int(entry.deployment.partition("/")[2]) for entry in decode(parts[0]))
    assert [*stays] == [5, 9, OFTEN, *range(OFTEN * 3 - RECENT, OFTEN * 3)]


def test_an_attempt_that_was_never_closed_stays() -> None:
    entries = journal([*(Told(number) for number in range(OFTEN)), Told(OFTEN, None, steps=2)])
    parts = parted(told(entries), entries, set())
    assert parts
    assert fold(decode(parts[0])).unfinished == fold(entries).unfinished is not None


def test_where_little_would_go_nothing_does() -> None:
    entries = journal([Told(number) for number in range(RECENT + 2)])
    assert parted(told(entries), entries, set()) is None
    assert parted([], [], set()) is None
    entries = journal([Told(number, recorded=False) for number in range(OFTEN)])
    assert parted(told(entries), entries, set()) is None


def test_a_line_stays_as_it_was_written() -> None:
    """Another cicd may know more of it."""
    entries = journal([Told(number) for number in range(OFTEN)])
    lines = [line.replace('"format":1', '"format":1,"more":"ü"') for line in told(entries)]
    parts = parted(lines, entries, set())
    assert parts
    assert [*parts[1].splitlines(), *parts[0].splitlines()] == lines
