"""examples/assistant-api on hosts of the lab, by its own three compose files and the config of docs/compose.md."""

import io
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cicd.adapters.runner import Runner
from cicd.commands import promote, rollback
from cicd.commands.read import Project
from cicd.contract import Promote, Rollback
from cicd.core.approval import Protection, Review
from cicd.core.results import Result
from tests.commands.site import passed_on
from tests.docker import edge, example_image
from tests.docker.host import Host
from tests.docker.lab import Lab
from tests.docker.load import Load, User
from tests.fakes import FakeHub

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("dev", "staging", "production")
FOLDER = "/srv/assistant-api"  # of the hosts, as the config in the docs names it
NAMES = {"postgres": "postgres:18", "redis": "redis:8", "nginx": "nginx:1.29-alpine"}  # in the compose files
PASSWORD = "a-secret-of-the-database"
GREETINGS = {  # what changes in deploy.env: examples/story/README.md
    1: 'GREETING: "Hello! How can I help?"',
    2: 'GREETING: "Welcome! What shall we plan?"\n    TITLE_LENGTH: "32"',
    3: 'GREETING: "Welcome! Usage is now shown."\n    SHOW_USAGE: "on"',
}


def config() -> str:
    """The config that the docs show."""
    text = (ROOT / "docs" / "compose.md").read_text()
    blocks: list[str] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return next(block for block in blocks if "\nversion: 1" in block)


