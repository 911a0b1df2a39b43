"""nginx in a container, which Compose has started in place of the project's service."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from cicd.adapters.docker import Container, Docker
from cicd.adapters.routers.nginx_program import Worker
from cicd.errors import CommandFailed, RouterFailed

ROUTER = "router"  # its role among the containers of a target
ESTABLISHED = "01"  # in /proc/net/tcp: https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html


@dataclass(frozen=True)
class NginxContainer:
    """The router's container on one host. Its folder has the same path inside as outside.

    Attributes:
        target: `app/environment`, by which the container is found.
    """

    docker: Docker
    target: str

    def check(self, conf: Path) -> str:
        if (container := self._container()) is None:
            return ""  # nothing runs that could be harmed; a start says what is wrong
        done = self.docker.run("exec", container.id, "nginx", "-t", "-q", "-c", str(conf), check=False)
        return done.output.strip() or "it does not say why" if done.code else ""

    def start(self, conf: Path, port: int) -> None:
        found = self.docker.containers(target=self.target, role=ROUTER)
        if not found:
            raise RouterFailed(
                f"The router's container is not on {self.docker.host.name}",
                cause="it was removed by hand, or the services of this environment were never brought up",
                next_step="promote again: that brings it up",
            )
        try:
            self.docker.run("start", found[0].id)
        except CommandFailed as error:
            raise RouterFailed(
                f"The router does not start: {error.what}", next_step="mend that, then run it again"
            ) from error
        deadline = time.monotonic() + 5
        while not self.workers():
            if time.monotonic() > deadline:
                raise RouterFailed(
                    f"nginx did not start: {self.docker.last_words(found[0], 5)}",
                    next_step=f"look at {conf.with_name('error.log')} on {self.docker.host.name}",
                )
            time.sleep(0.05)

    def runs(self) -> bool:
        return self._container() is not None

    def stop(self) -> None:
        if container := self._container():
            self.docker.run("stop", container.id, check=False)

    def reload(self) -> None:
        self._tell("HUP")

    def reopen_logs(self) -> None:
        self._tell("USR1")

    def workers(self) -> list[Worker]:
        if (container := self._container()) is None:
            return []
        done = self.docker.run("top", container.id, "-eo", "pid,args", check=False)
        rows = [row.strip().partition(" ") for row in done.output.splitlines()[1:]]
        return [Worker(int(pid), title) for pid, _, title in rows if pid.isdigit() and "worker process" in title]

    def connections(self, pids: set[int], address: str) -> int:
        """Of all workers together: those that do not leave have none to a slot without a share."""
        container = self._container()
        if container is None:
            return 0
        done = self.docker.run("exec", container.id, "cat", "/proc/net/tcp", check=False)
        remote = _in_hex(address)
        rows = [row.split() for row in done.output.splitlines()]
        return sum(1 for row in rows if len(row) > 3 and (row[2], row[3]) == (remote, ESTABLISHED))

    def _tell(self, signal: str) -> None:
        if container := self._container():
            self.docker.run("kill", f"--signal={signal}", container.id)

    def _container(self) -> Container | None:
        found = self.docker.containers(target=self.target, role=ROUTER)
        return next((one for one in found if one.state == "running"), None)


def _in_hex(address: str) -> str:
    """`127.0.0.1:80` as the kernel writes it: 0100007F:0050."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)\.(\d+):(\d+)", address)
    if not match:
        return ""
    *parts, port = (int(part) for part in match.groups())
    return "".join(f"{part:02X}" for part in reversed(parts)) + f":{port:04X}"
