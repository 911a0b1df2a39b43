"""What pytest-split's own classes make of tests and durations; run by the Python of an environment that has it.

JSON in: {"durations": id -> seconds, "lists": [ids in the order of collection], "shards": [numbers]}. JSON out: for
each list, each number of shards and each algorithm which shard (from 0) runs which test.
"""

import json
import sys
from typing import Any

from pytest_split.algorithms import Algorithms  # type: ignore[import-not-found]


class Item:
    """What the algorithms look at of a test."""

    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid

    def __str__(self) -> str:
        return f"<Function {self.nodeid.rpartition('::')[2]}>"  # as pytest's; ties are broken by it


def owners(algorithm: Any, ids: list[str], durations: dict[str, float], shards: int) -> list[int]:
    groups = algorithm.value(shards, [Item(test) for test in ids], dict(durations))
    found = {item.nodeid: number for number, group in enumerate(groups) for item in group.selected}
    return [found[test] for test in ids]


def main() -> None:
    asked = json.load(sys.stdin)
    said = [
        {
            str(shards): {one.name: owners(one, ids, asked["durations"], shards) for one in Algorithms}
            for shards in asked["shards"]
        }
        for ids in asked["lists"]
    ]
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
