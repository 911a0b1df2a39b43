"""What run-suite costs around pytest: the same 1,000 trivial tests plain, in run-suite, and as the one shard of a plan.

In turns, so that what else the machine does meets all alike; the medians. CPU seconds are of the whole command with all
that it started, Python's start included.
"""

import itertools
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from suite_record import HERE, environment, python
from suite_replay import PEERS
from table import row

TESTS = 1_000
MOST = 0.5  # s, or
SHARE = 0.03
CICD = HERE.parent / "bin" / "cicd"
COMMAND = "python -m pytest -q"
CONFIG = f"""\
version: 1
app: measured
suites:
  unit: {{run: {COMMAND}, shards: 1}}
"""


def rows(rounds: int) -> list[dict[str, Any]]:
    """Medians of so many rounds."""
    with tempfile.TemporaryDirectory() as place:
        return _compared(_project(Path(place)), rounds)


def _project(folder: Path) -> Path:
    (folder / ".github").mkdir()
    (folder / ".gitignore").write_text(".*\n!/.git*\n")
    (folder / ".github" / "cicd.yml").write_text(CONFIG)
    many = f"import pytest\n\n\n@pytest.mark.parametrize('n', range({TESTS}))\ndef test_n(n):\n    assert n >= 0\n"
    (folder / "test_many.py").write_text(many)
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    who = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@example.invalid"]
    subprocess.run(["git", *who, "commit", "-qm", "Tests"], cwd=folder, check=True)
    return folder


def _compared(folder: Path, rounds: int) -> list[dict[str, Any]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "PYTEST_", "PYTHON"))}
    bin_folder = str(Path(python(environment(PEERS))).parent)
    env |= {"PATH": f"{bin_folder}:{env['PATH']}", "RUNNER_TEMP": f"{folder}/.temp"}
    ways = {
        "plain pytest": COMMAND.split(),
        "run-suite": [str(CICD), "run-suite", "--run", COMMAND],
        "run-suite, a shard": [
            str(CICD),
            "run-suite",
            "--suite",
            "unit",
            "--shard",
            "1/1",
            "--plan",
            plan(folder, env),
        ],
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for argv in ways.values():
        seconds(argv, folder, env)  # files are in memory, and compiled
    for turn in range(rounds):
        for name in sorted(ways, reverse=bool(turn % 2)):
            taken[name].append(seconds(ways[name], folder, env))
    found = []
    for kind, unit in enumerate(("wall", "CPU")):
        plain = statistics.median(one[kind] for one in taken["plain pytest"])
        for name in list(ways)[1:]:
            more = statistics.median(one[kind] for one in taken[name]) - plain
            met = more <= max(MOST, SHARE * plain)
            what = f"{name} around {TESTS:,} tests: more {unit} than plain, median of {rounds}"
            found.append(row(what, round(more, 3), "s", "≤ 0.5 s or 3%", met, peers={"plain pytest": round(plain, 3)}))
    return found


def plan(folder: Path, env: dict[str, str]) -> str:
    """The plan of one shard, as a job hands it on."""
    argv = [str(CICD), "run-suite", "--suite", "unit", "--plan", "true"]
    output = folder / ".output"
    output.touch()
    subprocess.run(
        argv,
        cwd=folder,
        env={**env, "GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output)},
        capture_output=True,
        check=True,
    )
    lines = output.read_text().splitlines()
    return next(after for line, after in itertools.pairwise(lines) if line.startswith("plan<<"))


def seconds(argv: list[str], folder: Path, env: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command and all that it waited for. Raises CalledProcessError."""
    before, began = os.times(), time.monotonic()
    subprocess.run(argv, cwd=folder, env=env, capture_output=True, check=True)
    wall, after = time.monotonic() - began, os.times()
    return wall, sum(after[2:4]) - sum(before[2:4])