@dataclass
class Example:
    """The example's repository, a host for each of its environments, and one for what is managed for production.

    Attributes:
        hosts: of dev, staging, production, and of the managed database and cache.
    """

    folder: Path
    lab: Lab
    hosts: Sequence[Host]
    hub: FakeHub = field(default_factory=FakeHub)
    said: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "examples" / "assistant-api", self.repository)
        self.git("init", "--quiet")
        self.hub.protections = {name: Protection(reviewers=["rita"]) for name in ENVIRONMENTS[1:]}
        self.hub.given_reviews = [Review(state="approved", by="rita", environments=list(ENVIRONMENTS[1:]))]
        edge.make_certificate(self.trusted.parent)
        for host in self.hosts:
            for part, name in NAMES.items():
                image = self.lab.part(part)
                host.engine.docker("pull", "--quiet", image)
                host.engine.docker("tag", image, name)
            shutil.copytree(self.trusted.parent, host.path(f"{FOLDER}/certs"))
        managed = self.hosts[3].engine
        env = ["-ePOSTGRES_USER=assistant", f"-ePOSTGRES_PASSWORD={PASSWORD}", "-ePOSTGRES_DB=assistant"]
        managed.docker("run", "--detach", "--publish=5432:5432", "--name=database", *env, NAMES["postgres"])
        managed.docker("run", "--detach", "--publish=6379:6379", "--name=cache", NAMES["redis"])

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def trusted(self) -> Path:
        """The certificate of the edges."""
        return self.folder / "certs" / "tls.crt"

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
        argv = ["git", "-C", str(self.repository), *who, *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    def release(self, number: int) -> str:
        """Commit the release of this number, with the config that it has then; gives its image."""
        if number > 1:
            shutil.copytree(ROOT / "examples" / "story" / f"v{number}", self.repository, dirs_exist_ok=True)
        text = config().replace("ghcr.io/acme/assistant-api", f"{self.lab.registry.address}/acme/assistant-api")
        for name, host in zip(("dev", "stage", "www"), self.hosts, strict=False):
            text = text.replace(f"ssh://deploy@{name}.example.com", f"{host.url}/srv/cicd")
        text = text.replace("{for: 60s, error-rate: 1%}", "{for: 1s, error-rate: 1%, samples: 1}")
        text = text.replace(GREETINGS[1], GREETINGS[number])
        (self.repository / ".github" / "cicd.yml").write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"release {number}")
        commit = self.git("rev-parse", "HEAD")
        self.git("tag", f"v{number}")
        return self.lab.push(example_image.image(self.repository, commit), "acme/assistant-api", f"v{number}")

    def settings(self, environment: str) -> str:
        """The environment's secret APP_ENV: what its env file would hold."""
        if environment == "dev":
            return ""  # docker-compose.dev.yml says it all
        own = environment == "staging"
        database, cache = ("postgres", "redis") if own else (self.hosts[3].address,) * 2
        lines = [
            f"DATABASE_URL=postgresql://assistant:{PASSWORD}@{database}:5432/assistant",
            f"REDIS_URL=redis://{cache}:6379/0",
            *([f"POSTGRES_PASSWORD={PASSWORD}", "POSTGRES_USER=assistant", "POSTGRES_DB=assistant"] if own else []),
        ]
        return "\n".join(lines)

    def by_hand(self, image: str) -> None:
        """Bring staging up as its file's first line says, in a checkout on the host."""
        host = self.hosts[1]
        shutil.copytree(self.repository, host.path(FOLDER), dirs_exist_ok=True)
        env = host.path(f"{FOLDER}/.env.stage")
        env.write_text(self.settings("staging"))
        env.chmod(0o600)
        compose = f"cd {FOLDER} && IMAGE={image} CICD_RELEASE=by-hand docker compose -f docker-compose.stage.yml"
        for command in ("up --wait postgres redis", "run --rm -T api alembic upgrade head", "up --wait"):
            host.ssh(f"{compose} {command}")

    def runner(self) -> Runner:
        env = {
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "HOME": str(self.folder),
            "CICD_TARGET": str(self.folder / "targets"),
            "GITHUB_REPOSITORY": "acme/assistant-api",
            "GITHUB_RUN_ID": "1",
            "DOCKER_CONFIG": self.lab.engine.environment["DOCKER_CONFIG"],
        }
        made = Runner({**env, **passed_on()}, self.said)
        made.ssh_key = self.hosts[0].key.read_text()
        made.known_hosts = "\n".join(host.known_hosts.read_text() for host in self.hosts)
        return made

    def project(self, environment: str) -> Project:
        return Project.of(str(self.repository), ".github/cicd.yml", environment, self.runner())

    def promote(self, environment: str, image: str) -> Result:
        given = Promote(
            environment=environment,
            image=image,
            working_directory=str(self.repository),
            approval_timeout="0",
            app_env=self.settings(environment),
        )
        return promote.promote(given, self.runner(), self.project(environment), self.hub)  # type: ignore[arg-type]

    def rollback(self, environment: str) -> Result:
        given = Rollback(environment=environment, working_directory=str(self.repository))
        return rollback.rollback(given, self.runner(), self.project(environment).site, self.hub)  # type: ignore[arg-type]

    def schema(self, environment: str) -> str:
        """Alembic's revision, by the database itself."""
        own = {"dev": "assistant-dev-postgres-1", "staging": "assistant-stage-postgres-1"}
        host = self.hosts[ENVIRONMENTS.index(environment) if environment in own else 3]
        ask = ["psql", "-U", "assistant", "-d", "assistant", "-tAc", "select version_num from alembic_version"]
        return host.engine.docker("exec", own.get(environment, "database"), *ask)

    def containers(self, environment: str) -> dict[str, str]:
        """The containers that no release brings along, by their services: when each was started."""
        engine = self.hosts[ENVIRONMENTS.index(environment)].engine
        wanted = {"nginx", "postgres", "redis"}
        names = [name for name in engine.docker("ps", "--format={{.Names}}").split() if name.split("-")[-2] in wanted]
        return {name: engine.docker("inspect", "--format={{.State.StartedAt}}", name) for name in sorted(names)}

    def users(self, environment: str) -> "Users":
        return Users(443, self.trusted, address=self.hosts[ENVIRONMENTS.index(environment)].address)

    def ask(self, environment: str, path: str, **body: Any) -> httpx.Response:
        """Ask as a user does; with a body: POST."""
        users = self.users(environment)
        with httpx.Client(base_url=users.url, verify=users.trust, http2=True, timeout=10) as client:
            return client.post(path, json=body) if body else client.get(path)


@dataclass
class Users(Load):
    """Users of one environment: they start conversations and say something in them, over HTTP/1.1 and HTTP/2."""

    address: str = ""

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        made = super().trust
        made.check_hostname = False  # the certificate names no address
        return made

    def users(self) -> list[tuple[int, User]]:
        return [(1, self._http1), (1, self._http2)]

    async def _ask(self, client: httpx.AsyncClient, kind: str, *, post: bool = False) -> None:
        """A request, or a conversation with a message."""
        wanted = "HTTP/2" if kind == "http2" else "HTTP/1.1"
        try:
            said = [await (client.post("/api/v1/conversations") if post else client.get("/api/v1/about"))]
            if post:
                path = f"/api/v1/conversations/{said[0].json()['id']}/messages"
                said.append(await client.post(path, json={"content": "What shall we plan?"}))
        except (httpx.HTTPError, ValueError, KeyError) as error:
            self._lose(kind, type(error).__name__)
            return
        for one in said:
            self._count(kind, one.is_success and one.http_version == wanted, f"{one.status_code}")
