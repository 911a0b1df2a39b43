"""A server in a container of Docker: the same kind of server, with other arguments.

`docker run` stays in the foreground: its process stands for the server's, its output is the server's log. The
container is removed when its server ends, by whoever ends it (see Job).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cicd.adapters.process import run, which
from cicd.adapters.runner import Runner
from cicd.adapters.services.job import DOCKER, Job
from cicd.adapters.services.place import Address, Contained, Place
from cicd.errors import ServiceFailed, ToolMissing

if TYPE_CHECKING:
    from cicd.adapters.services import Service

ANSWERS_WITHIN = 10.0  # seconds in which an Engine says that it is there
PULLED_WITHIN = 600.0  # seconds
SETTINGS = "CICD_SETTINGS"
# A file of settings is written in the container: an engine elsewhere could not see a folder of ours.
WRITE = 'umask 022; printf %s "$CICD_SETTINGS" > "$0"; unset CICD_SETTINGS; exec "$@"'


@dataclass(frozen=True)
class InContainer:
    """A kind of server, run from an image."""

    service: "Service"
    image: str
    job: Job
    docker_env: Mapping[str, str]
    PORT_TAKEN: str = "(?i)port is already allocated|address already in use"

    @property
    def VARIABLE(self) -> str:
        return self.service.VARIABLE

    @property
    def USER(self) -> str:
        return self.service.USER

    @property
    def DATABASE(self) -> str:
        return self.service.DATABASE

    def prepare(self, place: Place) -> None:
        """All is in the image."""

    def command(self, place: Place, port: int) -> list[str]:
        """argv of `docker run`; what is secret goes by the environment of docker itself."""
        name = self.job.new_container(place.folder)
        contained = self.service.contained(place, port)
        argv = [str(place.program), "run", "--rm", "--name", name, "--publish", f"127.0.0.1:{port}:{self.service.PORT}"]
        for variable in self._variables(contained):
            argv += ["--env", variable]
        write = ["sh", "-c", WRITE, contained.path] if contained.path else []
        return [*argv, self.image, *write, *contained.arguments]

    def environ(self, place: Place, port: int) -> dict[str, str]:
        contained = self.service.contained(place, port)
        return {**docker_env(self.docker_env), **self._variables(contained)}

    def _variables(self, contained: Contained) -> dict[str, str]:
        return {**contained.env, **({SETTINGS: contained.settings} if contained.path else {})}

    def cwd(self, place: Place) -> Path:
        return place.folder

    def ask(self, address: Address, place: Place | None = None) -> tuple[int, ...] | None:
        return self.service.ask(address, place)

    def url(self, address: Address) -> str:
        return self.service.url(address)


def docker_env(env: Mapping[str, str]) -> dict[str, str]:
    """What the program `docker` needs of the job's variables."""
    return {name: env[name] for name in ("PATH", *DOCKER) if env.get(name)}


def docker_program(runner: Runner) -> Path:
    """The program, with an Engine that answers it. Raises ToolMissing."""
    docker = which("docker", runner.env.get("PATH"))
    if docker is None:
        raise ToolMissing("There is no `docker` on PATH", next_step="install Docker, or have the program on PATH")
    asked = [docker, "version", "--format", "{{.Server.Os}}"]
    done = run(asked, env=docker_env(runner.env), check=False, timeout=ANSWERS_WITHIN)
    if done.code or done.timed_out:
        words = done.output.strip().splitlines()[-1:] or ["it did not answer in time"]
        raise ToolMissing(
            f"Docker's Engine does not answer: {words[0][:300]}", next_step="start it, or let this user use it"
        )
    return Path(docker)


def fetch_image(docker: Path, image: str, runner: Runner) -> None:
    """Have the image on this machine; one that is there is taken as it is. Raises ServiceFailed."""
    env = docker_env(runner.env)
    if run([str(docker), "image", "inspect", image], env=env, check=False).code == 0:
        return
    done = run([str(docker), "pull", "--quiet", image], env=env, check=False, timeout=PULLED_WITHIN)
    if done.code or done.timed_out:
        words = done.output.strip().splitlines()[-1:] or ["it took too long"]
        raise ServiceFailed(
            f"The image {image} cannot be pulled",
            cause=words[0][:400],
            next_step="check its name and version; a private one needs a `docker login` step before this one",
        )
