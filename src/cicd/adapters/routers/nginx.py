"""Router `nginx`: one server per environment, switched by the atomic rename of one included file and a reload."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cicd.adapters.docker import Docker
from cicd.adapters.http import ROUTER_RELEASE, probe
from cicd.adapters.ports import HOST
from cicd.adapters.routers.log import Log, LogFile, Mark, end_of, recent, rotated
from cicd.adapters.routers.nginx_conf import MANNER, NOWHERE, Manner, active, main
from cicd.adapters.routers.nginx_container import NginxContainer, as_it_is
from cicd.adapters.routers.nginx_process import NginxProcess
from cicd.adapters.routers.nginx_program import NginxProgram, Worker
from cicd.adapters.routers.share import Share
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target, writing
from cicd.core.health import Probe
from cicd.core.release import Record
from cicd.core.watch import Answer
from cicd.errors import RouterFailed

LOG_LIMIT = 64 * 1024 * 1024  # bytes, after which the log starts anew at the next switch
RELOADED_WITHIN = 5.0  # seconds that new workers have to be there


@dataclass(frozen=True)
class Drained:
    """How a slot was left by the last of its requests.

    Attributes:
        seconds: that this took.
        cut: connections that were still open when the time was over.
    """

    seconds: float
    cut: int

    def __str__(self) -> str:
        return f"drained in {self.seconds:.1f} s, {self.cut} cut"


@dataclass(frozen=True)
class Nginx:
    """The nginx of one environment, with its files in the target's folder.

    Attributes:
        manner: how it stands to the world, by the port at which the host has it.
    """

    target: Target
    program: NginxProgram
    manner: Callable[[int], Manner]

    @property
    def folder(self) -> Path:
        return self.target.folder / "router"

    def route(self, shares: Sequence[Share], port: int, *, everywhere: bool = False) -> None:
        self._lay_out()
        self._rotate()
        manner = self.manner(port)
        text = active(shares, manner.named)
        with ThreadPoolExecutor(1) as pool:  # each may start a program
            asked = pool.submit(self.program.workers)
            self._test(text, manner)
        before = asked.result()
        self.target.write(self.folder / "active.conf", text)
        self.target.write(self.folder / "nginx.conf", main(self.folder, "active.conf", manner))
        if before or self.program.runs():
            self._reload(before)
        else:
            self.program.start(self.folder / "nginx.conf", port)

    def ask(self, record: Record) -> list[Probe]:
        address = self.target.host.reach(f"{HOST}:{record.ports.router}")
        url = f"http://{address}{record.deploy.health.path}"
        return [probe(url, release_header=ROUTER_RELEASE)]

    def close(self) -> None:
        self.target.write(self.folder / "active.conf", active([NOWHERE]))
        before = self.program.workers()
        if before or self.program.runs():
            self._reload(before)

    def drain(self, addresses: Sequence[str], within: float) -> Drained:
        started = time.monotonic()
        while (leaving := self._leaving()) is None or leaving:
            if time.monotonic() - started > within:
                return Drained(time.monotonic() - started, self.program.connections(leaving or set(), addresses[0]))
            time.sleep(0.05)
        return Drained(time.monotonic() - started, 0)

    def _leaving(self) -> set[int] | None:
        """The workers that only end what they had begun; None where they cannot be seen though nginx runs."""
        workers = self.program.workers()
        if not workers and self.program.runs():
            return None
        return {worker.pid for worker in workers if worker.leaving}

    def runs(self) -> bool:
        return self.program.runs()

    def stop(self) -> None:
        self.program.stop()

    def mark(self) -> Sequence[Mark]:
        return (end_of(self.target.host, self.folder / "access.log"),)

    def log(self, since: Sequence[Mark]) -> Log:
        return Log([LogFile(self.target.host, self.folder / "access.log", since[0])])

    def recent(self, slot: str, release_id: str, count: int) -> list[Answer]:
        return recent(self.target.host, self.folder / "access.log", slot, release_id, count)

    def _lay_out(self) -> None:
        with writing(self.folder):
            self.target.make("router", "tmp")

    def _test(self, text: str, manner: Manner) -> None:
        """Have nginx read the configuration before it becomes the active one."""
        self.target.write(self.folder / "active.new.conf", text)
        self.target.write(self.folder / "nginx.new.conf", main(self.folder, "active.new.conf", manner))
        if wrong := self.program.check(self.folder / "nginx.new.conf"):
            raise RouterFailed(
                f"nginx refuses the configuration: {wrong[-500:]}",
                next_step="this is a bug in cicd; the router goes on as it was",
            )

    def _reload(self, workers: Sequence[Worker]) -> None:
        """Have the new configuration in force: new workers are there, and the old ones take no new connection.

        nginx says nothing of a reload that fails; and for 100 ms after one that does not, old and new ones both accept.
        """
        before = {worker.pid for worker in workers}
        self.program.reload()
        deadline = time.monotonic() + RELOADED_WITHIN
        while not _renewed(self.program.workers(), before):
            if time.monotonic() > deadline:
                raise RouterFailed(
                    f"nginx did not take its new configuration within {RELOADED_WITHIN:g} s",
                    cause="the router goes on as it was",
                    next_step=f"look at {self.folder / 'error.log'}",
                )
            time.sleep(0.01)

    def _rotate(self) -> None:
        """Start the log anew when it has grown large; the one before is kept as access.log.1."""
        log = self.folder / "access.log"
        found = self.target.host.look(log)
        if found and found.size > LOG_LIMIT:
            self.target.host.rename(log, rotated(log))
            self.program.reopen_logs()


def _renewed(workers: Sequence[Worker], before: set[int]) -> bool:
    """Whether there are workers of a new configuration, and all that were there before are leaving."""
    old = [worker for worker in workers if worker.pid in before]
    return len(old) < len(workers) and all(worker.leaving for worker in old)


def in_container(target: Target, found: Callable[[str], Sequence[str]] = as_it_is) -> Nginx:
    """The nginx of an environment whose releases are containers; its engine has laid out how it stands to the world.

    Args:
        found: the addresses that an address of a slot stands for.
    """

    def manner(port: int) -> Manner:
        return msgspec.json.decode(target.host.read(target.folder / "router" / MANNER), type=Manner)

    return Nginx(target, NginxContainer(Docker(target.host), target.name, found), manner)


def on_this_machine(target: Target, runner: Runner) -> Nginx:
    """The nginx of an environment whose releases are processes of this machine."""
    import pwd  # here, for tests also run where there is none

    # Workers of a root master become `nobody`, who cannot reach the target's folder; they stay who we are.
    user = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() == 0 else ""
    program = NginxProcess(target.folder / "router", runner)
    return Nginx(target, program, lambda port: Manner(f"{HOST}:{port}", user=user))
