"""A shop under traffic that is killed at point after point, and what must hold after recovery."""

import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cicd.adapters.docker import Container, Docker
from cicd.adapters.github import GitHub
from cicd.adapters.localhub import LocalHub
from cicd.adapters.runner import Runner
from cicd.core.ledger import current
from cicd.core.plan import Running, idle
from tests.docker.lab import Lab
from tests.docker.shop import Shop
from tests.sweep.commands import Commands
from tests.sweep.swept import Traffic
from tests.world import DEVELOPER, NAME, hub_of

SETTINGS = 'canary: {{share: 30%, for: 300ms}}\n  env: {{GREETING: "hello from v{}"}}'


@dataclass
class SweptShop(Commands):
    """The shop, its GitHub, and a count of versions."""

    shop: Shop
    hub: LocalHub
    traffic: Traffic
    count: int = 0

    @property
    def folder(self) -> Path:
        return self.shop.folder

    @property
    def repository(self) -> Path:
        return self.shop.repository

    def job(self) -> dict[str, str]:
        sha = self.shop.git("rev-parse", "HEAD")
        run = self.hub.new_run(NAME, ".github/workflows/pipeline.yml", "push", sha, "dana")
        return {
            **self.shop.runner().env,
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_API_URL": self.hub.url,
            "GITHUB_SERVER_URL": self.hub.url,
            "GITHUB_SHA": sha,
            "GITHUB_RUN_ID": str(run.id),
            "GITHUB_TOKEN": run.token,
        }

    def promotion(self) -> list[str]:
        """Of the next version, with a changed setting: so its plan has a step for the services, too."""
        self.count += 1
        self.shop.configure(extra=SETTINGS.format(self.count))
        self.shop.commit()
        return ["promote", "--environment", "production", "--image", self.shop.release(f"v{self.count}")]

    def broken(self) -> list[str]:
        """What does not hold, of all that must hold when nobody is at work. Empty is good."""
        found = self.traffic.wrong[:3]
        self.traffic.wrong.clear()
        site = self.shop.project().site
        state, running = site.target.state(), site.running()
        if state.unfinished or state.unrecorded or running.release is None:
            return [*found, f"the journal is not at rest: {state}"]
        record = site.target.record(running.release.id)
        right = (running.release.id, record.deploy.env["GREETING"])
        if (said := self.shop.ask()) != right:
            found.append(f"{said} answers, and should be {right}")
        return [*found, *self._ledger(running), *self._containers(running), *self._images()]

    def _ledger(self, running: Running) -> list[str]:
        ledger = GitHub(Runner(self.job(), self.shop.said), DEVELOPER).ledger(["production"])
        said = current(ledger, "production")
        assert running.release is not None
        wrong = said is None or said.release.id != running.release.id
        return [
            *([f"the ledger says {said and said.release.id}, {running.release.id} runs"] if wrong else []),
            *(f"deployment {entry.id} has no verdict" for entry in ledger if entry.verdict == "in-progress"),
        ]

    def _containers(self, running: Running) -> list[str]:
        """Containers that should not be there, and those that lack."""
        assert running.release is not None
        docker = Docker(self.shop.project().site.target.host)
        found = docker.containers_by(["--filter=name=^/?shop"]) + docker.containers_by(
            ["--filter=label=cicd.role=look"]
        )
        names = sorted(re.sub(r"-\d+$", "", one.name) for one in found)
        slot = running.slot
        wanted = {f"shop-{slot}-{part}-{slot}" for part in ("api", "worker", "cron")} | {"shop-api", "shop-redis"}
        warm = f"shop-{idle(slot)}-api-{idle(slot)}"
        wrong = [] if sorted(wanted) == [name for name in names if name != warm] else [f"{names} are there"]
        return [
            *wrong,
            *(f"{one.name} is {one.state}" for one in found if one.state != "running"),
            *(f"{one.name} is of {one.labels['cicd.release']}" for one in found if _strange(one, slot, running)),
        ]

    def _images(self) -> list[str]:
        """Images that are kept for a release that is not there."""
        target = self.shop.project().site.target
        there = self.shop.engines[0].docker("image", "ls", "--format={{.Tag}}", "cicd/shop/production").split()
        return [f"an image of {tag} is kept" for tag in there if not target.has(tag)]


def _strange(container: Container, slot: str, running: Running) -> bool:
    """Whether a container of the slot that serves is of another release."""
    assert running.release is not None
    return f"-{slot}-" in container.name and container.labels["cicd.release"] != running.release.id


@contextmanager
def swept_shop(folder: Path, lab: Lab) -> Iterator[SweptShop]:
    """A shop with v1 and v2 promoted, under traffic."""
    shop = Shop(folder, lab, watch="500ms", within="40s", samples=1)
    with contextlib.ExitStack() as stack:
        stack.callback(shop.close)
        hub = stack.enter_context(hub_of(shop))
        made = SweptShop(shop, hub, Traffic(shop.port))
        for _ in range(2):
            assert not (said := made.run(made.promotion())), said
        stack.enter_context(made.traffic.running(2))
        yield made
