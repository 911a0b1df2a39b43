"""What a doctor looks at for engines of Docker: this machine, each host, and the registry as each of them sees it."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from cicd.adapters.docker import Docker
from cicd.adapters.engines import layout_of
from cicd.adapters.engines.compose import ComposeEngine
from cicd.adapters.host.address import host_of
from cicd.adapters.process import run
from cicd.adapters.registry import Registry
from cicd.adapters.runner import Runner
from cicd.adapters.swarm import Swarm
from cicd.adapters.tools import compose_command
from cicd.commands.finding import Finding, found
from cicd.commands.preflight import SPACE
from cicd.commands.read import Project, target_of
from cicd.errors import DiskFull, ImageMissing, ToolMissing

NOBODY = f"sha256:{'0' * 64}"  # the digest of no image: a registry that lets us in says that it has none
# What we ask of Compose. Which release brought which of them along is written nowhere, so its help is asked.
READS = ("config", ("--no-env-resolution", "--no-path-resolution", "--variables"))
RUNS = ("up", ("--wait-timeout", "--quiet-pull", "--remove-orphans"))


def on_hosts(project: Project, runner: Runner) -> list[Finding]:
    """All that is seen from here and on each host; a host that cannot be reached is one finding."""
    name, site = project.site.name, project.site
    here = [
        found(name, "Docker Compose on this machine", lambda: reads(runner)),
        found(name, "the compose files", lambda: readable(project, runner)),
        found(name, f"{site.repository}, asked from this machine", lambda: lets_us_in(site.repository, runner)),
    ]
    with ThreadPoolExecutor(len(site.hosts)) as pool:  # one that is away is waited for
        told = list(pool.map(lambda address: list(on_host(project, address, runner)), site.hosts))
    return [*here, *(one for findings in told for one in findings)]


def reads(runner: Runner) -> str:
    """Compose can read the project's files here. Raises ToolMissing."""
    command = compose_command(runner)
    said = run([*command, READS[0], "--help"], env=runner.env, check=False).output
    require("this machine", said, READS[1])
    return run([*command, "version", "--short"], env=runner.env, check=False).output.strip()


def readable(project: Project, runner: Runner) -> str:
    """The files say what is deployed, as far as that is known without secrets. Raises ConfigError."""
    layout_of(project.source, {}, runner, whole=False, own=())
    return ", ".join(project.source.compose)


def lets_us_in(repository: str, runner: Runner) -> str:
    """Raises RegistryDenied, RegistryUnavailable."""
    Registry.of(repository, runner).has(NOBODY)
    return "answers, and lets us in"


def on_host(project: Project, address: str, runner: Runner) -> Iterator[Finding]:
    name, site = project.site.name, project.site
    docker = Docker(host_of(address, runner))
    there = docker.host.name
    engine = found(name, f"Docker on {there}", lambda: version(docker))
    yield engine
    if engine.error:
        return
    yield found(name, f"Docker Compose on {there}", lambda: runs(docker))
    if site.deploy.engine == "swarm":
        yield found(name, f"the swarm of {there}", lambda: belongs(docker, manager=address == site.hosts[0]))
    yield found(name, f"room on {there}", lambda: room(project, address, runner))
    yield found(name, f"{site.repository}, asked from {there}", lambda: pulls(docker, site.repository))


def version(docker: Docker) -> str:
    """The Engine answers. Raises HostUnreachable, HostRefused, ToolMissing."""
    return docker.run("version", "--format={{.Server.Version}}").output.strip()


def runs(docker: Docker) -> str:
    """Compose can bring services up there. Raises ToolMissing."""
    told = docker.run("compose", "version", "--short", check=False)
    said = "" if told.code else docker.run("compose", RUNS[0], "--help", check=False).output
    require(docker.host.name, said, RUNS[1])
    return told.output.strip()


def belongs(docker: Docker, *, manager: bool) -> str:
    """It is a node of a swarm, the first host a manager. Raises PrepareFailed."""
    Swarm(docker).require(manager=manager)
    return "a manager" if manager else "a node"


def room(project: Project, address: str, runner: Runner) -> str:
    """Where images and releases lie there. Raises DiskFull, HostUnreachable, HostRefused."""
    site = project.site
    target = target_of(address, site.app, site.name, runner)
    free = ComposeEngine(target, runner, site.repository).free()
    if free < SPACE:
        raise DiskFull(
            f"{target.host.name} has {free / 1e6:,.0f} MB free; a release needs {SPACE / 1e6:,.0f} MB and its image",
            cause="images, logs or something else have filled its disk",
            next_step="free space there (`docker image prune`), or lower `deploy.keep`",
        )
    return f"{free / 1e9:,.1f} GB free"


def pulls(docker: Docker, repository: str) -> str:
    """The host may pull: it is told to pull what is not there. Raises RegistryDenied, RegistryUnavailable."""
    with contextlib.suppress(ImageMissing):
        docker.pull(f"{repository}@{NOBODY}")
    return "answers, and lets it in"


def require(where: str, said: str, options: Sequence[str]) -> None:
    """A program's help names what we need of it. Raises ToolMissing."""
    lacking = [option for option in options if not re.search(rf"{option}\b", said)]
    if lacking:
        raise ToolMissing(
            f"Docker Compose on {where} does not know {', '.join(lacking)}",
            cause="it is old, or not there at all",
            next_step="install a newer one there (package docker-compose-plugin); any of the last year's will do",
        )
