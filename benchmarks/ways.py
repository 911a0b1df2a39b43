"""Ways to have a new image run in place of an old one, on one Docker Engine behind one edge: ours, and others'.

An edge in front of the others looks the service's name up every second, which is the best that nginx can do for them.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from cicd.adapters.localhub import LocalHub
from tests.commands.site import free_ports
from tests.docker import edge
from tests.docker.engine import Engine
from tests.docker.lab import Lab
from tests.docker.shop import Shop
from tests.world import ENTRY, NAME, hub_of

HEALTHY_WITHIN = 60  # seconds


class Way(Protocol):
    """A way to deploy. `port`: the edge's; `trusted`: its certificate; `revision`: a commit that its images are of."""

    name: str
    revision: str
    port: int
    trusted: Path

    def deploy(self, image: str) -> None:
        """Have this image run, and no other."""

    def back(self, image: str, *, cold: bool) -> Callable[[], None]:
        """What brings the image before back, whose slot is alive or not (`cold`); made ready, and begun by a call."""

    def close(self) -> None:
        """Remove all of it."""


class Ours:
    """`cicd promote` and `cicd rollback`: whole commands, Python's start and all calls of GitHub included."""

    name = "ours"

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.port = free_ports(1)[0]
        self._shop = Shop(folder, lab, compose=edge.compose(lab.part("nginx"), self.port))
        data = folder / "targets" / "shop" / "production" / "data"
        self.trusted = edge.make_certificate(data / "certs")
        self._shop.write("nginx/nginx.conf", edge.conf())
        self.revision = self._shop.commit()
        self._stack = ExitStack()
        self._hub: LocalHub = self._stack.enter_context(hub_of(self._shop))

    def deploy(self, image: str) -> None:
        self._run("promote", "--environment", "production", "--image", image)

    def back(self, image: str, *, cold: bool) -> Callable[[], None]:
        site = self._shop.project().site
        if cold:
            site.engine.stop("green" if site.running().slot == "blue" else "blue")
        return lambda: self._run("rollback", "--environment", "production")

    def close(self) -> None:
        self._stack.close()
        self._shop.close()

    def _run(self, *arguments: str) -> None:
        sha = self._shop.git("rev-parse", "HEAD")
        run = self._hub.new_run(NAME, ".github/workflows/pipeline.yml", "push", sha, "dana")
        urls = {"GITHUB_API_URL": self._hub.url, "GITHUB_SERVER_URL": self._hub.url}
        about = {"GITHUB_REPOSITORY": NAME, "GITHUB_RUN_ID": str(run.id), "GITHUB_TOKEN": run.token}
        argv = [sys.executable, "-I", str(ENTRY), *arguments, "--json"]
        env = {**self._shop.runner().env, **urls, **about}
        done = subprocess.run(argv, env=env, cwd=self._shop.repository, capture_output=True, text=True, check=False)
        result: dict[str, Any] = json.loads(done.stdout or "{}")
        if result.get("decision") != "done":
            raise RuntimeError(f"{arguments[0]}: {result}\n{done.stderr[-3000:]}")


class _Composed:
    """A project with its edge, and the commands of Docker Compose."""

    name = ""
    revision = ""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.port = free_ports(1)[0]
        self.trusted = edge.make_certificate(folder / "certs")
        (folder / "nginx").mkdir()
        (folder / "nginx" / "nginx.conf").write_text(edge.conf(looked_up=True))
        (folder / "docker-compose.yml").write_text(edge.compose(lab.part("nginx"), self.port))
        self._folder, self._engine = folder, lab.engine
        self._image = ""

    def deploy(self, image: str) -> None:
        raise NotImplementedError

    def back(self, image: str, *, cold: bool) -> Callable[[], None]:
        return lambda: self.deploy(image)  # the older one once more: there is nothing that could be warm

    def close(self) -> None:
        self._compose("down", "--volumes")

    def _compose(self, *arguments: str) -> str:
        return ask(self._engine, ["compose", *arguments], self._folder, settings(self._image))


