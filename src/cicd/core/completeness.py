"""Whether the shards of a suite together ran what a run without shards would have run: proven from their receipts.

A gap is not a failed test: it says that nobody knows. The proof holds for what pytest collected; that all shards had
the same checkout and command is what the plan's digest stands for.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal

import msgspec

from cicd.core.receipt import RED, FileSeconds, Ran, Receipt, ShardSeconds
from cicd.core.words import counted

SHOWN = 3  # names in a sentence
LONGEST = 120  # characters of a name in a sentence
AGAIN = "run the job of this shard again"
LOOK = f"look at the end of its log, and {AGAIN}"
ALL_AGAIN = "run all jobs of the workflow again, so that they share one plan"
SAME = "see that what is collected does not depend on the machine, the time, the order of a set, or other tests"

Reason = Literal[
    "shard-missing", "shard-unknown", "shard-twice", "other-plan", "not-ended", "files-differ", "owners-differ",
    "tests-differ", "run-twice", "not-run", "not-collected", "wrong-shard", "no-tests",
]  # fmt: skip


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not proven. `shard` is 0 when it is about several."""

    reason: Reason
    what: str
    next_step: str
    shard: int = 0

    def __str__(self) -> str:
        return f"{self.what}. Next: {self.next_step}."


class Incomplete(msgspec.Struct, frozen=True):
    """The shards do not make up a whole run."""

    gaps: tuple[Gap, ...]


class FileTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one file: each test's, its module's fixtures, those of each class (by id), import and collection."""

    tests: dict[str, float]
    fixtures: float = 0.0
    collect: float = 0.0
    classes: dict[str, float] = {}


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """All shards together.

    Attributes:
        attempts: shard → the attempt that counts.
        ran: id → how it went.
        deselected: ids that the command's own filters left out.
        errors: what could not be collected → the end of the message; one is enough to be red.
        times: file → seconds.
        seconds: shard → seconds.
        said: what is to be told: who ended early, and what did not run for it.
    """

    attempts: dict[int, int]
    ran: dict[str, Ran]
    deselected: tuple[str, ...] = ()
    errors: dict[str, str] = {}
    times: dict[str, FileTimes] = {}
    seconds: dict[int, ShardSeconds] = {}
    said: tuple[str, ...] = ()

    @property
    def is_red(self) -> bool:
        return bool(self.errors) or any(ran.outcome in RED for ran in self.ran.values())


def complete(plan: str, shards: int, receipts: Iterable[Receipt]) -> Whole | Incomplete:
    """The proof that the shards ran every test once, or what is missing for it.

    Args:
        plan: digest of the plan.
        shards: how many the plan has.
        receipts: all that were left, of all attempts; the newest of each shard counts.
    """
    given = list(receipts)
    chosen, gaps = _chosen(plan, shards, given)
    collected = Counter(test for one in chosen for test in set(one.collected))
    gaps += _missing(shards, given, chosen)
    gaps += [gap for one in chosen for gap in _own_gaps(one)]
    gaps += _files_differ([one for one in chosen if one.seen or one.ended])
    gaps += _twice(chosen, collected)
    gaps += _lost(chosen, collected)
    if not gaps and not any(one.ran or one.errors for one in chosen):
        what = "No shard ran a test" if any(one.seen for one in chosen) else "No shard saw a file with tests"
        gaps.append(Gap(reason="no-tests", what=what, next_step="check what the suite's command selects"))
    return Incomplete(tuple(gaps)) if gaps else _whole(chosen)


def _chosen(plan: str, shards: int, given: Sequence[Receipt]) -> tuple[list[Receipt], list[Gap]]:
    """The newest receipt of each shard, and what is wrong with the choice."""
    gaps = []
    ordered = sorted(given, key=lambda one: (one.shard, one.attempt))
    newest = []
    for shard, group in groupby(ordered, key=lambda one: one.shard):
        *_, last = found = list(group)
        if sum(one.attempt == last.attempt for one in found) > 1:
            what = f"There are two receipts of shard {shard}, attempt {last.attempt}"
            gaps.append(_gap(last, "shard-twice", what, ALL_AGAIN))
        if shard > shards:
            what = f"There is a receipt of shard {shard}, and the plan has {counted(shards, 'shard')}"
            gaps.append(_gap(last, "shard-unknown", what, ALL_AGAIN))
        elif last.plan != plan or last.shards != shards:
            what = f"Shard {shard} followed another plan ({_named([last.plan])}, {counted(last.shards, 'shard')})"
            gaps.append(_gap(last, "other-plan", what, ALL_AGAIN))
        else:
            newest.append(last)
    return newest, gaps


def _missing(shards: int, given: Sequence[Receipt], chosen: Sequence[Receipt]) -> Iterator[Gap]:
    for shard in sorted(set(range(1, shards + 1)) - {one.shard for one in given}):
        what = f"Shard {shard} of {shards} left no receipt"
        yield Gap(reason="shard-missing", what=what, next_step=f"look at its job's end, and {AGAIN}", shard=shard)
    suites = Counter(one.suite for one in chosen)
    for one in chosen:
        if len(suites) > 1 and one.suite != suites.most_common(1)[0][0]:
            yield _gap(
                one, "other-plan", f"The receipt of shard {one.shard} is of the suite {_named([one.suite])}", ALL_AGAIN
            )


def _own_gaps(one: Receipt) -> Iterator[Gap]:
    """What a receipt alone shows."""
    counts = Counter(one.collected)
    if not one.ended and not _is_early_and_red(one):
        yield _gap(one, "not-ended", f"Shard {one.shard} did not come to its end: {_plain(one.why) or KILLED}", LOOK)
    if unknown := [test for test in one.ran if test not in counts]:
        what = f"Shard {one.shard} ran {_tests(unknown)}, and had not collected {_it(unknown)}"
        yield _gap(one, "not-collected", what, AGAIN)
    if more := [test for test, ran in one.ran.items() if ran.times > counts[test] > 0]:
        yield _gap(one, "run-twice", f"Shard {one.shard} ran {_tests(more)} more often than collected", AGAIN)
    if one.ended and (less := _not_run(one, counts)):
        what = f"Shard {one.shard} collected and did not run {_tests(less)}"
        yield _gap(one, "not-run", what, "see what stopped it, such as `--collect-only` or a plugin of the project's")
    if wrong := [test for test in counts if _owner(test, one.seen) not in (0, one.shard)]:
        what = f"Shard {one.shard} collected {_tests(wrong)} of files that are not its own, or that it did not see"
        yield _gap(one, "wrong-shard", what, ALL_AGAIN)


KILLED = "it was ended from outside, by its time limit, for want of memory, or with its machine"


def _is_early_and_red(one: Receipt) -> bool:
    """Whether it stopped by itself and is red for a reason that it names: nobody has to guess then."""
    return bool(one.why) and bool(one.errors or one.red)


def _not_run(one: Receipt, counts: Mapping[str, int]) -> list[str]:
    return [test for test, count in counts.items() if test not in one.ran or one.ran[test].times < count]


def _files_differ(chosen: Sequence[Receipt]) -> Iterator[Gap]:
    """All shards must have seen the same files, with the same owners."""
    owners: dict[str, set[int]] = {}
    seers: dict[str, list[int]] = {}
    for one in chosen:
        for file, owner in one.seen.items():
            owners.setdefault(file, set()).add(owner)
            seers.setdefault(file, []).append(one.shard)
    everyone = [one.shard for one in chosen]
    partly = sorted(
        (file for file, by in seers.items() if len(by) < len(everyone)), key=lambda file: (seers[file], file)
    )
    for by, files in groupby(partly, key=lambda file: seers[file]):
        blind = [shard for shard in everyone if shard not in by]
        what = f"{_shards(by)} saw {_files(list(files))}, and {_shards(blind).lower()} did not"
        yield Gap(reason="files-differ", what=what, next_step=SAME)
    if torn := [file for file, found in owners.items() if len(found) > 1]:
        what = f"The shards do not agree to whom {_files(torn)} belong{'s' * (len(torn) == 1)}"
        yield Gap(reason="owners-differ", what=what, next_step=ALL_AGAIN)
    if beyond := [file for file, found in owners.items() if max(found) > max(one.shards for one in chosen)]:
        what = f"The owner of {_files(beyond)} is a shard that does not exist"
        yield Gap(reason="owners-differ", what=what, next_step=ALL_AGAIN)


def _twice(chosen: Sequence[Receipt], collected: Mapping[str, int]) -> Iterator[Gap]:
    if twice := [test for test, count in collected.items() if count > 1]:
        by = sorted({one.shard for one in chosen if not set(twice).isdisjoint(one.collected)})
        what = f"{_shards(by)} each have {_tests(twice)}"
        yield Gap(reason="run-twice", what=what, next_step=ALL_AGAIN)


def _lost(chosen: Sequence[Receipt], collected: Mapping[str, int]) -> Iterator[Gap]:
    """Tests that a shard saw in a file that it shares, and left to a shard that does not have them."""
    lost = dict.fromkeys(test for one in chosen for test in one.others if test not in collected)
    if lost:
        what = f"No shard collected {_tests(list(lost))} of files that several shards collect"
        yield Gap(reason="tests-differ", what=what, next_step=SAME)
    for one in chosen:
        if both := set(one.others).intersection(one.collected):
            what = f"Shard {one.shard} both kept and left {_tests(sorted(both))}"
            yield _gap(one, "tests-differ", what, AGAIN)
    shared = {file for one in chosen for file, owner in one.seen.items() if owner == 0}
    views = {one.shard: _views(one, shared) for one in chosen}
    for shard, view in views.items():
        every = {test for other in views.values() for file in view for test in other.get(file, ())}
        if unseen := sorted(every - set().union(*view.values()) - set(lost)):
            what = f"Shard {shard} did not find {_tests(unseen)}, and other shards did, in the same file"
            yield Gap(reason="tests-differ", what=what, next_step=SAME, shard=shard)


def _views(one: Receipt, shared: set[str]) -> dict[str, set[str]]:
    """All ids that a shard found in the files that are split and of which it has a part."""
    found: dict[str, set[str]] = {}
    for test in (*one.collected, *one.others) if shared else ():
        if file := file_of(test, shared):
            found.setdefault(file, set()).add(test)
    return found


def _owner(test: str, seen: Mapping[str, int]) -> int:
    return seen.get(file_of(test, seen), -1)


def file_of(test: str, files: Iterable[str]) -> str:
    """The file of an id, among those given; empty: none of them. A path may have `::` in it."""
    assert not isinstance(files, str)
    known = files if isinstance(files, set | Mapping) else set(files)
    parts = test.split("::")
    return next((file for end in range(1, len(parts) + 1) if (file := "::".join(parts[:end])) in known), "")


def _whole(chosen: Sequence[Receipt]) -> Whole:
    ran = {test: found for one in chosen for test, found in one.ran.items()}
    return Whole(
        attempts={one.shard: one.attempt for one in chosen},
        ran=ran,
        deselected=tuple(sorted({test for one in chosen for test in one.deselected} - ran.keys())),
        errors={name: text for one in chosen for name, text in one.errors.items()},
        times=_times(chosen),
        seconds={one.shard: one.seconds for one in chosen},
        said=tuple(sentence for one in chosen for sentence in _said(one)),
    )


def _times(chosen: Sequence[Receipt]) -> dict[str, FileTimes]:
    """Seconds per file. A file that is split costs each of its shards the import and the fixtures: the most counts."""
    tests: dict[str, dict[str, float]] = {}
    beside: dict[str, FileSeconds] = {}
    for one in chosen:
        for test, ran in one.ran.items():
            tests.setdefault(file_of(test, one.seen), {})[test] = ran.seconds
        for file, found in one.files.items():
            beside[file] = _most(beside.get(file, FileSeconds()), found)
    return {
        file: FileTimes(tests=found, **msgspec.structs.asdict(beside.get(file, FileSeconds())))
        for file, found in sorted(tests.items())
    }


def _most(one: FileSeconds, other: FileSeconds) -> FileSeconds:
    """The longer of each."""
    names = {**one.classes, **other.classes}
    return FileSeconds(
        collect=max(one.collect, other.collect),
        fixtures=max(one.fixtures, other.fixtures),
        classes={name: max(one.classes.get(name, 0.0), other.classes.get(name, 0.0)) for name in names},
    )


def _said(one: Receipt) -> Iterator[str]:
    if one.errors:
        yield f"Shard {one.shard} could not collect {_named(list(one.errors))}."
    if not one.ended:
        left = len(_not_run(one, Counter(one.collected)))
        yield f"Shard {one.shard} ended early ({_plain(one.why)}): {counted(left, 'test')} did not run."


def _gap(one: Receipt, reason: Reason, what: str, next_step: str) -> Gap:
    return Gap(reason=reason, what=what, next_step=next_step, shard=one.shard)


def _tests(names: Sequence[str]) -> str:
    return f"{counted(len(names), 'test')} ({_named(names)})"


def _files(names: Sequence[str]) -> str:
    return f"{counted(len(names), 'file')} ({_named(names)})"


def _it(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _named(names: Sequence[str]) -> str:
    """`a, b, c and 2 more`."""
    shown = ", ".join(_plain(name) for name in names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def _plain(text: str) -> str:
    """A text of others within a sentence: one line, and not longer than a line."""
    line = "".join(sign if sign.isprintable() else "?" for sign in text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _shards(numbers: Sequence[int]) -> str:
    return f"Shard {numbers[0]}" if len(numbers) == 1 else f"Shards {', '.join(map(str, numbers))}"
