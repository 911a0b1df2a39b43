"""Hosts of the lab: machines with a network, files, a Docker Engine and an sshd of their own."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.docker.engine import COMPOSE, Daemon, Engine, compose
from tests.docker.machine import Machine, wait_for
from tests.docker.network import Bridge, ip
from tests.docker.relay import Relay

PORT = 2222
APART = ("root", "home", "srv", "run", "var/lib/docker", "tmp")  # folders of its own; tmp last, for ours is in it
SETUP = 'for place in $1; do mkdir -p "/$place"; mount --bind "$0/$place" "/$place"; done'
WIRED = 'ip link set lo up; ip addr add "$0" dev eth0; ip link set eth0 up'

SSHD = """Port {port}
ListenAddress {address}
HostKey /run/ssh/host
AuthorizedKeysFile /run/ssh/authorized
PidFile /run/ssh/sshd.pid
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PrintMotd no
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp
"""


@dataclass
class Host:
    """A host.

    Attributes:
        address: on the lab's bridge, to which all hosts and this machine are connected, and nothing else.
        key: with which any host of the lab is entered.
    """

    machine: Machine
    daemon: Daemon
    address: str
    key: Path
    bridge: Bridge
    relay: Relay | None = None
    _sshd: subprocess.Popen[bytes] | None = None

    @classmethod
    def at(cls, folder: Path, number: int, bridge: Bridge) -> "Host":
        """The host of a number, below the lab's folder; `start` and `wait` for it."""
        machine = Machine(folder / str(number), f"lab-{number}", alone=True)
        daemon = Daemon(machine, machine.folder / "run", Path("/run"), Path("/var/lib/docker"))
        return cls(machine, daemon, str(bridge.subnet[10 + number]), folder / "key", bridge)

    def start(self, registry: int) -> None:
        """Start all that it has. `registry`: port of the registry on this machine's loopback, and then on its own."""
        self._make_folders()
        self.machine.start(["sh", "-ec", SETUP, str(self.machine.folder), " ".join(APART)])
        self._connect()
        self.daemon.start()
        self.sshd_up()
        self.relay = Relay.start(self.machine.first, registry)

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def engine(self) -> Engine:
        """Its Docker Engine, by a socket that answers on this machine: past ssh, even when the host is lost."""
        return self.daemon.engine

    @property
    def url(self) -> str:
        return f"ssh://root@{self.address}:{PORT}"

    @property
    def known_hosts(self) -> Path:
        """The keys of all hosts of the lab."""
        return self.machine.folder.parent / "known_hosts"

    @property
    def ssh_options(self) -> Sequence[str]:
        """With which ssh logs in here and nowhere else."""
        trust = [
            f"-oUserKnownHostsFile={self.known_hosts}",
            "-oGlobalKnownHostsFile=none",
            "-oStrictHostKeyChecking=yes",
        ]
        return ["-Fnone", *trust, "-oIdentitiesOnly=yes", "-oBatchMode=yes", "-oConnectTimeout=10", f"-i{self.key}"]

    def ssh(self, command: str, check: bool = True) -> str:
        """Run a command of the shell there, by ssh; what it says."""
        argv = ["ssh", *self.ssh_options, f"-p{PORT}", f"root@{self.address}", command]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{command} on {self.name} ends with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def path(self, place: str) -> Path:
        """Where this machine sees a file of the host: below /root, /home, /srv, /run or /tmp."""
        return self.machine.folder / place.lstrip("/")

    def sshd_up(self) -> None:
        """Start its sshd, or start it again."""
        config = self.path("run/ssh/config")
        config.write_text(SSHD.format(port=PORT, address=self.address))
        program = shutil.which("sshd") or "/usr/sbin/sshd"  # it starts itself anew, so by its whole path
        self._sshd = self.machine.launch(self._log, program, "-D", "-e", "-f", "/run/ssh/config")

    def sshd_down(self) -> None:
        """End its sshd; sessions that are open stay."""
        if self._sshd:
            self.machine.run("kill", self.path("run/ssh/sshd.pid").read_text().strip())
            self._sshd.wait()
            self._sshd = None

    def wait(self) -> None:
        """Wait until it answers. Raises Unavailable with its last words if it does not."""
        self.daemon.wait()
        wait_for(
            self.path("run/ssh/sshd.pid").exists, lambda: self._sshd is None or self._sshd.poll() is not None, self._log
        )

    def lose(self) -> None:
        """Cut its cable: packets from and to it vanish."""
        ip("link", "set", self._cable, "down")
        if self.relay:
            self.relay.cut = True

    def find(self) -> None:
        """Connect it again."""
        ip("link", "set", self._cable, "up")
        if self.relay:
            self.relay.cut = False

    def end(self) -> None:
        if self.relay:
            self.relay.end()
        self.machine.end()

    @property
    def _cable(self) -> str:
        return f"{self.bridge.name}{self.name.removeprefix('lab-')}"

    @property
    def _log(self) -> Path:
        return self.machine.folder / "sshd.log"

    def _make_folders(self) -> None:
        """Its folders, keys and compose."""
        folder = self.machine.folder
        for place in (*APART, "run/ssh", "run/sshd", "root/.docker/cli-plugins"):
            (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / "tmp").chmod(0o1777)
        plugin = folder / "root/.docker/cli-plugins" / COMPOSE
        try:
            os.link(compose(), plugin)
        except OSError:
            shutil.copy2(compose(), plugin)
        make_key(folder / "run/ssh/host")
        if not self.key.exists():
            make_key(self.key)
        shutil.copy(self.key.with_suffix(".pub"), folder / "run/ssh/authorized")
        public = (folder / "run/ssh/host.pub").read_text()
        with self.known_hosts.open("a") as known:
            known.write(f"[{self.address}]:{PORT} {' '.join(public.split()[:2])}\n")

    def _connect(self) -> None:
        peer = ["peer", "name", "eth0", "netns", str(self.machine.first)]
        ip("link", "add", self._cable, "type", "veth", *peer)
        ip("link", "set", self._cable, "master", self.bridge.name, "up")
        self.machine.run("sh", "-ec", WIRED, f"{self.address}/{self.bridge.subnet.prefixlen}")


def make_key(place: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(place)], check=True)
