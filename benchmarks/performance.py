"""How often the performance gate is wrong: false alarms on equal code, and how many real slowdowns of 10% it finds.

Each run is a process of its own that times rounds of a small calculation, as a benchmark of a project does; the slower
side really calculates 10% more. All figures are of this machine and hour, nothing is simulated. Beside it, on the first
pair of the same runs: a fixed threshold on one run of each side, which is what projects do by hand.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from table import row, show

from cicd.core.performance import Budget
from cicd.core.performance_formats import read_measures
from cicd.core.regression import Figures, Look, figures, look, looks, order

COMPARISONS, QUICK = 200, 20
STEPS, SLOWER = 1000, 1.10  # of one round; about 0.06 ms
ROUNDS = 200
BUDGET = Budget(regression=5)
AT_ONCE = 3  # comparisons side by side: a shared machine
WORK = """
import sys, time
steps, rounds, times = int(sys.argv[1]), int(sys.argv[2]), []
def work():
    total = 0
    for number in range(steps):
        total += number * number
    return total
for _ in range(rounds):
    began = time.perf_counter()
    work()
    times.append(time.perf_counter() - began)
print('{"results": [{"command": "work", "times": %s}]}' % times)
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} comparisons of each kind, not {COMPARISONS}")
    parser.add_argument("--json")
    given = parser.parse_args()
    show(rows(QUICK if given.quick else COMPARISONS), given.json)


def rows(comparisons: int) -> list[dict[str, Any]]:
    """The figures of so many comparisons of each kind."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "work.py"
        program.write_text(WORK)
        equal = many(program, comparisons, STEPS)
        slower = many(program, comparisons, round(STEPS * SLOWER))
    alarms, found = failed(equal), failed(slower)
    unsure = [sum(one.judged[0].verdict == "inconclusive" for one, _ in each) for each in (equal, slower)]
    of = f"of {comparisons}"
    return [
        row(
            f"false alarms on equal code, {of}",
            percent(alarms, comparisons),
            "%",
            "≤ 2",
            alarms <= 0.02 * comparisons,
            peers=fixed(equal),
        ),
        row(
            f"real slowdowns of 10% that are found, {of}",
            percent(found, comparisons),
            "%",
            "≥ 90",
            found >= 0.9 * comparisons,
            peers=fixed(slower),
        ),
        row("inconclusive on equal code", percent(unsure[0], comparisons), "%"),
        row("inconclusive on code that is 10% slower", percent(unsure[1], comparisons), "%"),
        row("pairs until it is clear, equal code, mean", mean([len(pairs) for _, pairs in equal]), "pairs"),
        row("pairs until it is clear, 10% slower, mean", mean([len(pairs) for _, pairs in slower]), "pairs"),
        row("two runs of equal code that differ by more than 5%", noise(equal), "%"),
        row("seconds that all of it took", round(time.monotonic() - began), "s"),
    ]


Compared = tuple[Look, list[tuple[Figures, Figures]]]


def many(program: Path, comparisons: int, steps: int) -> list[Compared]:
    """Comparisons of STEPS with `steps`."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda _: compared(program, steps), range(comparisons)))


def compared(program: Path, steps: int) -> Compared:
    """One suite's gate, as run-suite goes about it: pairs in turns until a look is clear."""
    pairs: list[tuple[Figures, Figures]] = []
    for pair in range(BUDGET.pairs):
        found = {side: run(program, STEPS if side == "base" else steps) for side in order(pair)}
        pairs.append((found["base"], found["new"]))
        if len(pairs) in looks(BUDGET.pairs) and (seen := look(pairs, BUDGET)).clear:
            return seen, pairs
    raise AssertionError("the last look is clear")


def run(program: Path, steps: int) -> Figures:
    argv = [sys.executable, "-I", "-S", str(program), str(steps), str(ROUNDS)]
    done = subprocess.run(argv, capture_output=True, check=True)
    return figures(read_measures(done.stdout, "work"), BUDGET)


def failed(compared: list[Compared]) -> int:
    return sum(seen.judged[0].verdict == "failed" for seen, _ in compared)


def fixed(compared: list[Compared]) -> dict[str, float]:
    """Share that a fixed threshold on the first run of each side calls too slow."""
    ratios = [pairs[0][1]["work"] / pairs[0][0]["work"] for _, pairs in compared]
    return {
        f"fixed {limit}% on one run": percent(sum(ratio > 1 + limit / 100 for ratio in ratios), len(ratios))
        for limit in (10, 5)
    }


def noise(compared: list[Compared]) -> float:
    ratios = [new["work"] / base["work"] for _, pairs in compared for base, new in pairs]
    return percent(sum(abs(ratio - 1) > 0.05 for ratio in ratios), len(ratios))


def percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1)


def mean(values: list[int]) -> float:
    return round(sum(values) / len(values), 1)


if __name__ == "__main__":
    main()
