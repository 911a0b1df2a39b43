"""nginx in a container, which Compose has started in place of the project's service."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cicd.adapters.docker import Docker
from cicd.adapters.process import Completed
from cicd.adapters.routers.nginx_program import Worker
from cicd.errors import CommandFailed, RouterFailed

NAME = "{container}"  # in a command about it
ROUTER = "router"  # its role among the containers of a target
ESTABLISHED = "01"  # in /proc/net/tcp: https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html


def as_it_is(address: str) -> Sequence[str]:
    """For slots that are known by their address."""
    return (address,)


@dataclass(frozen=True)
class NginxContainer:
    """The router's container on one host. Its folder has the same path inside as outside.

    Attributes:
        target: `app/environment`, by which the container is found.
        found: the addresses that an address of a slot stands for.
    """

    docker: Docker
    target: str
    found: Callable[[str], Sequence[str]] = as_it_is
    _names: list[str] = field(default_factory=list, repr=False, compare=False)
    _looking: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def check(self, conf: Path) -> str:
        done = self._run("exec", NAME, "nginx", "-t", "-q", "-c", str(conf))
        if done is None or (done.code and not self.runs()):
            return ""  # nothing runs that could be harmed; a start says what is wrong
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
        return bool(self.docker.ids(["--filter=status=running"], target=self.target, role=ROUTER))

    def stop(self) -> None:
        self._run("stop", NAME)

    def reload(self) -> None:
        self._tell("HUP")

    def reopen_logs(self) -> None:
        self._tell("USR1")

    def workers(self) -> list[Worker]:
        done = self._run("top", NAME, "-eo", "pid,args")
        if done is None or done.code:
            return []
        rows = [row.strip().partition(" ") for row in done.output.splitlines()[1:]]
        return [Worker(int(pid), title) for pid, _, title in rows if pid.isdigit() and "worker process" in title]

    def connections(self, pids: set[int], address: str) -> int:
        """Of all workers together: those that do not leave have none to a slot without a share."""
        done = self._run("exec", NAME, "cat", "/proc/net/tcp")
        if done is None or done.code:
            return 0
        remote = {_in_hex(one) for one in self.found(address)}
        rows = [row.split() for row in done.output.splitlines()]
        return sum(1 for row in rows if len(row) > 3 and row[2] in remote and row[3] == ESTABLISHED)

    def _tell(self, signal: str) -> None:
        self._run("kill", f"--signal={signal}", NAME)

    def _run(self, *argv: str) -> Completed | None:
        """A `docker` command about the container, whose name stands for NAME; None if there is no such container.

        Compose gives it the same name each time that it makes it anew, so that it is looked for only once.
        """
        with self._looking:
            if not self._names:
                self._names.extend(self.docker.names(target=self.target, role=ROUTER)[:1])
        if not self._names:
            return None
        return self.docker.run(*(self._names[0] if part == NAME else part for part in argv), check=False)


def _in_hex(address: str) -> str:
    """`127.0.0.1:80` as the kernel writes it: 0100007F:0050."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)\.(\d+):(\d+)", address)
    if not match:
        return ""
    *parts, port = (int(part) for part in match.groups())
    return "".join(f"{part:02X}" for part in reversed(parts)) + f":{port:04X}"
