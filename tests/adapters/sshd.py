"""A real sshd on a port of the loopback, with a host key, a user's key and a home folder of its own."""

import contextlib
import os
import pwd
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from cicd.adapters.host.ssh import SshHost
from cicd.adapters.process import which
from tests.commands.site import free_ports

PROGRAM = which("sshd", f"/usr/sbin:/usr/local/sbin:{os.environ['PATH']}")
USER = pwd.getpwuid(os.geteuid()).pw_name
needs_sshd = pytest.mark.skipif(not PROGRAM, reason="sshd is not installed (Debian: openssh-server)")


def free_port() -> int:
    """One that no outgoing connection takes while the server is restarted."""
    return free_ports(1)[0]


def new_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@dataclass
class Sshd:
    """A server that runs in a folder.

    Attributes:
        options: of sshd_config, besides what is needed.
        port: where it listens.
    """

    folder: Path
    options: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.home.mkdir(parents=True)
        self.key, self._host_key = new_key(self.folder / "key"), new_key(self.folder / "host")
        kind, text = self._host_key.with_suffix(".pub").read_text().split()[:2]
        self.known = self.folder / "known hosts"  # with a space, as a path may have
        self.known.write_text(f"[127.0.0.1]:{self.port} {kind} {text}\n")
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self._host_key,
            "AuthorizedKeysFile": self.key.with_suffix(".pub"),
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "SetEnv": f"HOME={self.home}",  # not what the tester's own shell does when it starts
            **self.options,
        }
        (self.folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(
                mode=0o755, exist_ok=True
            )  # sshd locks itself into it; its package makes it at boot
        self.start()

    def start(self) -> None:
        """Returns when it listens."""
        self.log = (self.folder / "sshd.log").open("ab")
        argv = [str(PROGRAM), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        self._child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError((self.folder / "sshd.log").read_text())

    def connections(self) -> list[psutil.Process]:
        """Its processes that serve a connection each."""
        return psutil.Process(self._child.pid).children()

    def cut(self) -> None:
        """All connections are lost; new ones can be made."""
        for connection in self.connections():
            with contextlib.suppress(psutil.NoSuchProcess):
                connection.kill()

    def stop(self) -> None:
        """Nobody listens any more, and all connections are lost."""
        family = [*psutil.Process(self._child.pid).children(recursive=True)] if self._child.poll() is None else []
        self._child.kill()
        self._child.wait()
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ends by itself at the same moment
                if each.is_running() and each.name().startswith("sshd"):
                    each.kill()
        psutil.wait_procs(family, timeout=10)
        self.log.close()

    def host(self, *, port: int | None = None) -> SshHost:
        """This machine as another one. `port`: of what leads to the server."""
        return SshHost(
            f"ssh://{USER}@127.0.0.1:{port or self.port}", os.environ, identity_file=self.key, known_hosts=self.known
        )
