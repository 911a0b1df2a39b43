"""networkx' own tests in four shards, really run one after another: ours by the plugin, pytest-split's, and xdist.

CPU seconds are of a shard's process with all that it started. Wall seconds of a way are those of its slowest shard, for
the machines of a matrix run side by side; those of xdist are of its four processes on this one machine.
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
    """Seconds of one process."""

    wall: float
    cpu: float


def rows(only: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """`only`: folders of the suite, for a part of it."""
    suite = next(suite for suite in SUITES if suite.name == "networkx")
    recorded = load(suite, KEPT)
    assert recorded, "it is committed"
    with tempfile.TemporaryDirectory() as place:
        return _rows(suite.name, _measured(suite, recorded, only or suite.paths, Path(place)), only)


def _measured(suite: RealSuite, recorded: Recorded, paths: tuple[str, ...], folder: Path) -> dict[str, list[Took]]:
    """The shards of each way, in turns, so that what else the machine does meets all alike."""
    durations = folder / "durations.json"
    durations.write_text(json.dumps(known_durations(recorded)))
    run = _Run(environment(suite), paths)
    run.took("--collect-only")  # files are in memory, and compiled
    taken: dict[str, list[Took]] = {name: [] for name in (OURS, *ALGORITHMS)}
    plans = _plans(recorded, paths, folder)
    for number in range(1, SHARDS + 1):
        env = {"PYTHONPATH": str(PLUGIN), "CICD_SHARD_PLAN": str(plans[number - 1])}
        taken[OURS].append(run.took("-p", "cicd_shard", **env))
        for algorithm in ALGORITHMS:
            split = ["--splits", str(SHARDS), "--group", str(number), "--durations-path", str(durations)]
            taken[algorithm].append(run.took(*split, "--splitting-algorithm", algorithm))
    return {**taken, XDIST: [run.took("-n", str(SHARDS))], WHOLE: [run.took()]}


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

    def took(self, *options: str, **env: str) -> Took:
        """Of pytest with these options. Raises CalledProcessError when tests fail."""
        before, began = os.times(), time.monotonic()
        argv = pytest_of(self.site, *options, *self.paths)
        subprocess.run(argv, cwd=self.site, env={**os.environ, **ONE_THREAD, **env}, capture_output=True, check=True)
        wall, after = time.monotonic() - began, os.times()
        return Took(wall, sum(after[2:4]) - sum(before[2:4]))


def _rows(name: str, taken: dict[str, list[Took]], only: tuple[str, ...]) -> list[dict[str, Any]]:
    part = f" ({', '.join(only)} alone)" if only else ""
    what = f"{name}{part}, {SHARDS} shards"
    shards = (OURS, *ALGORITHMS)
    cpu = {way: sum(one.cpu for one in taken[way]) for way in (*shards, WHOLE)}
    slowest = {way: max(one.cpu for one in taken[way]) for way in shards}
    wall = {way: max(one.wall for one in taken[way]) for way in (*shards, XDIST, WHOLE)}
    found = []
    for title, seconds, limit in (
        ("CPU of all shards", cpu, 0.7),
        ("CPU of the slowest shard", slowest, 0.75),
        ("wall of the slowest shard", wall, 1.0),
    ):
        values = {way: round(took, 1) for way, took in seconds.items()}
        ours = values.pop(OURS)
        found.append(row(f"{what}: {title}", ours, "s", peers=values))
        ratio = round(seconds[OURS] / min(seconds[way] for way in seconds if way not in (OURS, WHOLE)), 3)
        goal = f"≤ {limit}" if limit < 1 else "< 1"
        met = ratio <= limit if limit < 1 else ratio < 1
        found.append(row(f"{what}: {title}, ours ÷ the best of theirs", ratio, "", goal, met))
    return found
