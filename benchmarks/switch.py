"""Measures switches and rollbacks of ours and others under traffic of all kinds; see benchmarks/switch."""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from table import row, show
from ways import WAYS, Way

from tests.docker.lab import Lab
from tests.docker.load import Load, Seen

WITHIN = 120.0  # seconds that a switch has
SETTLED = 6.0  # seconds of traffic between two: longer than connections have to end, as nobody deploys that fast


@dataclass
class Found:
    """What was measured of a way. Seconds are from a command's start."""

    seen: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    sent: int = 0
    lost: int = 0
    how: dict[str, int] = field(default_factory=dict)
    goodbyes: int = 0
    longest: int = 0


def measure(way: Way, images: Iterator[str], switches: int, rollbacks: int) -> Found:
    """So many switches, with the rollbacks between them, every other one cold."""
    found, seen = Found(), Seen(way.port, way.trusted)
    before = next(images)
    way.deploy(before)
    seen.change(lambda release: False, WITHIN)
    every = max(1, switches // rollbacks) if rollbacks else switches + 1
    with Load(way.port, way.trusted).running() as load:
        time.sleep(SETTLED)
        for number in range(1, switches + 1):
            image = next(images)
            took = timed(seen, lambda image=image: way.deploy(image), load)  # type: ignore[misc]
            found.seen.append(took[0])
            found.ended.append(took[1])
            back = number // every
            if number % every == 0 and back <= rollbacks:
                cold = back % 2 == 0
                took = timed(seen, way.back(before, cold=cold), load)
                (found.cold if cold else found.warm).append(took[0])
            else:
                before = image
    found.sent, found.lost, found.how = load.sent.total(), load.lost.total(), dict(load.lost)
    found.goodbyes, found.longest = load.goodbyes, load.longest
    return found


def timed(seen: Seen, act: Callable[[], None], load: Load) -> tuple[float, float]:
    """Seconds until all traffic that begins anew goes to another release than before, and until the command ends."""
    while not (old := seen.now()):
        time.sleep(0.1)
    ended: list[float] = []
    failed: list[BaseException] = []

    def command() -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)
        ended.append(time.monotonic())

    started = time.monotonic()
    thread = threading.Thread(target=command)
    thread.start()
    try:
        changed = seen.change(lambda release: release == old, WITHIN, lambda: bool(failed))
    finally:
        thread.join()
    if failed:
        raise failed[0]
    load.switched()
    time.sleep(SETTLED)
    return changed - started, ended[0] - started


def figures(all_: dict[str, Found], switches: int, rollbacks: int) -> list[dict[str, object]]:
    """The rows."""
    ours, *_ = all_.values()
    others = {name: one for name, one in all_.items() if one is not ours}

    def beside(of: Callable[[Found], float]) -> dict[str, float]:
        return {name: of(one) for name, one in others.items()}

    rows = [
        row(
            f"lost in {switches} switches and {rollbacks} rollbacks",
            ours.lost,
            "requests",
            "0",
            ours.lost == 0,
            peers=beside(lambda one: one.lost),
        ),
        row("requests, messages and uploads meanwhile", ours.sent, "requests", peers=beside(lambda one: one.sent)),
        row("switches that a WebSocket lived through", ours.longest, "switches", peers=beside(lambda one: one.longest)),
        row("WebSockets that were told goodbye", ours.goodbyes, "Close frames", peers=beside(lambda one: one.goodbyes)),
    ]
    parts: list[tuple[str, str, Callable[[Found], Sequence[float]], float]] = [
        ("a new release, to verified traffic", "< 1", lambda one: one.seen, 0),
        ("a new release, whole command", "", lambda one: one.ended, 0),
        ("rollback warm, to verified traffic", "< 1", lambda one: one.warm, 2),
        ("rollback cold, to verified traffic", "< 1", lambda one: one.cold, 15),
    ]
    for what, goal, of, limit in parts:
        if not of(ours):
            continue
        # Others have nothing warm: what they do is the same each time.
        same = (lambda one: [*one.warm, *one.cold]) if limit else of
        p95 = middle = round(statistics.median(of(ours)), 2)
        if limit:
            p95 = round(max(of(ours)), 2)
            rows.append(row(f"{what}, slowest of {len(of(ours))}", p95, "s", f"≤ {limit:g}", p95 <= limit))
        peers = {name: round(statistics.median(same(one)), 2) for name, one in others.items()}
        rows.append(row(f"{what}, median", middle, "s", peers=peers))
        if goal and peers:
            ratios = {name: round(middle / value, 2) for name, value in peers.items()}
            worst = max(ratios.values())
            rows.append(row(f"{what}, ours ÷ theirs, worst", worst, "", goal, worst < 1, peers=ratios))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure switches and rollbacks under traffic, ours and others'.")
    parser.add_argument("--switches", type=int, default=50, help="to new releases (default: 50)")
    parser.add_argument("--rollbacks", type=int, default=10, help="among them, every other one cold (default: 10)")
    parser.add_argument("--ways", default="", help="names, separated by commas (default: all)")
    parser.add_argument("--json", metavar="FILE", help="keep the rows")
    given = parser.parse_args()
    wanted = [way for way in WAYS if not given.ways or way.name in given.ways.split(",")]
    found: dict[str, Found] = {}
    with Lab() as lab:
        for kind in wanted:
            with tempfile.TemporaryDirectory() as folder:
                way = kind(Path(folder), lab)
                try:
                    images = (lab.image(f"{kind.__name__}-{number}", revision=way.revision) for number in range(10**6))
                    found[way.name] = measure(way, images, given.switches, given.rollbacks)
                finally:
                    way.close()
            print(f"{way.name}: {found[way.name]}", flush=True)
    show(figures(found, given.switches, given.rollbacks), given.json)


if __name__ == "__main__":
    main()
