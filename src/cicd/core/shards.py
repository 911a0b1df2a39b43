"""Which shard runs what: whole files, longest first, and only a file that is too heavy for one shard is split.

Files stay whole because their fixtures are paid once then. Longest first is Graham's rule (Bounds on Multiprocessing
Timing Anomalies, 1969): no shard is more than 4/3 of the best there is; moves and swaps then take what is left of that.
"""

import heapq
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from statistics import median

import msgspec

from cicd.core.completeness import FileTimes

MOST = 256  # jobs of a matrix: https://docs.github.com/en/actions/reference/limits
ROUNDS = 500  # of moves and swaps
ROOMS = (1.0, 1.1, 1.25, 1.5)  # shares that a part of a file may have: fewer parts pay its import less often
UNKNOWN = 1.0  # weight of a file where nothing at all is known


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """A plan of one suite.

    Attributes:
        shards: how many.
        files: file → the shard that runs it, from 1.
        split: file → test → shard, of files that several shards run.
        loads: seconds of each shard, the first one first; by what is known.
        floor: seconds below which no plan can bring the longest shard.
    """

    shards: int
    files: dict[str, int] = {}
    split: dict[str, dict[str, int]] = {}
    loads: list[float] = []
    floor: float = 0.0


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """How many shards, and why. `wall` and `machine`: seconds of the longest shard, and of all together."""

    shards: int
    wall: float
    machine: float
    why: str


class _Item(msgspec.Struct, frozen=True, order=True):
    """What is not taken apart: a file, or some tests of one."""

    seconds: float
    file: str
    tests: tuple[str, ...] = ()


def assign(files: Iterable[str], known: Mapping[str, FileTimes], shards: int) -> Assignment:
    """The plan for so many shards; the same for the same files and times, whatever their order.

    Args:
        files: those that there are now, by path.
        known: times of files, of earlier runs; of others, too.
    """
    weights = weigh(files, known)
    share = sum(weights.values()) / shards
    plans = [_packed(weights, known, shards, share * room) for room in ROOMS]
    floor, bins = min(plans, key=lambda plan: max(map(_load, plan[1])))
    whole, split = dict[str, int](), dict[str, dict[str, int]]()
    for number, held in enumerate(bins, 1):
        for item in held:
            if item.tests:
                split.setdefault(item.file, {}).update(dict.fromkeys(item.tests, number))
            else:
                whole[item.file] = number
    loads = [_load(held) for held in bins]
    return Assignment(shards=shards, files=dict(sorted(whole.items())), split=split, loads=loads, floor=floor)


def _packed(
    weights: Mapping[str, float], known: Mapping[str, FileTimes], shards: int, budget: float
) -> tuple[float, list[list[_Item]]]:
    """Files in shards, split where they are heavier than the budget; and seconds below which nothing is possible."""
    items = [item for file in weights for item in _items(file, weights[file], known.get(file), budget)]
    floor = max([sum(item.seconds for item in items) / shards, *(item.seconds for item in items)], default=0.0)
    return floor, _even_out(_longest_first(items, shards), floor)


def _load(held: Iterable[_Item]) -> float:
    return sum(item.seconds for item in held)


def weigh(files: Iterable[str], known: Mapping[str, FileTimes]) -> dict[str, float]:
    """Seconds of each file; of one that is new the median of those beside it, or in the nearest folder above."""
    times = {file: seconds_of(found) for file, found in known.items()}
    beside: dict[PurePosixPath, list[float]] = {}
    for file, seconds in times.items():
        for folder in PurePosixPath(file).parents:
            beside.setdefault(folder, []).append(seconds)
    medians = {folder: median(found) for folder, found in beside.items()}

    def of(file: str) -> float:
        near = (medians[folder] for folder in PurePosixPath(file).parents if folder in medians)
        return times[file] if file in times else next(near, UNKNOWN)

    return {file: of(file) for file in sorted(set(files))}


def seconds_of(times: FileTimes) -> float:
    return sum(times.tests.values()) + sum(times.classes.values()) + times.fixtures + times.collect


def longest_of(times: FileTimes) -> float:
    """Seconds of the longest test with the fixtures of its module and classes."""
    alone = (took + _shared(_around(test, times), times) for test, took in times.tests.items())
    return max(alone, default=0.0) + times.fixtures


class _Group(msgspec.Struct, frozen=True):
    """Tests that stay together, and the classes of the file that have fixtures for them."""

    seconds: float
    tests: list[str]
    classes: frozenset[str]


def _items(file: str, seconds: float, times: FileTimes | None, budget: float) -> list[_Item]:
    """A file as one item, or in parts of which none is heavier than the budget, as far as its tests allow.

    Each part pays for the import and the fixtures of the module again, and for those of the classes that it has.
    """
    if times is None or seconds <= budget or len(times.tests) < 2:
        return [_Item(seconds, file)]
    again = times.fixtures + times.collect
    if again >= budget:
        return [_Item(seconds, file)]  # parts would cost more than they spare
    parts: list[_Group] = []
    groups = _groups(times, budget - again)
    for group in sorted(groups, key=lambda group: (-group.seconds, group.tests)):
        joined = ((number, _joined(part, group, times)) for number, part in enumerate(parts))
        place = next((found for found in joined if again + found[1].seconds <= budget), None)
        if place is None:
            parts.append(group)
        else:
            parts[place[0]] = place[1]
    if len(parts) < 2:
        return [_Item(seconds, file)]
    return [_Item(again + part.seconds, file, tuple(sorted(part.tests))) for part in parts]


