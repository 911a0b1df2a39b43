"""The servers of one project in one job: known to its later steps by a state file, ended with it by a watcher.

Each project folder has servers of its own: what one migrates, counts or flushes is not another's, and one that wants
another version or setting takes nothing away.

A composite action has no step that runs at the end of the job. GitHub's runner ends every process that carries its
tracking id; elsewhere (and besides) the watcher does, when the job's own process or its temp folder is gone.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

from cicd.adapters.folders import locked, private_folder, write_private
from cicd.adapters.process import ProcessId, Started, find, run, spawn, stop, stop_marked
from cicd.adapters.runner import Runner
from cicd.adapters.services.place import Account
from cicd.core.config import Service
from cicd.core.services import Ancestor, Wanted, job_process
from cicd.errors import ServiceFailed, ToolMissing

WATCHER = Path(__file__).with_name("watcher.py")


MARK = "CICD_SERVER"  # a variable that all processes of a server have: its folder
DOCKER = ("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "HOME")


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A server that answered. Its state file is ours alone (0600), for the password is in it.

    Attributes:
        version: that it says it has; empty where it does not tell.
        source: where it comes from: `path`, `wheel`, `container`, `command`, or `service container`.
        pid: its process; 0 for a service container, which is not ours to end.
        asked: the version that was asked for.
        variables: what the job's later steps get.
    """

    name: str
    version: tuple[int, ...]
    source: str
    settings: dict[str, str]
    port: int
    url: str
    password: str
    folder: str
    pid: int
    started: Started
    seconds: float
    host: str = "127.0.0.1"
    about: Service = Service()
    asked: str = ""
    variables: dict[str, str] = {}

    @property
    def wanted(self) -> Wanted:
        """What was asked for when it was started."""
        return Wanted(self.name, self.asked, self.settings, self.about)

    @property
    def process(self) -> ProcessId:
        return ProcessId(self.pid, self.started)

    def __repr__(self) -> str:
        return f"Server({self.name}, port {self.port})"


class State(msgspec.Struct):
    """What the watcher needs: all that was begun, and the servers that got ready.

    Attributes:
        folders: of servers; each is the MARK of its processes.
        containers: names.
        env: what docker needs.
        seeded: marks of what was loaded into databases.
    """

    servers: list[Server] = []
    processes: list[tuple[int, Started]] = []
    folders: list[str] = []
    containers: list[str] = []
    env: dict[str, str] = {}
    seeded: list[str] = []
    watcher: tuple[int, Started] = (0, 0.0)


