"""How well suites are split, beside pytest-split: on recorded durations of real suites.

`--record NAME` runs such a suite once, in an environment of its own, and keeps what it took under benchmarks/durations.
"""

import argparse
import statistics
from typing import Any

from suite_record import KEPT, SUITES, load, record
from suite_replay import ALGORITHMS, OURS, changed, ratios
from table import row, show

SHARDS = (8, 16)
SEEDS, QUICK = 20, 2
NEAR = 1.05  # longest shard ÷ lower bound


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", choices=[suite.name for suite in SUITES])
    parser.add_argument("--quick", action="store_true", help="less of everything: under a minute")
    parser.add_argument("--json")
    given = parser.parse_args()
    if given.record:
        record(next(suite for suite in SUITES if suite.name == given.record), KEPT)
        return
    show(rows(QUICK if given.quick else SEEDS), given.json)


def rows(seeds: int) -> list[dict[str, Any]]:
    return [*split_rows(), *changed_rows(seeds)]


def split_rows() -> list[dict[str, Any]]:
    """The recorded suites as they were; by seconds of tests and fixtures, then with the imports that a shard makes."""
    found = []
    for suite in SUITES:
        recorded = load(suite, KEPT)
        for collects in (False, True):
            by_count = ratios(recorded, [recorded], SHARDS, collects=collects)
            for count, ways in by_count.items():
                values = {name: round(one, 4) for name, (one,) in ways.items()}
                ours = values.pop(OURS)
                what = f"{suite.name}, {count} shards: longest ÷ bound{', with imports' * collects}"
                met = ours <= NEAR and ours <= min(values.values())
                found.append(row(what, ours, "", f"≤ {NEAR}, ≤ theirs", met, peers=values))
    return found


def changed_rows(seeds: int) -> list[dict[str, Any]]:
    """A tenth of the tests renamed, and a new one of 20 s."""
    found = []
    for suite in SUITES:
        recorded = load(suite, KEPT)
        lists = [changed(recorded, seed) for seed in range(seeds)]
        for collects in (False, True):
            for count, ways in ratios(recorded, lists, SHARDS, collects=collects).items():
                values = {name: round(statistics.mean(ways[name]), 3) for name in (OURS, *ALGORITHMS)}
                ours = values.pop(OURS)
                what = f"{suite.name} changed, {count} shards: longest ÷ bound{', with imports' * collects}, mean of {seeds}"
                found.append(row(what, ours, "", "≤ theirs", ours <= min(values.values()), peers=values))
    return found


if __name__ == "__main__":
    main()
