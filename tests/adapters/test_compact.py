"""A long journal is made shorter, and whoever is killed meanwhile loses nothing of it."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters.compact import compact
from cicd.adapters.host import Fenced
from cicd.adapters.target import Target
from cicd.core.compaction import parted
from cicd.core.journal import decode, durations, encode, fold
from tests.core.test_compaction import OFTEN, Told, journal

ENTRIES = journal([Told(number) for number in range(OFTEN)])
TEXT = "".join(map(encode, ENTRIES))
PLACES = {line: place for place, line in enumerate(TEXT.splitlines())}
EFFECTS = ((os, "open"), (os, "fchmod"), (os, "fsync"), (Path, "replace"), (Path, "unlink"))


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setattr("cicd.adapters.compact.LARGE", 1000)
    made = Target(tmp_path, "app", "dev")
    (made.make() / "journal.jsonl").write_text(TEXT)
    (made.folder / "fence").write_text("7")
    return made


def lines(target: Target) -> list[str]:
    """All that is known, each line once."""
    found = [path.read_text().split("\n")[:-1] for path in target.folder.glob("journal*.jsonl")]
    return sorted({line for text in found for line in text}, key=PLACES.__getitem__)


def test_a_long_journal_is_parted(target: Target) -> None:
    before = target.state()
    beside = compact(target, 7)
    assert beside
    assert len(decode(target.host.read(target.folder / "journal.jsonl").decode())) < len(ENTRIES) / 2
    assert lines(target) == TEXT.splitlines()
    state = target.state()
    assert (state.running, state.unrecorded, state.fence) == (before.running, before.unrecorded, before.fence)
    assert durations(target.entries()) == durations(ENTRIES)
    assert compact(target, 7) is None, "there is nothing more to take out"


def test_a_short_one_is_left_alone(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicd.adapters.compact.LARGE", len(TEXT.encode()))
    assert compact(target, 7) is None
    assert compact(Target(target.root, "app", "none"), 0) is None


def test_whoever_has_lost_the_lock_changes_nothing(target: Target) -> None:
    with pytest.raises(Fenced):
        compact(target, 6)
    assert (target.folder / "journal.jsonl").read_text() == TEXT


def test_what_another_has_written_meanwhile_is_not_lost(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    path, last = target.folder / "journal.jsonl", encode(ENTRIES[-1])

    def meanwhile(*given: Any) -> tuple[str, str] | None:
        with path.open("a") as file:
            file.write(last)
        return parted(*given)

    monkeypatch.setattr("cicd.adapters.compact.parted", meanwhile)
    assert compact(target, 7) is None
    assert path.read_text() == TEXT + last


class Killed(BaseException):
    """Nothing catches this: what was done is what a SIGKILL leaves."""


def dying(number: int, effect: Callable[..., Any], count: list[int]) -> Callable[..., Any]:
    """An effect of which the one with this number, over all, is not done any more."""

    def do(*arguments: Any, **named: Any) -> Any:
        count[0] += 1
        if count[0] > number:
            raise Killed
        return effect(*arguments, **named)

    return do


@pytest.mark.parametrize("half", [False, True], ids=["whole", "half written"])
def test_a_kill_before_any_of_its_effects_loses_nothing(
    target: Target, monkeypatch: pytest.MonkeyPatch, half: bool
) -> None:
    ended, number = False, 0
    while not ended:
        for path in target.folder.glob("*journal*"):
            path.unlink()
        (target.folder / "journal.jsonl").write_text(TEXT + ('{"at": 1, "dep' if half else ""))
        with monkeypatch.context() as patched:
            count = [0]
            for owner, name in EFFECTS:
                patched.setattr(owner, name, dying(number, getattr(owner, name), count))
            with contextlib.suppress(Killed):
                ended = compact(target, 7) is not None
        assert lines(target) == TEXT.splitlines(), number
        state, whole = target.state(), fold(ENTRIES)
        assert (state.running, state.unrecorded, state.fence) == (whole.running, whole.unrecorded, whole.fence)
        compact(target, 7)
        assert len(target.entries()) < len(ENTRIES) / 2, "the next one does it"
        assert lines(target) == TEXT.splitlines(), number
        number += 1
    assert number > 8, "there were so many places to be killed at"
