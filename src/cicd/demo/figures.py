"""The demo's figures, as rows that can be kept: what, value, unit, goal, met."""

import platform
import statistics
import sys
import time
from typing import Any

from cicd.adapters.act import CHECKOUT
from cicd.adapters.process import run
from cicd.demo.story import Told

BOOTSTRAP = CHECKOUT / "bin" / "bootstrap"


def row(what: str, value: float | None, unit: str, goal: str, met: bool | None) -> dict[str, Any]:
    return {"what": what, "value": value, "unit": unit, "goal": goal, "met": met, "peers": {}}


def figures(told: Told, leaked: list[str], seconds: float, env: dict[str, str]) -> list[dict[str, Any]]:
    """All figures of one demo; each was measured in it. `leaked`: places in which a secret was found."""
    count = told.count
    automatic = [
        result["data"]["rollback_seconds"]
        for played in told.runs.values()
        for result in played.of("promote")
        if result["outputs"].get("verdict") == "rolled-back"
    ]
    calls = [result["data"]["github_calls"] for played in told.runs.values() for result in played.of("promote")]
    again = bootstrap_again(env)
    rollback = told.runs["rollback"].of("rollback")[0]["data"]["seconds"]
    return [
        row("requests through the production router", count.sent, "requests", "≥ 10000", count.sent >= 10_000),
        row("requests lost", count.lost, "requests", "0", count.lost == 0),
        row("5xx that the broken release answered itself", sum(count.errors.values()), "requests", "", None),
        row("automatic rollback, verdict to verified traffic", max(automatic), "s", "≤ 2", max(automatic) <= 2),
        row("rollback by hand, all steps", round(sum(rollback.values()), 3), "s", "", None),
        row("the demo, environment already built", round(seconds, 1), "s", "≤ 120", seconds <= 120),
        row("bootstrap, second time in a job", round(again, 3), "s", "≤ 0.2", again <= 0.2),
        row(
            "places with a secret: logs, outputs, summaries, journals, databases",
            len(leaked),
            "places",
            "0",
            not leaked,
        ),
        row("GitHub API calls of one promote, at most", max(calls), "calls", "≤ 12", max(calls) <= 12),
    ]


def bootstrap_again(env: dict[str, str]) -> float:
    """Seconds until an environment that is there is found again; median of 9."""
    argv = [sys.executable, "-I", "-S", str(BOOTSTRAP), "--env", "core", "--print"]
    took = []
    for _ in range(9):
        started = time.monotonic()
        run(argv, env=env)
        took.append(time.monotonic() - started)
    return statistics.median(took)


def machine() -> str:
    """What the figures were measured on."""
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
