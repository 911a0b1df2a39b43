"""Measures rollback and recovery on a consumer with LocalHub, nginx and PostgreSQL; see benchmarks/rollback."""

import argparse
import contextlib
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from table import row, show

from tests.sweep.swept import Swept, swept
from tests.world import ENTRY, NAME

ROLLBACK = ["rollback", "--environment", "staging"]
RECOVER = ["recover", "--environment", "staging"]
WARM, COLD = 50, 10


def command(site: Swept, arguments: list[str]) -> tuple[float, dict[str, Any]]:
    """Seconds of a whole command, from its start to its end, and its result."""
    started = time.monotonic()
    argv = [sys.executable, "-I", str(ENTRY), *arguments, "--json"]
    done = subprocess.run(argv, env=site.job(), cwd=site.app.repository, capture_output=True, text=True, check=False)
    took = time.monotonic() - started
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["decision"] in ("done", "planned"), result
    return took, result


def p95(values: list[float]) -> float:
    """The nearest-rank 95th percentile."""
    return round(statistics.quantiles(values, n=20, method="inclusive")[-1], 2)


def rollbacks(site: Swept, count: int, *, warm: bool) -> list[float]:
    """Seconds of `cicd rollback`, the old slot alive or not."""
    took = []
    for _ in range(count):
        command(site, site.promotion())
        if not warm:
            running = site.app.site().running()
            site.app.site().engine.stop("green" if running.slot == "blue" else "blue")
        took.append(command(site, ROLLBACK)[0])
    return took


def redeploys(site: Swept, count: int) -> list[float]:
    """Seconds of what most tools call rollback: the older image is deployed once more."""
    took = []
    for _ in range(count):
        older = site.app.site().running().release
        assert older is not None
        command(site, site.promotion())
        again = ["promote", "--environment", "staging", "--image", older.image, "--sha", older.sha, "--force", "true"]
        took.append(command(site, again)[0])
    return took


def switches(site: Swept, count: int, seed: int) -> tuple[int, int, int]:
    """Switch so often, with a kill at a random time in every third; gives kills, requests, and lost ones."""
    chance, kills = random.Random(seed), 0
    sent, broken = site.traffic.sent, 0
    for number in range(count):
        arguments = ROLLBACK if number % 3 == 2 else site.promotion()
        if number % 3 == 0:
            argv = [sys.executable, "-I", str(ENTRY), *arguments]
            with subprocess.Popen(
                argv, env=site.job(), cwd=site.app.repository, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as child:
                time.sleep(chance.uniform(0.2, 2.0))
                child.send_signal(signal.SIGKILL)
            kills += child.returncode == -signal.SIGKILL
            command_or_nothing(site)
        else:
            command(site, arguments)
        broken += len(site.traffic.wrong)
        site.traffic.wrong.clear()
    assert site.broken() == []
    return kills, site.traffic.sent - sent, broken


def command_or_nothing(site: Swept) -> None:
    """Recover; there may be nothing to recover."""
    assert not (said := site.run(RECOVER)), said


def many_deployments(site: Swept, count: int) -> int:
    """GitHub calls to find the release to go back to, behind so many deployments that failed."""
    command(site, site.promotion())
    sha, hub = site.app.git("rev-parse", "HEAD"), site.world.hub
    body = {"ref": sha, "task": "cicd", "environment": "staging", "required_contexts": [], "auto_merge": False}
    for number, share in enumerate(parts(count, 4000)):  # a person has 5,000 calls an hour
        person = hub.admin("POST", "/users", {"login": f"robot{number}"})
        for _ in range(share):
            hub.call("POST", f"/repos/{NAME}/deployments", person["token"], {**body, "payload": {"cicd": 1}})
    return int(command(site, [*ROLLBACK, "--dry-run", "true"])[1]["data"]["github_calls"])


@contextlib.contextmanager
def world(*, migrating: bool = False, clients: int = 8) -> Iterator[Swept]:
    """A new one for each part: LocalHub counts calls as GitHub does, and a repository has 1,000 an hour."""
    with tempfile.TemporaryDirectory() as folder, swept(Path(folder), migrating=migrating, clients=clients) as site:
        yield site


def parts(count: int, most: int) -> list[int]:
    """So many, in parts."""
    return [min(most, count - done) for done in range(0, count, most)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure rollback and recovery.")
    parser.add_argument("--switches", type=int, default=200, help="with a kill in every third (default: 200)")
    parser.add_argument("--deployments", type=int, default=10_000, help="in the ledger (default: 10000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", help="keep the rows")
    given = parser.parse_args()
    took: list[float] = []
    for count in parts(WARM, 25):
        with world() as site:
            took += rollbacks(site, count, warm=True)
    warm = p95(took)
    with world() as site:
        calls = command(site, site.promotion())[1]["data"]["github_calls"]
        again, cold = p95(redeploys(site, COLD)), p95(rollbacks(site, COLD, warm=False))
    kills = sent = lost = 0
    for number, count in enumerate(parts(given.switches, 25)):
        with world() as site:
            found = switches(site, count, given.seed + number)
        kills, sent, lost = kills + found[0], sent + found[1], lost + found[2]
    with world(clients=1) as site:
        looks = many_deployments(site, given.deployments)
    with world(migrating=True, clients=2) as site:
        schema = p95(rollbacks(site, COLD, warm=True))
    beside = {"redeploy of the older image": again}
    show(
        [
            row(f"rollback warm, whole command, p95 of {WARM}", warm, "s", "≤ 2", warm <= 2, peers=beside),
            row(f"rollback cold, whole command, p95 of {COLD}", cold, "s", "≤ 15", cold <= 15, peers=beside),
            row(f"rollback warm with a migration, whole command, p95 of {COLD}", schema, "s"),
            row(f"requests lost in {given.switches} switches with {kills} kills", lost, "requests", "0", lost == 0),
            row("requests meanwhile", sent, "requests", "≥ 100000", sent >= 100_000),
            row("promote, GitHub API calls", calls, "calls", "≤ 12", calls <= 12),
            row(f"finding the last healthy of {given.deployments} deployments", looks, "calls", "≤ 2", looks <= 2),
        ],
        given.json,
    )


if __name__ == "__main__":
    main()
