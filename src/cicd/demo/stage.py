"""What the demo needs around the pipeline: services, LocalHub, and the consumer's repository."""

import re
import secrets
import shutil
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cicd.adapters.act import CHECKOUT
from cicd.adapters.engines import engine_of
from cicd.adapters.localhub import LocalHub
from cicd.adapters.process import run
from cicd.adapters.routers import router_of
from cicd.adapters.runner import Runner
from cicd.adapters.services.job import Job, Server
from cicd.adapters.services.server import start
from cicd.adapters.target import Target
from cicd.adapters.together import together
from cicd.adapters.tools import from_wheel
from cicd.core.plan import SLOTS
from cicd.core.services import Wanted

ENVIRONMENTS = ("dev", "staging", "production")
REPOSITORY = "acme/assistant-api"
DEVELOPER, REVIEWER = "dana", "rita"
EXAMPLES = CHECKOUT / "examples"
CONFIG = Path(".github") / "cicd.yml"


@dataclass
class Stage:
    """Everything that runs besides the pipeline.

    Attributes:
        folder: holds all of it.
        hub: LocalHub.
        tokens: of the people, by login.
        servers: PostgreSQL and Redis.
        ports: of the routers, by environment.
    """

    folder: Path
    hub: LocalHub
    tokens: dict[str, str]
    servers: dict[str, Server]
    ports: dict[str, int]

    @property
    def repository(self) -> Path:
        return self.folder / "assistant-api"

    @property
    def targets(self) -> Path:
        return self.folder / "targets"

    @property
    def tools(self) -> Path:
        """Programs that a runner's image would have."""
        return self.folder / "tools"

    def app_env(self, environment: str) -> str:
        """The secret settings of an environment: its own database in the one server."""
        database = self.servers["postgres"].url.rpartition("/")[0]
        index = ENVIRONMENTS.index(environment)
        return f"DATABASE_URL={database}/{environment}\nREDIS_URL={self.servers['redis'].url}/{index}\n"

    def url(self, environment: str) -> str:
        return f"http://127.0.0.1:{self.ports[environment]}"


def open_stage(folder: Path, runner: Runner, job: Job, port: int) -> Stage:
    """Bring it all up: servers and LocalHub side by side, then the repository."""
    folder.mkdir(parents=True, exist_ok=True)
    stopping = threading.Event()
    started = together(
        {
            "postgres": lambda: start(Wanted("postgres", "", {"max_connections": "300"}), job, runner, stopping),
            "redis": lambda: start(Wanted("redis", "", {}), job, runner, stopping),
            "hub": lambda: LocalHub.start(folder / "hub", dict(runner.env), port),
        },
        stopping,
    )
    hub: LocalHub = started.pop("hub")
    tokens = {login: secrets.token_urlsafe(24) for login in (DEVELOPER, REVIEWER)}
    stage = Stage(folder, hub, tokens, started, free_ports())
    create_databases(started["postgres"], runner)
    lay_out_repository(stage)
    lay_out_tools(stage)
    register(stage)
    return stage


def free_ports() -> dict[str, int]:
    """A router port for each environment, its two slots right after it."""
    base = 18000 + 20 * secrets.randbelow(500)
    while not all(_is_free(base + offset) for offset in range(9)):
        base += 20
    return {name: base + 3 * index for index, name in enumerate(ENVIRONMENTS)}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def create_databases(server: Server, runner: Runner) -> None:
    """One database for each environment."""
    psql = str(from_wheel("psql", runner.env))
    env = {"PGPASSWORD": server.password, "PATH": "/usr/bin:/bin"}
    for name in ENVIRONMENTS:
        query = [
            "-X",
            "-w",
            "-h",
            "127.0.0.1",
            "-p",
            str(server.port),
            "-U",
            "postgres",
            "-c",
            f"CREATE DATABASE {name}",
        ]
        run([psql, *query], env=env)


def lay_out_repository(stage: Stage) -> None:
    """The example as a git repository of its own, with ports that are free here."""
    unwanted = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".coverage*", ".venv", "*.pyc")
    shutil.copytree(EXAMPLES / "assistant-api", stage.repository, ignore=unwanted)
    path = stage.repository / CONFIG
    numbers = iter(stage.ports.values())

    def here(match: re.Match[str]) -> str:
        router = next(numbers)
        return f"ports: {{router: {router}, blue: {router + 1}, green: {router + 2}}}"

    path.write_text(re.sub(r"ports: \{[^}]*\}", here, path.read_text()))
    git(stage, "init", "--quiet", "--initial-branch", "main")
    git(stage, "remote", "add", "origin", f"https://github.com/{REPOSITORY}.git")


def git(stage: Stage, *arguments: str) -> str:
    """git in the consumer's repository, as the developer; gives its output."""
    who = ["-c", f"user.name={DEVELOPER}", "-c", f"user.email={DEVELOPER}@example.com", "-c", "commit.gpgsign=false"]
    return run(["git", "-C", str(stage.repository), *who, *arguments]).output.strip()


def commit(stage: Stage, version: str, message: str) -> str:
    """Commit what lies there, tagged with its version; gives the sha."""
    git(stage, "add", "--all")
    git(stage, "commit", "--quiet", "--message", message)
    git(stage, "tag", version)
    return git(stage, "rev-parse", "HEAD")


def overlay(stage: Stage, version: str, settings: dict[str, str]) -> None:
    """What the next version changes: files of the story, and settings of all environments."""
    shutil.copytree(EXAMPLES / "story" / version, stage.repository, dirs_exist_ok=True)
    path = stage.repository / CONFIG
    text = path.read_text()
    for name, value in settings.items():
        line = f'    {name}: "{value}"'
        pattern = re.compile(rf"^    {name}: .*$", re.MULTILINE)
        text = pattern.sub(line, text) if pattern.search(text) else text.replace("  env:\n", f"  env:\n{line}\n", 1)
    path.write_text(text)


def lay_out_tools(stage: Stage) -> None:
    """uv, which GitHub's own runner images have as well; without it everything works, only slower."""
    stage.tools.mkdir()
    (stage.tools / "uv").symlink_to(Path(sys.executable).with_name("uv"))


def register(stage: Stage) -> None:
    """People, repository and protected environments, as an owner would set them up on GitHub."""
    hub = stage.hub
    for login, token in stage.tokens.items():
        hub.admin("POST", "/users", {"login": login, "token": token})
    owner, name = REPOSITORY.split("/")
    about: dict[str, Any] = {"owner": owner, "name": name, "path": str(stage.repository), "default_branch": "main"}
    hub.admin("POST", "/repos", about)
    token = stage.tokens[DEVELOPER]
    reviewer = hub.call("GET", f"/users/{REVIEWER}", token)
    for environment in ENVIRONMENTS:
        gate = {"reviewers": [{"type": "User", "id": reviewer["id"]}]} if environment != "dev" else {}
        hub.call("PUT", f"/repos/{REPOSITORY}/environments/{environment}", token, gate)


def close_stage(stage: Stage, runner: Runner) -> None:
    """End what the deployments started, side by side: routers and slots; then LocalHub. Servers end with the job."""
    targets = [Target(stage.targets, "assistant-api", name) for name in ENVIRONMENTS]
    with ThreadPoolExecutor() as pool:
        for target in targets:
            if target.folder.exists():
                pool.submit(router_of("process", [target], runner).stop)
                engine = engine_of("process", [target], runner, "")
                for slot in SLOTS:
                    pool.submit(engine.stop, slot)
    stage.hub.stop()
