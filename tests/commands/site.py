"""A small consumer: an application of one file, its config, and its releases, on a target in a temp folder."""

import contextlib
import io
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cicd.adapters.runner import Runner
from cicd.commands import build, promote, rollback
from cicd.commands.read import Project, Site, site_of_target
from cicd.contract import Build, Promote, Rollback
from cicd.core.plan import SLOTS
from cicd.core.results import Result
from tests.fakes import FakeHub

# Answers with its release; BEHAVIOUR is baked into each release's file:
# crash: ends at once; sick: every answer is 500; tires: after a dozen; poor: /health is well, all else is 500;
# slow: all but /health takes 80 ms; database: while the file BROKEN is there, every second user's request is 500;
# unhappy: every fifth user's order fails behind an answer of 200, which /metrics alone tells.
APPLICATION = """
import http.server, itertools, os, sys, time
BEHAVIOUR = "{behaviour}"
if BEHAVIOUR == "crash":
    sys.exit("cannot start: no such thing")
if BEHAVIOUR == "once":
    if os.path.exists("started"):
        sys.exit("cannot start a second time")
    open("started", "w").close()
asked, orders = itertools.count(1), {"done": 0, "failed": 0}

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        if self.path == "/metrics":
            told = "".join('orders_total{result="%s"} %d\\n' % order for order in orders.items())
            return self.tell(200, told.encode())
        number, user = next(asked), self.path != "/health"
        if user:
            orders["failed" if BEHAVIOUR == "unhappy" and number % 5 == 0 else "done"] += 1
        sick = {
            "sick": True,
            "tires": number > 12,
            "poor": user,
            "database": user and number % 2 and os.path.exists(os.environ.get("BROKEN", "")),
        }.get(BEHAVIOUR, False)
        if BEHAVIOUR == "slow" and user:
            time.sleep(0.08)
        self.tell(500 if sick else 200, os.environ.get("GREETING", "").encode())
    def tell(self, status, body):
        self.send_response(status)
        self.send_header("X-Release", os.environ["CICD_RELEASE"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""

CONFIG = """
version: 1
app: tiny
deploy:
  run: python app.py $HOST $PORT
  health: {{path: /health, successes: 2, within: 5s, interval: 50ms, release-header: X-Release}}
  watch: {{for: {watch}, error-rate: 1%, samples: {samples}{limits}}}
  env: {{GREETING: "{greeting}"{env}}}
  {extra}
environments:
  staging: {{ports: {{router: {ports[0]}, blue: {ports[1]}, green: {ports[2]}}}}}
  production: {{after: staging, {demands} ports: {{router: {ports[3]}, blue: {ports[4]}, green: {ports[5]}}}}}
"""


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now, all different, below those that the kernel gives to outgoing connections."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found


@dataclass
class Consumer:
    """A repository, its target and its ledger."""

    folder: Path
    hub: FakeHub = field(default_factory=FakeHub)
    watch: str = "400ms"
    samples: int = 2
    greeting: str = "hello"
    extra: str = ""
    demands: str = ""
    limits: str = ""
    env: str = ""
    ports: list[int] = field(default_factory=lambda: free_ports(6))
    said: io.StringIO = field(default_factory=io.StringIO)

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
        done = subprocess.run(
            ["git", "-C", str(self.repository), *who, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, version: str, behaviour: str = "ok") -> str:
        """A release of this version; gives its sha."""
        config = self.repository / ".github" / "cicd.yml"
        if not config.exists():
            config.parent.mkdir(parents=True)
            self.git("init", "--quiet")
        config.write_text(
            CONFIG.format(
                ports=self.ports,
                watch=self.watch,
                samples=self.samples,
                limits=self.limits,
                greeting=self.greeting,
                env=self.env,
                extra=self.extra,
                demands=self.demands,
            )
        )
        (self.repository / "app.py").write_text(f"# {version}\n" + APPLICATION.replace("{behaviour}", behaviour))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", version)
        self.git("tag", "--force", version)
        return self.git("rev-parse", "HEAD")

    def runner(self, sha: str = "") -> Runner:
        env = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "CICD_TARGET": str(self.folder / "targets"),
            "GITHUB_REPOSITORY": "acme/tiny",
            "GITHUB_SHA": sha,
            "GITHUB_RUN_ID": "1",
        }
        return Runner({**env, **passed_on()}, self.said)

    def project(self, environment: str = "staging") -> Project:
        return Project.of(str(self.repository), ".github/cicd.yml", environment, self.runner())

    def site(self, environment: str = "staging") -> Site:
        return self.project(environment).site

    def build(self, sha: str) -> str:
        return build.main(Build(sha=sha, working_directory=str(self.repository)), self.runner(sha)).outputs["image"]

    def promote(self, sha: str, environment: str = "staging", **inputs: str) -> Result:
        given = Promote(
            environment=environment,
            image=inputs.pop("image", "") or self.build(sha),
            sha=sha,
            working_directory=str(self.repository),
            approval_timeout="0",
            **inputs,
        )
        return promote.promote(given, self.runner(sha), self.project(environment), self.hub)  # type: ignore[arg-type]

    def rollback(self, environment: str = "staging", **inputs: str) -> Result:
        given = Rollback(environment=environment, working_directory=str(self.repository), **inputs)
        site = site_of_target(environment, "tiny", self.runner())
        hub = None if inputs.get("offline") == "true" else self.hub
        return rollback.rollback(given, self.runner(), site, hub)  # type: ignore[arg-type]

    def version(self, environment: str = "staging") -> str:
        """What runs, by the journal."""
        release = self.site(environment).running().release
        return release.version if release else ""

    def close(self) -> None:
        """End every slot and router."""
        for environment in ("staging", "production"):
            site = self.site(environment)
            for slot in SLOTS:
                site.engine.stop(slot)
            if site.target.folder.exists():
                site.router.stop()


def passed_on() -> dict[str, str]:
    """Where environments are kept, so that tests do not install the service wheels again and again."""
    import os

    wanted = re.compile(r"CICD_HOME|XDG_CACHE_HOME|(PIP|UV|SSL)_\w+")
    given = {name: value for name, value in os.environ.items() if wanted.fullmatch(name)}
    given.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return given


def consumer(folder: Path) -> Iterator[Consumer]:
    """A consumer that is taken down at the end of the test."""
    made = Consumer(folder)
    try:
        yield made
    finally:
        if (made.repository / ".github" / "cicd.yml").exists():
            made.close()