def _joined(one: _Group, other: _Group, times: FileTimes) -> _Group:
    """Both; fixtures that both need are paid once."""
    saved = _shared(one.classes & other.classes, times)
    return _Group(one.seconds + other.seconds - saved, [*one.tests, *other.tests], one.classes | other.classes)


def _groups(times: FileTimes, room: float) -> list[_Group]:
    """Tests that share fixtures of a class stay together, if a shard has room for them, or the fixtures fill it."""
    classes: dict[str, list[str]] = {}
    for test in sorted(times.tests):
        classes.setdefault(_class_of(test), []).append(test)
    groups = []
    for name, members in classes.items():
        around = _around(members[0], times)
        shared = _shared(around, times)
        seconds = shared + sum(times.tests[test] for test in members)
        if name and (seconds <= room or shared >= room):
            groups.append(_Group(seconds, members, around))
        else:
            groups += [_Group(shared + times.tests[test], [test], around) for test in members]
    return groups


def _class_of(test: str) -> str:
    """What stands before an id's last name: the file, and the class within it."""
    return test.partition("[")[0].rpartition("::")[0]


def _around(test: str, times: FileTimes) -> frozenset[str]:
    """Classes with fixtures for a test."""
    inside = _class_of(test) + "::"
    return frozenset(name for name in times.classes if inside.startswith(f"{name}::"))


def _shared(classes: Iterable[str], times: FileTimes) -> float:
    return sum(times.classes[name] for name in classes)


def _longest_first(items: Sequence[_Item], shards: int) -> list[list[_Item]]:
    bins: list[list[_Item]] = [[] for _ in range(shards)]
    loads = [(0.0, number) for number in range(shards)]
    for item in sorted(items, key=lambda item: (-item.seconds, item.file, item.tests)):
        load, number = heapq.heappop(loads)
        bins[number].append(item)
        heapq.heappush(loads, (load + item.seconds, number))
    return bins


def _even_out(bins: list[list[_Item]], floor: float) -> list[list[_Item]]:
    """Take from the longest shard, by a move or a swap with another one, as long as that makes it shorter."""
    held = [sorted(one) for one in bins]
    loads = [_load(one) for one in held]
    for _ in range(ROUNDS):
        longest = max(range(len(loads)), key=lambda number: (loads[number], -number))
        if loads[longest] <= floor * (1 + 1e-9):
            break
        for other in sorted(range(len(loads)), key=lambda number: (loads[number], number)):
            found = _exchange(held[longest], held[other], loads[longest] - loads[other]) if other != longest else None
            if found:
                given, taken = found
                _change(held, loads, longest, other, given, taken)
                break
        else:
            break
    return held


def _exchange(longer: Sequence[_Item], shorter: Sequence[_Item], gap: float) -> tuple[_Item, _Item | None] | None:
    """What to give, and what to take for it, so that both come as near to each other as they can; None: nothing helps.

    Args:
        longer, shorter: sorted by seconds.
        gap: seconds between the two; what is given must be heavier than what is taken by less than that.
    """
    best, found = abs(gap) - 1e-9, None
    sizes = [item.seconds for item in shorter]
    for item in longer:
        if 0 < item.seconds < gap and abs(gap - 2 * item.seconds) < best:
            best, found = abs(gap - 2 * item.seconds), (item, None)
        place = bisect_left(sizes, item.seconds - gap / 2)
        for near in (place - 1, place):
            if 0 <= near < len(sizes) and 0 < item.seconds - sizes[near] < gap:
                left = abs(gap - 2 * (item.seconds - sizes[near]))
                if left < best:
                    best, found = left, (item, shorter[near])  # type: ignore[assignment]
    return found


def _change(
    held: list[list[_Item]], loads: list[float], longest: int, other: int, given: _Item, taken: _Item | None
) -> None:
    held[longest].remove(given)
    held[other].append(given)
    if taken:
        held[other].remove(taken)
        held[longest].append(taken)
    for number in (longest, other):
        held[number].sort()
        loads[number] = _load(held[number])


def choose_shards(work: float, longest: float, fixed: float, target: float = 0.0, most: int = MOST) -> Choice:
    """How many shards a suite is worth.

    Without a target one more shard is added as long as it spares whoever waits more seconds than it costs the machines:
    work ÷ (N × (N + 1)) ≥ fixed, so about √(work ÷ fixed) of them.

    Args:
        work: seconds of all tests.
        longest: seconds of what cannot be split.
        fixed: seconds of a shard before its first test: the job's start, checkout, services, collection.
        target: seconds that the suite may take; 0: none is given.
        most: shards.
    """

    def wall(shards: int) -> float:
        return fixed + max(work / shards, longest)

    wanted = [number for number in range(1, most + 1) if wall(number) <= target] if target else []
    if wanted:
        shards = wanted[0]
    else:
        gains = (number for number in range(1, most) if wall(number) - wall(number + 1) < max(fixed, 1e-9))
        shards = next(gains, most)
    gain, cost = wall(shards) - wall(shards + 1), fixed
    missed = f"; the target of {words(target)} cannot be met" if target and not wanted else ""
    more = f"one more would save {words(gain)} and cost {words(cost)} of machine time"
    why = f"{shards} shard{'s' * (shards != 1)}: {words(wall(shards))}{missed}; {more}"
    return Choice(shards=shards, wall=wall(shards), machine=work + shards * fixed, why=why)


def words(seconds: float) -> str:
    """`4 min 10 s`, `35 s`, `0.4 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(math.ceil(seconds - 0.5), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
