"""The test lab: Docker Engines, hosts, a registry and images on this machine, without a download. It needs root.

    with Lab() as lab:
        lab.engine.docker("run", "-d", "-p", "8000:8000", lab.image("v1"))

Everything that it starts ends with it, and with the process that it is in.
"""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from tests.docker import images, network
from tests.docker.engine import Daemon, Engine, client
from tests.docker.host import Host
from tests.docker.images import Image
from tests.docker.layers import Entry, layer
from tests.docker.machine import Machine, Unavailable
from tests.docker.network import Bridge
from tests.docker.registry import Registry

PREFIX = "cicd-lab-"
PROGRAMS = {
    "docker": "docker.io",
    "dockerd": "docker.io",
    "iptables": "iptables",
    "docker-registry": "docker-registry",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "busybox": "busybox-static",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ip": "iproute2",
}
REVISION = "org.opencontainers.image.revision"


class Lab:
    """What tests of Docker need; each thing is made when it is first asked for."""

    def __init__(self) -> None:
        if why := missing():
            raise Unavailable(why)
        remove_left_over()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.hosts: list[Host] = []
        self._daemon: Daemon | None = None
        self._bridges: dict[str, Bridge] = {}

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    @functools.cached_property
    def engine(self) -> Engine:
        """The engine of this machine: the one that is there, else one of ours. Published ports are on 127.0.0.1."""
        if found := existing(client(self.folder)):
            return found
        machine = Machine(self.folder / "e", "lab-engine")
        self._daemon = Daemon(machine, machine.folder / "run", machine.folder / "run", machine.folder / "docker")
        self._daemon.options = ["--bridge", self._bridge("e").name]
        machine.start(["mkdir", str(self._daemon.run)])
        self._daemon.start()
        self._daemon.wait()
        return self._daemon.engine

    @functools.cached_property
    def registry(self) -> Registry:
        return Registry.start(self.folder / "registry")

    def more_hosts(self, count: int) -> list[Host]:
        """At least so many hosts: those that are there, and new ones; the first of them."""
        bridge = self._bridge("h")
        new = []
        for number in range(len(self.hosts) + 1, count + 1):
            new.append(Host.prepare(self.folder, number, bridge, self.registry.port))
            self.hosts.append(new[-1])
        for host in new:
            host.wait()
        return self.hosts[:count]

    def image(
        self,
        tag: str,
        repository: str = "acme/api",
        *,
        revision: str = "",
        env: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
    ) -> str:
        """A version of the application (see service.py) in the registry, by digest. Another tag is another digest.

        `env` is built in, and is there to make this version misbehave; `revision` is the commit that it says it is of.
        """
        told = {**(labels or {}), **({REVISION: revision} if revision else {})}
        made = images.application().over(
            layer({"app/version": Entry(text=f"{tag}\n", mode=0o644)}),
            Env=[f"{name}={value}" for name, value in (env or {}).items()],
            Labels=told,
        )
        return self.push(made, repository, tag)

    def part(self, name: str) -> str:
        """An image that an application needs beside it, in the registry, by digest: nginx, postgres, redis, busybox."""
        made: Image = getattr(images, name)()
        return self.push(made, f"library/{name}", "latest")

    def push(self, image: Image, repository: str, tag: str) -> str:
        return self.registry.push(image, repository, tag)

    def end(self) -> None:
        """End everything, and remove it."""
        for host in self.hosts:
            host.end()
        if self._daemon:
            self._daemon.machine.end()
            network.remove_networks_of(self._daemon.data)
        for bridge in self._bridges.values():
            bridge.remove()
        if "registry" in self.__dict__:
            self.registry.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _bridge(self, kind: str) -> Bridge:
        if kind not in self._bridges:
            self._bridges[kind] = Bridge.make(kind)
            self._bridges[kind].connect()
        return self._bridges[kind]


def missing() -> str:
    """Why no engine of ours can run here; empty if one can, as far as one sees before it is tried."""
    if sys.platform != "linux":
        return f"the lab needs Linux, and this is {sys.platform}"
    if os.geteuid():
        return "the lab needs root, to make namespaces and networks"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    lacking = [program for program in PROGRAMS if not shutil.which(program, path=path)]
    if lacking:
        packages = " ".join(sorted({PROGRAMS[program] for program in lacking}))
        return f"{', '.join(lacking)} not found; next step: apt-get install {packages}"
    if not any(" cgroup" in line for line in Path("/proc/self/mountinfo").read_text().splitlines()):
        return "there are no cgroups here, and Docker needs them"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--uts", "--fork", "true"], capture_output=True, check=False
    )
    if tried.returncode:
        return f"namespaces cannot be made here: {tried.stderr.decode().strip()}"
    return ""


def existing(settings: Path) -> Engine | None:
    """The engine that answers on DOCKER_HOST or where Docker puts its socket."""
    given = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    found = Engine(Path(given.removeprefix("unix://")), settings)
    return found if given.startswith("unix://") and found.socket.exists() and found.answers() else None


def remove_left_over() -> None:
    """Remove what labs have left whose process was killed: folders and networks; their processes have ended with it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).split("-")[0]
        if not Path("/proc", pid).exists():
            network.remove_networks_of(folder / "e" / "docker")
            shutil.rmtree(folder, ignore_errors=True)
    network.remove_left_over()
