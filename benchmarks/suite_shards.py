"""networkx' own tests in four shards, really run: ours by the plugin, pytest-split's, and xdist.

CPU seconds are of a shard's process with all that it started, one after another. Wall seconds are of all four at the
same time on this one machine, from the first start to the last end, as xdist's are.
"""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite_record import KEPT, ONE_THREAD, SUITES, RealSuite, Recorded, environment, load, pytest_of
from suite_replay import ALGORITHMS, OURS, known_durations, known_times
from table import row

from cicd.adapters.shard_folder import PLUGIN
from cicd.core.shards import assign

SHARDS = 4
WHOLE = "one process"
XDIST = f"pytest -n {SHARDS}"


@dataclass(frozen=True)
class Took:
    """Seconds of one way: CPU of each process, and wall of all."""

    cpu: list[float]
    wall: float


@dataclass(frozen=True)
class Start:
    """One process: options of pytest, and variables beside our own."""

    options: tuple[str, ...]
    env: dict[str, str]


def rows(only: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """`only`: folders of the suite, for a part of it."""
    suite = next(suite for suite in SUITES if suite.name == "networkx")
    recorded = load(suite, KEPT)
    assert recorded, "it is committed"
    with tempfile.TemporaryDirectory() as place:
        return _rows(suite.name, _measured(suite, recorded, only or suite.paths, Path(place)), only)


def _measured(suite: RealSuite, recorded: Recorded, paths: tuple[str, ...], folder: Path) -> dict[str, Took]:
    """Each way; their shards in turns, so that what else the machine does meets all alike."""
    run, ways = _Run(environment(suite), paths), _ways(recorded, paths, folder)
    run.took(Start(("--collect-only",), {}))  # files are in memory, and compiled
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(SHARDS):
        for name, starts in ways.items():
            cpu[name] += [run.took(start) for start in starts[number : number + 1]]
    wall = {name: run.together(starts) for name, starts in ways.items()}
    return {name: Took(cpu[name], wall[name]) for name in ways}


def _ways(recorded: Recorded, paths: tuple[str, ...], folder: Path) -> dict[str, list[Start]]:
    """What each way starts."""
    durations = folder / "durations.json"
    durations.write_text(json.dumps(known_durations(recorded)))
    plans = _plans(recorded, paths, folder)
    ways = {
        OURS: [Start(("-p", "cicd_shard"), {"PYTHONPATH": str(PLUGIN), "CICD_SHARD_PLAN": str(plan)}) for plan in plans]
    }
    for algorithm in ALGORITHMS:
        split = ("--splits", str(SHARDS), "--durations-path", str(durations), "--splitting-algorithm", algorithm)
        ways[algorithm] = [Start((*split, "--group", str(number)), {}) for number in range(1, SHARDS + 1)]
    return {**ways, XDIST: [Start(("-n", str(SHARDS)), {})], WHOLE: [Start((), {})]}


def _plans(recorded: Recorded, paths: tuple[str, ...], folder: Path) -> list[Path]:
    """What the plugin is told for each shard."""
    files = [file for file in recorded.tests if any(file.startswith(f"{path}/") for path in paths)]
    plan = assign(files, known_times(recorded), SHARDS)
    made = []
    for number in range(1, SHARDS + 1):
        told = {"shard": number, "shards": SHARDS, "files": plan.files, "split": plan.split}
        made.append(folder / f"plan-{number}.json")
        made[-1].write_text(json.dumps({**told, "receipt": str(folder / f"receipt-{number}.json")}))
    return made


@dataclass(frozen=True)
class _Run:
    site: Path
    paths: tuple[str, ...]

    def took(self, start: Start) -> float:
        """CPU seconds of it alone. Raises CalledProcessError when tests fail."""
        before = os.times()
        subprocess.run(self._argv(start), cwd=self.site, env=self._env(start), capture_output=True, check=True)
        after = os.times()
        return sum(after[2:4]) - sum(before[2:4])

    def together(self, starts: list[Start]) -> float:
        """Wall seconds of all of them at the same time. Raises CalledProcessError when tests fail."""
        began, quiet = time.monotonic(), subprocess.DEVNULL
        children = [
            subprocess.Popen(self._argv(one), cwd=self.site, env=self._env(one), stdout=quiet, stderr=quiet)
            for one in starts
        ]
        for child in children:
            if code := child.wait():
                raise subprocess.CalledProcessError(code, child.args)
        return time.monotonic() - began

    def _argv(self, start: Start) -> list[str]:
        return pytest_of(self.site, *start.options, *self.paths)

    def _env(self, start: Start) -> dict[str, str]:
        return {**os.environ, **ONE_THREAD, **start.env}


def _rows(name: str, taken: dict[str, Took], only: tuple[str, ...]) -> list[dict[str, Any]]:
    part = f" ({', '.join(only)} alone)" if only else ""
    what = f"{name}{part}, {SHARDS} shards"
    shards = (OURS, *ALGORITHMS)
    cpu = {way: sum(taken[way].cpu) for way in (*shards, WHOLE)}
    slowest = {way: max(taken[way].cpu) for way in shards}
    wall = {way: took.wall for way, took in taken.items()}
    found = []
    for title, seconds, limit in (
        ("CPU of all shards", cpu, 0.7),
        ("CPU of the slowest shard", slowest, 0.75),
        ("wall, all at the same time", wall, 1.0),
    ):
        values = {way: round(took, 1) for way, took in seconds.items()}
        ours = values.pop(OURS)
        found.append(row(f"{what}: {title}", ours, "s", peers=values))
        ratio = round(seconds[OURS] / min(seconds[way] for way in seconds if way not in (OURS, WHOLE)), 3)
        goal = f"≤ {limit}" if limit < 1 else "< 1"
        met = ratio <= limit if limit < 1 else ratio < 1
        found.append(row(f"{what}: {title}, ours ÷ the best of theirs", ratio, "", goal, met))
    return found
