"""A consumer with compose files on the lab's engine or hosts: promote, roll back, ask."""

import io
import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cicd.adapters.runner import Runner
from cicd.commands import doctor, plan, promote, recover, rollback
from cicd.commands.read import Project, site_of_target
from cicd.contract import Plan, Promote, Rollback
from cicd.core.plan import idle
from cicd.core.results import Result
from tests.commands.site import free_ports, passed_on
from tests.docker.engine import Engine
from tests.docker.host import Host
from tests.docker.lab import Lab
from tests.fakes import FakeHub

CONFIG = """
version: 1
app: shop
image: {repository}
deploy:
  engine: {engine}
  service: api
  compose: [docker-compose.yml]
  router-image: {nginx}
  health: {{path: /health, successes: 3, within: {within}, release-header: X-Release}}
  watch: {{for: {watch}, samples: {samples}}}
  drain: 5s
  {extra}
environments:
  production:
    ports: {{router: {port}}}
    hosts: {hosts}
"""

# With a database, a cache, a worker and a cron, as users have them.
COMPOSE = """
name: shop
services:
  api:
    image: ${IMAGE:?the image, by digest}
    expose: [8000]
    environment: {GREETING: "${GREETING:-hello}"}
    depends_on: {redis: {condition: service_healthy}}
  worker:
    image: ${IMAGE:?the image, by digest}
    command: [worker]
    volumes: [work:/work]
    environment: {JOURNAL: /work/worker.jsonl}
  cron:
    image: ${IMAGE:?the image, by digest}
    command: [cron]
    volumes: [work:/work]
    environment: {JOURNAL: /work/cron.jsonl}
  redis:
    image: $REDIS
    entrypoint: [redis-server, --protected-mode, "no"]
    healthcheck: {test: [CMD, redis-cli, ping], interval: 1s, retries: 20}
volumes:
  work: {}
"""


