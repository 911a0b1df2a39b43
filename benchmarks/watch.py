"""A watch by metrics: simulated releases by the hundred, and a real one behind a real Prometheus with a 15 s scrape."""

import argparse
import json
import random
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from table import row, show

from cicd.core.conditions import Answered, Told, held
from cicd.core.config import Condition, Watch
from cicd.core.watch import Seen, Traffic, judge
from tests.commands.site import Consumer, consumer, free_ports
from tests.commands.users import Users

RELEASES = 500
SCRAPE, WATCH = 15.0, 120.0  # seconds
NORMAL, BAD = 0.005, 0.05  # share of errors
ALLOWED = 1.0  # percent
POLICY = Watch(seconds=WATCH)
CONDITION = Condition(bad="bad", of="of", share=ALLOWED)
CONFIG = """
global: {{scrape_interval: {scrape:g}s}}
scrape_configs:
- job_name: tiny
  static_configs:
  - {{targets: ["127.0.0.1:{blue}"], labels: {{slot: blue}}}}
  - {{targets: ["127.0.0.1:{green}"], labels: {{slot: green}}}}
"""
FAILED = 'orders_total{slot="$slot",result="failed"}'
ALL = 'orders_total{slot="$slot"}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of the real one (default: 5)")
    parser.add_argument("--json")
    given = parser.parse_args()
    show([*simulated(), *real(given.rounds)], given.json)


def simulated() -> list[dict[str, Any]]:
    """Healthy releases that are taken back, and bad ones that are not."""
    chance = random.Random(20261123)
    healthy = [release(chance, NORMAL) for _ in range(RELEASES)]
    bad = [release(chance, BAD) for _ in range(RELEASES)]
    alarms, missed = (
        100 * statistics.mean(wrong) for wrong in ((one[0] for one in healthy), (not one[0] for one in bad))
    )
    fixed_alarms, fixed_missed = (
        100 * statistics.mean(wrong) for wrong in ((one[1] for one in healthy), (not one[1] for one in bad))
    )
    fixed = f"any scrape over {ALLOWED:g}%"
    return [
        row(
            f"false rollbacks of {RELEASES} healthy releases",
            alarms,
            "%",
            "≤ 1",
            alarms <= 1,
            peers={fixed: fixed_alarms},
        ),
        row(f"bad releases missed, of {RELEASES}", missed, "%", "≤ 2", missed <= 2, peers={fixed: fixed_missed}),
    ]


def release(chance: random.Random, share: float) -> tuple[bool, bool]:
    """Whether our watch takes it back, and a fixed threshold.

    Traffic is noisy: requests of a scrape vary by a factor of ten, and so does, by a third, the share that fails.
    """
    usual = chance.uniform(20, 400)  # requests of a scrape

    def scrape(mean: float) -> tuple[int, int]:
        requests = round(usual * chance.lognormvariate(0, 0.5))
        rate = mean * chance.gammavariate(9, 1 / 9)
        return requests, sum(chance.random() < rate for _ in range(requests))

    def total(scrapes: list[tuple[int, int]]) -> Answered:
        return Answered(sum(bad for _, bad in scrapes), sum(requests for requests, _ in scrapes))

    before = total([scrape(NORMAL) for _ in range(40)])
    seen: list[tuple[int, int]] = []
    ours = fixed = False
    for look in range(int(WATCH / SCRAPE)):
        seen.append(scrape(share))
        told = {"checkout": Told(total(seen), before)}
        checks = held({"checkout": CONDITION}, told, POLICY.samples)
        ours |= judge(Seen(Traffic(1000)), Seen(), POLICY, look * SCRAPE, WATCH, checks)[0] == "failed"
        requests, bad = seen[-1]
        fixed |= requests >= POLICY.samples and 100 * bad > ALLOWED * requests
    return ours, fixed


def real(rounds: int) -> list[dict[str, Any]]:
    """From the first scrape that has an error to the end of the rollback; users' errors show in metrics alone."""
    took = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "repository").mkdir()
            for app in consumer(Path(folder)):
                with prometheus(app) as url:
                    took.append(once(app, url))
    worst = max(took)
    return [
        row(
            f"first bad sample → rolled back, slowest of {rounds}, {SCRAPE:g} s scrape",
            round(worst, 1),
            "s",
            "≤ 30",
            worst <= 30,
        ),
        row("the same, median", round(statistics.median(took), 1), "s"),
    ]


def once(app: Consumer, url: str) -> float:
    """Seconds."""
    app.promote(app.commit("v1"))
    queries = f"{{bad: 'sum(increase({FAILED}[$window]))', of: 'sum(increase({ALL}[$window]))', share: {ALLOWED:g}%}}"
    app.limits = f", metrics: {{url: '{url}', conditions: {{orders: {queries}}}}}"
    app.watch, app.samples = f"{WATCH:g}s", POLICY.samples
    with Users(app.ports[0]).running():
        result = app.promote(app.commit("v2", "unhappy"))
        ended = time.time()
    assert result.outputs["verdict"] == "rolled-back", result.message
    return ended - first_bad(url)


def first_bad(url: str) -> float:
    """When the first sample was scraped that has an error, in seconds since the epoch."""
    query = FAILED.replace("$slot", "green") + "[10m]"
    with urllib.request.urlopen(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}") as answer:
        series = json.load(answer)["data"]["result"]
    return min(float(at) for one in series for at, value in one["values"] if float(value) > 0)


@contextmanager
def prometheus(app: Consumer) -> Iterator[str]:
    """A real one that scrapes both slots; its URL."""
    program = shutil.which("prometheus")
    assert program, "apt install prometheus"
    config, port = app.folder / "prometheus.yml", free_ports(1)[0]
    config.write_text(CONFIG.format(scrape=SCRAPE, blue=app.ports[1], green=app.ports[2]))
    argv = [program, f"--config.file={config}", f"--storage.tsdb.path={app.folder / 'tsdb'}"]
    with (app.folder / "prometheus.log").open("w") as log:
        server = subprocess.Popen([*argv, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
