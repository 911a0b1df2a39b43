"""Plans of recorded suites, ours and pytest-split's, held against what each shard would really take.

A shard takes its tests, once each module or class fixture that one of them needs, and the import of each file that it
collects: all files for pytest-split, which chooses after the collection; its own and the split ones for ours.

No plan can be shorter than total ÷ shards, nor than the longest indivisible part: a test with its own fixtures of class
and module and the import of its file. It is the same bound for all ways.
"""

import importlib
import json
import random
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suite_record import HERE, RealSuite, Recorded, environment, python

from cicd.adapters.shard_folder import PLUGIN
from cicd.core.completeness import FileTimes
from cicd.core.shards import assign

ALGORITHMS = ("duration_based_chunks", "least_duration")
OURS = "ours"
NEW = 20.0  # seconds of the new test
PEERS = RealSuite("peers", (), ())


@dataclass(frozen=True)
class Shard:
    """Tests that it runs, and files that it imports."""

    tests: list[str]
    files: set[str]


Theirs = dict[tuple[int, str], list[Shard]]  # number of shards and algorithm → its shards


class Costs:
    """Seconds of any shard of a recorded suite. Without `collects` imports cost nothing."""

    def __init__(self, recorded: Recorded, *, collects: bool) -> None:
        self.own = {test: own for tests in recorded.tests.values() for test, (own, _) in tests.items()}
        self.file = {test: file for file, tests in recorded.tests.items() for test in tests}
        self.fixtures = recorded.fixtures
        self.collect = recorded.collect if collects else {}
        self.needs = {test: self._needed(test) for test in self.own}

    def _needed(self, test: str) -> tuple[str, ...]:
        """Modules and classes whose fixtures the test is under."""
        words = test.partition("[")[0].split("::")
        above = ("::".join(words[:count]) for count in range(1, len(words)))
        return tuple(node for node in above if node in self.fixtures)

    def of(self, shard: Shard) -> float:
        nodes = {node for test in shard.tests for node in self.needs[test]}
        imports = sum(self.collect.get(file, 0.0) for file in shard.files)
        return sum(self.own[test] for test in shard.tests) + sum(self.fixtures[node] for node in nodes) + imports

    def bound(self, shards: int) -> float:
        """No plan has a longest shard below this."""
        everything = Shard(list(self.own), set(self.file.values()))
        longest = max(self.of(Shard([test], {self.file[test]})) for test in self.own)
        return max(self.of(everything) / shards, longest)


def known_times(recorded: Recorded, *, collects: bool = True) -> dict[str, FileTimes]:
    """What our history has of the run. Without `collects`: as if imports cost nothing."""
    classes: dict[str, dict[str, float]] = {}
    for node, took in recorded.fixtures.items():
        file, inside, _ = node.partition("::")
        if inside:
            classes.setdefault(file, {})[node] = took
    return {
        file: FileTimes(
            tests={test: own for test, (own, _) in tests.items()},
            fixtures=recorded.fixtures.get(file, 0.0),
            collect=recorded.collect.get(file, 0.0) if collects else 0.0,
            classes=classes.get(file, {}),
        )
        for file, tests in recorded.tests.items()
    }


def known_durations(recorded: Recorded) -> dict[str, float]:
    """What pytest-split's file of durations has of the run."""
    return {test: took for tests in recorded.tests.values() for test, (_, took) in tests.items()}


def our_shards(now: Recorded, known: Mapping[str, FileTimes], shards: int) -> list[Shard]:
    """By the planner and the plugin's own rule of who runs what."""
    plan = assign(now.tests, known, shards)
    told = {"shards": shards, "files": plan.files, "split": plan.split, "receipt": ""}
    views = [_plugin().Plan({**told, "shard": number}) for number in range(1, shards + 1)]
    found = [Shard([], set()) for _ in range(shards)]
    for file, tests in now.tests.items():
        for test in tests:
            owner = views[0].owner(file) or views[0].owner_of_test(file, test)
            found[owner - 1].tests.append(test)
        for shard, view in zip(found, views, strict=True):
            if view.takes(file):
                shard.files.add(file)
    return found


def _plugin() -> Any:
    if str(PLUGIN) not in sys.path:
        sys.path.append(str(PLUGIN))  # last, so that nothing of ours is taken from there
    return importlib.import_module("cicd_shard")


def their_shards(durations: Mapping[str, float], lists: Sequence[Recorded], counts: Sequence[int]) -> list[Theirs]:
    """By pytest-split's own classes, in an environment of their own: for each list of tests, each number of shards."""
    tests = [[test for tests in now.tests.values() for test in tests] for now in lists]
    asked = json.dumps({"durations": dict(durations), "lists": tests, "shards": list(counts)})
    argv = [python(environment(PEERS)), "-I", str(HERE / "suite_peers.py")]
    done = subprocess.run(argv, input=asked, capture_output=True, text=True, check=True)
    return [
        {
            (int(count), algorithm): _grouped(now, ids, owners, int(count))
            for count, found in said.items()
            for algorithm, owners in found.items()
        }
        for now, ids, said in zip(lists, tests, json.loads(done.stdout), strict=True)
    ]


def _grouped(now: Recorded, ids: Sequence[str], owners: Sequence[int], count: int) -> list[Shard]:
    """All files are collected by each of them."""
    shards = [Shard([], set(now.tests)) for _ in range(count)]
    for test, owner in zip(ids, owners, strict=True):
        shards[owner].tests.append(test)
    return shards


def changed(recorded: Recorded, seed: int) -> Recorded:
    """A tenth of the tests has another name, and one file a new test of 20 s."""
    chance = random.Random(seed)
    unlucky = chance.choice(sorted(recorded.tests))
    now: dict[str, dict[str, tuple[float, float]]] = {}
    for file, tests in recorded.tests.items():
        functions = sorted({test.partition("[")[0] for test in tests})
        renamed = {function for function in functions if chance.random() < 0.1}
        now[file] = {_renamed(test, renamed): took for test, took in tests.items()}
        if file == unlucky:
            now[file][f"{file}::test_that_is_new"] = (NEW, NEW)
    return Recorded(recorded.about, now, recorded.fixtures, recorded.collect)


def _renamed(test: str, renamed: Iterable[str]) -> str:
    function, bracket, parameters = test.partition("[")
    return f"{function}_again{bracket}{parameters}" if function in renamed else test


def ratios(
    before: Recorded, lists: Sequence[Recorded], counts: Sequence[int], *, collects: bool
) -> dict[int, dict[str, list[float]]]:
    """Number of shards → way → longest shard ÷ lower bound for each list of tests; planned by what was known before."""
    found: dict[int, dict[str, list[float]]] = {count: {} for count in counts}
    known = known_times(before, collects=collects)
    for now, theirs in zip(lists, their_shards(known_durations(before), lists, counts), strict=True):
        costs = Costs(now, collects=collects)
        for count in counts:
            ways = {OURS: our_shards(now, known, count)}
            ways.update({algorithm: theirs[count, algorithm] for algorithm in ALGORITHMS})
            bound = costs.bound(count)
            for name, shards in ways.items():
                found[count].setdefault(name, []).append(max(map(costs.of, shards)) / bound)
    return found
