"""Splits and shards of real suites beside pytest-split and xdist, and what run-suite costs around pytest.

`--record NAME` runs such a suite once, in an environment of its own, and keeps what it took under benchmarks/durations.
"""

import argparse
import statistics
from typing import Any

import suite_overhead
import suite_shards
from suite_record import KEPT, SUITES, Recorded, load, record
from suite_replay import ALGORITHMS, OURS, changed, ratios
from table import row, show

SHARDS = (8, 16)
SEEDS, ROUNDS = 20, 9
PART = ("networkx/classes", "networkx/utils")
KINDS = ("split", "changed", "shards", "overhead")
NEAR = 1.05  # longest shard ÷ lower bound


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", choices=[suite.name for suite in SUITES])
    parser.add_argument("--only", choices=KINDS, help="these rows alone")
    parser.add_argument("--quick", action="store_true", help="less of everything: in two minutes")
    parser.add_argument("--json")
    given = parser.parse_args()
    if given.record:
        record(next(suite for suite in SUITES if suite.name == given.record), KEPT)
        return
    kinds = [given.only] if given.only else KINDS
    show([found for kind in kinds for found in rows(kind, quick=given.quick)], given.json)


def rows(kind: str, *, quick: bool) -> list[dict[str, Any]]:
    """One of KINDS, whole or with less of all."""
    if kind == "split":
        return split_rows()
    if kind == "changed":
        return changed_rows(2 if quick else SEEDS)
    if kind == "shards":
        return suite_shards.rows(PART if quick else ())
    return suite_overhead.rows(3 if quick else ROUNDS)


def known(suite: str) -> Recorded:
    """What is kept of it."""
    recorded = load(next(one for one in SUITES if one.name == suite), KEPT)
    assert recorded, f"{suite} is committed"
    return recorded


def split_rows() -> list[dict[str, Any]]:
    """The recorded suites as they were; by seconds of tests and fixtures, then with the imports that a shard makes."""
    found = []
    for suite in SUITES:
        recorded = known(suite.name)
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
        recorded = known(suite.name)
        lists = [changed(recorded, seed) for seed in range(seeds)]
        for collects in (False, True):
            for count, ways in ratios(recorded, lists, SHARDS, collects=collects).items():
                values = {name: round(statistics.mean(ways[name]), 3) for name in (OURS, *ALGORITHMS)}
                ours = values.pop(OURS)
                imports = ", with imports" * collects
                what = f"{suite.name} changed, {count} shards: longest ÷ bound{imports}, mean of {seeds}"
                found.append(row(what, ours, "", "≤ theirs", ours <= min(values.values()), peers=values))
    return found


if __name__ == "__main__":
    main()