class ComposeUp(_Composed):
    """What most projects do."""

    name = "docker compose up -d"

    def deploy(self, image: str) -> None:
        self._image = image
        self._compose("up", "--detach")


class Rollout(_Composed):
    """The way of docker-rollout: as many containers again of the new image, wait for their health, remove the old."""

    name = "docker-rollout's way"

    def deploy(self, image: str) -> None:
        first, self._image = not self._image, image
        if first:
            self._compose("up", "--detach")
            return
        old = set(self._compose("ps", "--quiet", "api").split())
        self._compose("up", "--detach", "--scale", f"api={2 * len(old)}", "--no-recreate", "api")
        new = set(self._compose("ps", "--quiet", "api").split()) - old
        wait_for_health(self._engine, new)
        self._engine.docker("stop", *old)
        self._engine.docker("rm", *old)


class ServiceUpdate:
    """`docker service update` on a swarm of one node, the new task first."""

    name = "docker service update"
    revision = ""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.port = free_ports(1)[0]
        self.trusted = edge.make_certificate(folder / "certs")
        (folder / "nginx.conf").write_text(edge.conf(looked_up=True))
        self._folder, self._engine, self._nginx = folder, lab.engine, lab.part("nginx")
        self._runs = False
        self._engine.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
        self._engine.docker("network", "create", "--driver=overlay", "--attachable", "switched")

    def deploy(self, image: str) -> None:
        if self._runs:
            given = [f"--image={image}", f"--env-add=CICD_RELEASE={settings(image)['CICD_RELEASE']}"]
            self._engine.docker("service", "update", "--quiet", *given, "api")
            return
        about = ["--name=api", "--network=switched", "--endpoint-mode=dnsrr", "--update-order=start-first"]
        own = ["--stop-grace-period=15s", f"--env=CICD_RELEASE={settings(image)['CICD_RELEASE']}"]
        self._engine.docker("service", "create", "--quiet", *about, *own, image)
        conf = f"--volume={self._folder}/nginx.conf:/etc/nginx/nginx.conf:ro"
        certs = f"--volume={self._folder}/certs:/etc/nginx/certs:ro"
        place = ["--network=switched", f"--publish=127.0.0.1:{self.port}:443", "--name=switched-edge"]
        self._engine.docker("run", "--detach", *place, conf, certs, self._nginx)
        self._runs = True

    def back(self, image: str, *, cold: bool) -> Callable[[], None]:
        return lambda: self.deploy(image)

    def close(self) -> None:
        self._engine.docker("rm", "--force", "switched-edge", check=False)
        self._engine.docker("service", "rm", "api", check=False)
        self._engine.docker("swarm", "leave", "--force")


WAYS: tuple[Callable[[Path, Lab], Way], ...] = (Ours, ComposeUp, Rollout, ServiceUpdate)


def settings(image: str) -> dict[str, str]:
    """What the compose file asks for; the release goes by its image."""
    return {"IMAGE": image, "CICD_RELEASE": image[-12:]}


def ask(engine: Engine, arguments: list[str], folder: Path, env: Mapping[str, str]) -> str:
    """Run `docker` in a folder; what it says on stdout."""
    given = {**os.environ, **engine.environment, **env}
    done = subprocess.run(
        ["docker", *arguments], cwd=folder, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"docker {arguments} ends with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def wait_for_health(engine: Engine, containers: set[str]) -> None:
    """Wait until all are healthy, and look every second, as docker-rollout does."""
    for _ in range(HEALTHY_WITHIN):
        told = engine.docker("inspect", "--format={{.State.Health.Status}}", *containers).split()
        if all(one == "healthy" for one in told):
            return
        time.sleep(1)
    raise TimeoutError(f"not healthy within {HEALTHY_WITHIN} s")