@dataclass
class Shop:
    """A repository and its environment `production`.

    Attributes:
        hosts: of it; none: the lab's own engine.
        compose: its compose file.
        env: variables of the job.
        key: of ssh; empty: that of the hosts.
        known_hosts: None: the right ones.
    """

    folder: Path
    lab: Lab
    hosts: Sequence[Host] = ()
    compose: str = COMPOSE
    extra: str = ""
    watch: str = "1s"
    within: str = "20s"
    samples: int = 1  # on a busy machine a second may have room for no more
    hub: FakeHub = field(default_factory=FakeHub)
    said: io.StringIO = field(default_factory=io.StringIO)
    env: dict[str, str] = field(default_factory=dict)
    key: str = ""
    engine: str = "compose"
    known_hosts: str | None = None
    port: int = field(default_factory=lambda: free_ports(1)[0])

    def __post_init__(self) -> None:
        self.compose = self.compose.replace("$REDIS", self.lab.part("redis"))
        self.repository.mkdir(parents=True)
        self.write("docker-compose.yml", self.compose)
        self.configure()
        self.git("init", "--quiet")
        self.commit()

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def engines(self) -> list[Engine]:
        return [host.engine for host in self.hosts] or [self.lab.engine]

    def configure(self, **others: str) -> None:
        """Write cicd.yml."""
        hosts = json.dumps([f"{host.url}/srv/cicd" for host in self.hosts] or ["local"])
        image = self.lab.image("v1").partition("@")[0]
        given = {
            "engine": self.engine,
            "watch": self.watch,
            "within": self.within,
            "samples": self.samples,
            "extra": self.extra,
            "port": self.port,
            **others,
        }
        text = CONFIG.format(repository=image, nginx=self.lab.part("nginx"), hosts=hosts, **given)
        self.write(".github/cicd.yml", text)

    def write(self, name: str, text: str) -> None:
        path = self.repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
        argv = ["git", "-C", str(self.repository), *who, *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "one more")
        return self.git("rev-parse", "HEAD")

    def runner(self) -> Runner:
        env = {
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "HOME": str(self.folder),
            "CICD_TARGET": str(self.folder / "targets"),
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_RUN_ID": "1",
            **self.lab.engine.environment,
            **self.env,
        }
        made = Runner({**env, **passed_on()}, self.said)
        if self.hosts:
            made.ssh_key = self.key or self.hosts[0].key.read_text()
            known = "\n".join(host.known_hosts.read_text() for host in self.hosts)
            made.known_hosts = known if self.known_hosts is None else self.known_hosts
        return made

    def project(self) -> Project:
        return Project.of(str(self.repository), ".github/cicd.yml", "production", self.runner())

    def release(self, version: str, **env: str) -> str:
        """An image of the current commit; `env` makes it misbehave. Gives its reference."""
        return self.lab.image(version, revision=self.git("rev-parse", "HEAD"), env=env)

    def promote(self, image: str, **inputs: str) -> Result:
        given = Promote(
            environment="production",
            image=image,
            working_directory=str(self.repository),
            approval_timeout="0",
            **inputs,
        )
        return promote.promote(given, self.runner(), self.project(), self.hub)  # type: ignore[arg-type]

    def plan(self, image: str, runner: Runner | None = None) -> Result:
        who = runner or self.runner()
        given = Plan(environment="production", image=image, working_directory=str(self.repository), token="t")
        project = Project.of(str(self.repository), ".github/cicd.yml", "production", who)
        return plan.plan(given, who, project, self.hub)  # type: ignore[arg-type]

    def rollback(self, **inputs: str) -> Result:
        given = Rollback(environment="production", working_directory=str(self.repository), **inputs)
        site = site_of_target("production", "shop", self.runner(), self.project().site.hosts)
        hub = None if inputs.get("offline") == "true" else self.hub
        return rollback.rollback(given, self.runner(), site, hub)  # type: ignore[arg-type]

    def doctor(self) -> Result:
        return doctor.doctor([self.project()], self.runner(), self.hub)  # type: ignore[arg-type]

    def recover(self) -> Result:
        return recover.recover([self.project().site], self.runner(), self.hub)  # type: ignore[arg-type]

    def ask(self, path: str = "/", host: int = 0) -> tuple[str, str]:
        """Ask through the router of a host: the release that it names, and the greeting."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.door(host)}{path}", timeout=5) as answer:
            return answer.headers["X-Cicd-Release"], json.loads(answer.read())["greeting"]

    def door(self, host: int = 0, to: str = "") -> int:
        """The port of this machine that leads to the router of a host; `to`: to another address there."""
        there = self.project().site.targets[host].host.reach(to or f"127.0.0.1:{self.port}")
        return int(there.rpartition(":")[2])

    def running(self, engine: int = 0) -> list[str]:
        """Names of the containers that run, without their number."""
        names = self.engines[engine].docker("ps", "--format", "{{.Names}}").split()
        return sorted(re.sub(r"-\d+$", "", name) for name in names if name.startswith("shop"))

    def serving(self, engine: int = 0) -> list[str]:
        """The containers that users depend on, those of the slot and the shared ones: id, and since when it runs."""
        here = self.project().site.running().slot
        ids = self.engines[engine].docker("ps", "--quiet", "--filter=name=^/?shop").split()
        told = self.engines[engine].docker("inspect", "--format={{.Name}} {{.Id}} {{.State.StartedAt}}", *ids)
        return sorted(line for line in told.splitlines() if f"-{idle(here)}-" not in line)

    def empty(self, slot: str, engine: int = 0) -> None:
        """Remove what is in a slot, as a cleaning of the host does."""
        there = f"--filter=label=cicd.slot=shop/production/{slot}"
        self.engines[engine].docker(
            "rm", "--force", *self.engines[engine].docker("ps", "--all", "--quiet", there).split()
        )

    def close(self) -> None:
        """End all of it, and remove it."""
        for engine in self.engines:
            ids = engine.docker("ps", "--all", "--quiet", "--filter", "name=^/?shop").split()
            if ids:
                engine.docker("rm", "--force", "--volumes", *ids)
            kept = engine.docker("image", "ls", "--format={{.Repository}}:{{.Tag}}", "cicd/shop/*").split()
            if kept:
                engine.docker("image", "rm", "--no-prune", *kept)
            for kind in ("network", "volume"):
                names = engine.docker(kind, "ls", "--format", "{{.Name}}").split()
                mine = [name for name in names if name.startswith("shop")]
                if mine:
                    engine.docker(kind, "rm", *mine)