@dataclass
class Job:
    """The servers of one project in one job.

    Attributes:
        folder: holds the state and the servers' data.
        owner: the process whose end is the end of the job; 0 when it cannot be told.
        env: what docker and the watcher need.
        project: the consumer's folder.
    """

    folder: Path
    owner: int
    env: dict[str, str]
    project: Path = Path("/")
    state: State = field(default_factory=State)
    guard: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, runner: Runner, project: Path) -> Iterator["Job"]:
        """The job that we are in; one step at a time. Raises ServiceFailed when its folder cannot be written.

        Args:
            project: folder whose servers are meant.
        """
        owner = owner_of_job()
        folder = runner.temp / f"cicd-services-{owner}-{hashlib.sha256(bytes(project.resolve())).hexdigest()[:8]}"
        env = {name: runner.env[name] for name in ("PATH", *DOCKER) if runner.env.get(name)}
        try:
            private_folder(folder)
            with locked(folder):
                yield cls(folder, owner, env, project.resolve(), read_state(folder) or State())
        except OSError as error:
            raise ServiceFailed(
                f"The job's temp folder cannot be used: {error}", next_step="set RUNNER_TEMP to a folder of your own"
            ) from error

    def running(self) -> dict[str, Server]:
        """The servers that live."""
        return {server.name: server for server in self.state.servers if find(server.process)}

    def new_folder(self, name: str, account: Account) -> Path:
        """A folder for a server's data. Raises OSError."""
        if account.uid is not None:
            self.folder.chmod(0o711)  # names in it cannot be guessed, and the server has to get through
        folder = self.folder / f"{name}-{secrets.token_hex(8)}"
        self._change(lambda state: state.folders.append(str(folder)))
        folder.mkdir(mode=0o700)
        account.own(folder)
        return folder

    def note(self, process: ProcessId) -> None:
        """A process was started: from here on it ends with the job."""
        self._change(lambda state: state.processes.append((process.pid, process.started)))

    def add(self, server: Server) -> None:
        """A server is ready."""
        self._change(lambda state: state.servers.append(server))

    def note_seed(self, mark: str) -> None:
        """A seed is in its database: it is not loaded again."""
        self._change(lambda state: state.seeded.append(mark))

    def remove(self, server: Server) -> None:
        """End a server and remove its data."""
        self.end(server.process, Path(server.folder))
        self._change(lambda state: state.servers.remove(server))
        self.clear(Path(server.folder))

    def end(self, process: ProcessId, folder: Path) -> None:
        """End a server, with what it has put into the background. A container first: it need not be asked politely."""
        name = container_name(folder)
        if name in self.state.containers:
            remove_container(name, self.env)
            self._change(lambda state: state.containers.remove(name))
        end_server(process)
        end_marked(str(folder))

    def clear(self, folder: Path) -> None:
        """Remove the folder of a server that has ended."""
        shutil.rmtree(folder, ignore_errors=True)
        self._change(lambda state: state.folders.remove(str(folder)))

    def new_container(self, folder: Path) -> str:
        """The name of the container of the server in this folder, which is removed with it from here on."""
        name = container_name(folder)
        if name not in self.state.containers:
            self._change(lambda state: state.containers.append(name))
        return name

    def _change(self, change: Callable[[State], object]) -> None:
        with self.guard:
            change(self.state)
            self.state.env = self.env
            self.state.processes = [one for one in self.state.processes if find(ProcessId(*one))]
            write_private(self.folder / "state.json", msgspec.json.encode(self.state).decode())

    def watch(self) -> ProcessId:
        """See to it that the servers end with the job. Before the first one starts, so that none is ever missed."""
        watcher = ProcessId(*self.state.watcher)
        if watcher.pid and find(watcher):
            return watcher
        self._change(lambda state: state)  # the file must be there: without it the watcher ends
        argv = [sys.executable, "-I", str(WATCHER), str(self.folder), str(self.owner)]
        # Without the tracking id: GitHub's runner would end it before it has removed the containers.
        watcher = spawn(argv, env=self.env, cwd=Path("/"), log=self.folder / "watcher.log", outlive_job=True)
        self._change(lambda state: setattr(state, "watcher", (watcher.pid, watcher.started)))
        return watcher

    def close_if_empty(self) -> None:
        """Without servers there is nothing to watch or keep."""
        if not self.running():
            if self.state.watcher[0]:
                stop(ProcessId(*self.state.watcher), grace=2)
            end(self.folder, self.state)


def read_state(folder: Path) -> State | None:
    """The state of a job; None when there is none that can be read."""
    try:
        return msgspec.json.decode((folder / "state.json").read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):
        return None


def end_server(process: ProcessId) -> None:
    """End a server. SIGINT first: PostgreSQL waits for its clients after SIGTERM, and both end at once after this."""
    if found := find(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 2
        while find(process) and time.monotonic() < deadline:  # a zombie has ended, whenever it is reaped
            time.sleep(0.01)
        stop(process, grace=1)


def end_marked(folder: str) -> None:
    """End what a server has left in the background."""
    stop_marked(MARK, folder)


def container_name(folder: Path) -> str:
    return f"cicd-{folder.name}"


def remove_container(name: str, env: Mapping[str, str]) -> None:
    """Remove a container and its volumes; one that is gone is fine."""
    with contextlib.suppress(ToolMissing):
        run(["docker", "rm", "--force", "--volumes", name], env=env, check=False, timeout=60)


def end(folder: Path, state: State) -> None:
    """End all processes and containers of a job, side by side, and remove its folder."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: remove_container(name, state.env), state.containers))
        list(pool.map(lambda one: end_server(ProcessId(*one)), state.processes))
        list(pool.map(end_marked, state.folders))
    shutil.rmtree(folder, ignore_errors=True)


def owner_of_job() -> int:
    """The process whose end is the end of our job; 0 when there is none above us."""
    ancestors: list[Ancestor] = []
    with contextlib.suppress(psutil.Error):
        above = psutil.Process().parents()
        ancestors = [Ancestor(process.pid, process.name()) for process in above if process.pid > 1]
    return job_process(ancestors, os.getsid(0))
