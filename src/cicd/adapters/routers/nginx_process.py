"""nginx as a process of this machine."""

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from cicd.adapters.ports import require_free
from cicd.adapters.process import identify, run, spawn, stop
from cicd.adapters.routers.nginx_conf import OLDEST
from cicd.adapters.routers.nginx_program import Worker
from cicd.adapters.runner import Runner
from cicd.adapters.tools import at_least
from cicd.errors import RouterFailed


@dataclass(frozen=True)
class NginxProcess:
    """Started by us; it outlives the job."""

    folder: Path
    runner: Runner

    def check(self, conf: Path) -> str:
        argv = [str(self._binary()), "-t", "-q", "-p", str(self.folder), "-c", str(conf)]
        done = run(argv, check=False)
        return done.output.strip() or "it does not say why" if done.code else ""

    def start(self, conf: Path, port: int) -> None:
        require_free(port, "the router")
        argv = [str(self._binary()), "-p", str(self.folder), "-c", str(conf), "-g", "daemon off;"]
        spawn(argv, env={"PATH": "/usr/bin:/bin"}, cwd=self.folder, log=self.folder / "start.log", outlive_job=True)
        deadline = time.monotonic() + 5
        while not self.runs():
            if time.monotonic() > deadline:
                raise RouterFailed(
                    f"nginx did not start: {(self.folder / 'start.log').read_text()[-500:]}",
                    next_step=f"look at {self.folder / 'error.log'}",
                )
            time.sleep(0.02)

    def runs(self) -> bool:
        return self._master() is not None

    def stop(self) -> None:
        if master := self._master():
            stop(identify(master.pid))

    def reload(self) -> None:
        self._tell(signal.SIGHUP)

    def reopen_logs(self) -> None:
        self._tell(signal.SIGUSR1)

    def workers(self) -> list[Worker]:
        master = self._master()
        return [Worker(child.pid, _title(child)) for child in master.children()] if master else []

    def connections(self, pids: set[int], address: str) -> int:
        host, _, port = address.rpartition(":")
        found = 0
        for pid in pids:
            try:
                made = psutil.Process(pid).net_connections("tcp")
            except (psutil.Error, OSError):
                continue
            found += sum(1 for one in made if one.raddr and one.raddr == (host, int(port)))
        return found

    def _tell(self, number: signal.Signals) -> None:
        if master := self._master():
            master.send_signal(number)

    def _binary(self) -> Path:
        return at_least("nginx", OLDEST, self.runner)

    def _master(self) -> psutil.Process | None:
        """The master of this environment; a pid file that outlived a reboot may name another program, another nginx."""
        try:
            master = psutil.Process(int((self.folder / "nginx.pid").read_text()))
            ours = "nginx" in master.name() and str(self.folder) in " ".join(master.cmdline())
            return master if ours and master.status() != psutil.STATUS_ZOMBIE else None
        except (OSError, ValueError, psutil.Error):
            return None


def _title(worker: psutil.Process) -> str:
    try:
        return " ".join(worker.cmdline())
    except psutil.Error:
        return ""
