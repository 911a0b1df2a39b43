"""A pytest plugin for benchmarks/suite: seconds of fixtures by the module or class that they belong to.

The receipt counts them by file; the replay wants to charge a shard for the classes that it runs, no more.
It is loaded by `-p suite_recorder`, beside `cicd_shard`; SUITE_FIXTURES names the JSON that it writes.
"""

import json
import os
from typing import Any

import pytest
from cicd_shard import Stopwatch


class ByNode(Stopwatch):
    """The plugin's own stopwatch, which names the module or class instead of its file."""

    def place(self, request: Any, scope: str) -> str:
        return str(request.node.nodeid) if scope in ("module", "class") else ""

    def pytest_sessionfinish(self) -> None:
        found: dict[str, float] = {}
        for node, seconds in self.shared:
            found[node] = found.get(node, 0.0) + seconds
        with open(os.environ["SUITE_FIXTURES"], "w", encoding="utf-8") as file:
            json.dump(found, file)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(ByNode(), "suite-recorder")
