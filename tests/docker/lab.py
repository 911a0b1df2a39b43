"""The test lab: Docker Engines, hosts, a registry and images on this machine, without a download. It needs root.

    with Lab() as lab:
        lab.engine.docker("run", "-d", "-p", "8000:8000", lab.image("v1"))

Everything that it starts ends with it, and with the process that it is in.
"""

import functools
import itertools
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
SYSTEM = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
REVISION = "org.opencontainers.image.revision"


class Lab:
    """What tests of Docker need; each thing is made when it is first asked for."""

    def __init__(self) -> None:
        require("docker", "docker-registry", "busybox", "setpriv")
        remove_left_over()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.hosts: list[Host] = []
        self._numbers = itertools.count(1)
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
        require_namespaces()
        machine = Machine(self.folder / "e", "lab-engine")
        run = machine.folder / "run"
        self._daemon = Daemon(machine, run, run, machine.folder / "docker", ["--bridge", self._bridge("e").name])
        machine.start(["mkdir", str(run)])
        self._daemon.start()
        self._daemon.wait()
        return self._daemon.engine

    @functools.cached_property
    def registry(self) -> Registry:
        return Registry.start(self.folder / "registry")

    def more_hosts(self, count: int) -> list[Host]:
        """So many new hosts, with nothing on them."""
        require_namespaces()
        bridge = self._bridge("h")
        new = []
        for number in itertools.islice(self._numbers, count):
            new.append(Host.at(self.folder, number, bridge))
            self.hosts.append(new[-1])
            new[-1].start(self.registry.port)
        for host in new:
            host.wait()
        return new

    def end_hosts(self) -> None:
        """End all hosts, and remove them."""
        for host in self.hosts:
            host.end()
            shutil.rmtree(host.machine.folder, ignore_errors=True)
        self.hosts.clear()

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
        self.end_hosts()
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


def require(*programs: str) -> None:
    """Raises Unavailable when programs are missing, with the packages that have them."""
    if lacking := [program for program in programs if not shutil.which(program, path=SYSTEM)]:
        packages = " ".join(sorted({PROGRAMS[program] for program in lacking}))
        raise Unavailable(f"{', '.join(lacking)} not found; next step: apt-get install {packages}")


def require_namespaces() -> None:
    """Raises Unavailable when no engine of ours can run here, as far as one sees before it is tried."""
    if sys.platform != "linux":
        raise Unavailable(f"an engine of ours needs Linux, and this is {sys.platform}")
    if os.geteuid():
        raise Unavailable("an engine of ours needs root, to make namespaces and networks")
    require(*PROGRAMS)
    if " - cgroup" not in Path("/proc/self/mountinfo").read_text() and not shutil.which("cgroupfs-mount"):
        raise Unavailable("cgroups are not mounted, and Docker needs them; next step: apt-get install cgroupfs-mount")
    argv = ["unshare", "--mount", "--pid", "--net", "--uts", "--fork", "--mount-proc", "true"]
    tried = subprocess.run(argv, capture_output=True, text=True, check=False)
    if tried.returncode:
        raise Unavailable(f"namespaces cannot be made here: {tried.stderr.strip()}")


def existing(settings: Path) -> Engine | None:
    """The engine that answers on DOCKER_HOST or where Docker puts its socket."""
    given = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    found = Engine(Path(given.removeprefix("unix://")), settings, ours=False)
    return found if given.startswith("unix://") and found.socket.exists() and found.answers() else None


def remove_left_over() -> None:
    """Remove what labs have left whose process was killed: folders and networks; their processes have ended with it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).split("-")[0]
        if not Path("/proc", pid).exists():
            network.remove_networks_of(folder / "e" / "docker")
            shutil.rmtree(folder, ignore_errors=True)
    network.remove_left_over()
