"""One connection to a machine by ssh, on which many sessions and forwards go at once.

The master is our child, with a session of its own, the keeper: the keeper's stdin ends when we die in whatever way, and
then it ends the connection with all that runs in it. Our signs of life tell it that we are there (scripts.LEASE).
"""

import contextlib
import re
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import tenacity

from cicd.adapters import process
from cicd.adapters.host import scripts
from cicd.adapters.host.session import Session
from cicd.adapters.host.trouble import NO_FALLBACK, PASSING, explain
from cicd.adapters.process import Dialogue
from cicd.errors import CicdError, HostRefused, HostUnreachable

SESSIONS = 7  # besides the keeper's and the next one; sshd lets a connection have 10: MaxSessions of sshd_config(5)
PATIENCE = 40.0  # seconds in which a connection must be made, with all repetitions
TRIES = 3  # connections that are made in place of one that is lost at once
TAKEN = 5.0  # seconds in which a port that a connection had is free again
READY = 30.0  # seconds that one attempt may take
SIGN = 5.0  # seconds between signs of life
PORTS = range(20_000, 32_768)  # below those of outgoing connections: ip_local_port_range of ip(7)
OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "ClearAllForwardings": "yes",
    "ControlMaster": "yes",
    "ControlPersist": "no",
    "ConnectTimeout": "10",
    "ConnectionAttempts": "1",
    "ServerAliveInterval": "5",  # with the count: a dead host is noticed after 15 s
    "ServerAliveCountMax": "3",
    "LogLevel": "INFO",  # what goes wrong is known from what is said
}


class Lost(Exception):
    """The connection went while a way through it was made; a new one may last."""


class Passing(Exception):
    """A connection could not be made, and the next attempt may succeed; `args[0]` is our error."""


@dataclass(frozen=True)
class User:
    """Who we are there. `number`, `group`: of the user; `home`: his folder."""

    number: int
    group: int
    home: Path


class Connection:
    """A connection that is made when it is first needed, and made anew when it was lost."""

    def __init__(self, name: str, options: Mapping[str, str], env: Mapping[str, str]) -> None:
        """`name`: `ssh://user@host:port`; `options`: of ssh, besides ours; `env`: the whole environment of ssh."""
        self.name = name
        self._options = {**OPTIONS, **options}
        self._env = env
        self._master: _Master | None = None
        self._next: Dialogue | None = None
        self._making = threading.Lock()
        self._room = threading.BoundedSemaphore(SESSIONS)
        self._forwards: dict[str, int] = {}

    @property
    def user(self) -> User:
        return self._made().user

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """A session in which nothing runs yet. Raises HostUnreachable, HostRefused."""
        with self._room:
            master, dialogue = self._opened()
            try:
                yield Session(dialogue, secrets.token_hex(16), lambda: master.alive and dialogue.running)
            finally:
                dialogue.end(patience=1.0)

    def forward(self, address: str) -> int:
        """A port of this machine's loopback that leads to a `host:port` there; the same one each time, unless somebody
        else has taken it while the connection was lost.

        Raises:
            HostUnreachable, HostRefused.
        """
        for _ in range(TRIES):
            master = self._made()
            with self._making, contextlib.suppress(Lost):
                if address not in self._forwards:
                    port = master.forward(self.name, address)
                    master.require_forwards(self.name, address, port)
                    self._forwards[address] = port
                return self._forwards[address]
        raise self._lost_again()

    def _lost_again(self) -> HostUnreachable:
        return HostUnreachable(
            f"The connection to {self.name} was lost {TRIES} times while ways through it were made",
            cause="the network, the host or its sshd goes away again and again",
            next_step="see whether the host is up, then run it again",
        )

    def lost(self, said: str, what: str) -> CicdError:
        """The error for a session that ended without a code; closes the connection if it is dead."""
        if master := self._master:
            master.settle()
            said = re.sub(NO_FALLBACK, "", f"{said}\n{master.said}")
        if "Session open refused" in said:
            return explain(said, self.name)
        last = " / ".join(said.strip().splitlines()[-2:])[-300:] or "it ended without a word"
        return HostUnreachable(
            f"The connection to {self.name} was lost while {what}: {last}",
            cause="the network, the host or its sshd went away; whether it was done to its end is not known",
            next_step="see whether the host is up, then run it again: what was begun is finished or undone",
        )

    def close(self) -> None:
        """End the connection, and what runs in it."""
        with self._making:
            self._let_go()
            self._forwards.clear()

    def _let_go(self) -> None:
        next_one, self._next = self._next, None
        if next_one:
            next_one.end()
        master, self._master = self._master, None
        if master:
            master.close()

    def _opened(self) -> tuple["_Master", Dialogue]:
        """A session. The next one is opened ahead: that takes two round trips, and a login over there."""
        master = self._made()
        with self._making:
            ready, self._next = self._next, None
            if ready and not (ready.running and master is self._master):
                ready.end()
                ready = None
            argv = master.argv(self.name, scripts.COMMAND)
            now = ready or Dialogue(argv, env=self._env)
            if master is self._master:
                self._next = Dialogue(argv, env=self._env)
            return master, now

    def _made(self) -> "_Master":
        with self._making:
            if self._master and self._master.alive:
                return self._master
            for _ in range(TRIES):
                self._let_go()
                self._master = self._connect()
                with contextlib.suppress(Lost):
                    for address, port in self._forwards.items():
                        self._forwards[address] = self._master.forward_again(self.name, address, port)
                    return self._master
            raise self._lost_again()

    def _connect(self) -> "_Master":
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Passing),
            wait=tenacity.wait_exponential(0.5, 8.0),
            stop=tenacity.stop_before_delay(PATIENCE),
            reraise=True,
        )
        try:
            return retrying(lambda: _Master(self.name, self._options, self._env))
        except Passing as error:
            raise error.args[0] from None


class _Master:
    """A connection that was made.

    Attributes:
        user: who we are there.
    """

    def __init__(self, name: str, options: Mapping[str, str], env: Mapping[str, str]) -> None:
        """Raises Passing, HostUnreachable, HostRefused."""
        self._env = env
        # Not the job's folder for temporary files: a socket's path has 108 bytes at most, and ssh adds 17 for a while.
        self._folder = Path(tempfile.mkdtemp(prefix="cicd-ssh-", dir=_short_folder()))
        self._stopping = threading.Event()
        self.said = ""
        given = [f"-o{key}={value}" for key, value in options.items()]
        argv = ["ssh", "-T", "-S", self._socket, *given, "--", name, scripts.COMMAND]
        try:
            self._dialogue = Dialogue(argv, env=env)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        try:
            self.user = self._greet(name)
        except BaseException:
            self._let_go()
            raise
        self._thread = threading.Thread(target=self._keep, name=f"signs of life to {name}", daemon=True)
        self._thread.start()

    @property
    def _socket(self) -> str:
        return str(self._folder / "socket").replace("%", "%%")

    @property
    def alive(self) -> bool:
        return self._dialogue.running and not self._stopping.is_set()

    def argv(self, name: str, command: str) -> list[str]:
        """A session of this connection. It is never one of its own: what ssh falls back to always fails."""
        return ["ssh", "-T", "-F", "none", "-S", self._socket, "-oProxyCommand=false", "--", name, command]

    def _greet(self, name: str) -> User:
        mark = secrets.token_hex(16)
        self._dialogue.say([scripts.line(scripts.keeper(mark))])
        deadline = time.monotonic() + READY
        out = err = b""
        while (count := out.count(mark.encode())) < 2:
            heard = self._dialogue.hear(max(0.0, deadline - time.monotonic()))
            if heard is None or time.monotonic() >= deadline:
                self._fail(out, err, name, "" if heard is None else f"{name} did not answer within {READY:g} s")
            else:
                out, err = out + heard[0], err + heard[1]
        assert count
        number, group, home = out.split(mark.encode())[1][1:].decode(errors="surrogateescape").split(" ", 2)
        return User(int(number), int(group), Path(home))

    def _fail(self, out: bytes, err: bytes, name: str, more: str) -> None:
        said = "\n".join([out.decode(errors="replace"), err.decode(errors="replace"), more])
        error = explain(said, name)
        raise Passing(error) if PASSING.search(said) and not isinstance(error, HostRefused) else error

    def _keep(self) -> None:
        """Give signs of life until the connection ends."""
        sign = 0.0
        while not self._stopping.is_set():
            if time.monotonic() >= sign:
                self._dialogue.say([b"."])
                sign = time.monotonic() + SIGN
            heard = self._dialogue.hear(max(0.0, sign - time.monotonic()))
            if heard is None:
                return
            self.said = (self.said + heard[1].decode(errors="replace"))[-2000:]

    def settle(self) -> None:
        """A session was lost; if that is because the connection is, wait until this is seen, and why is heard."""
        self._thread.join(0.5)

    def require_forwards(self, name: str, address: str, port: int) -> None:
        """Raises HostRefused if sshd does not lead there; whether anybody listens there is another question."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.3) as tried:
            tried.shutdown(socket.SHUT_WR)  # a server ends then, and so we need not wait
            tried.recv(1)
        deadline = time.monotonic() + 0.1  # ssh has said why before it closes; the thread that hears it must have come
        while "open failed" not in self.said and time.monotonic() < deadline:
            time.sleep(0.01)
        if "administratively prohibited" in self.said:
            raise HostRefused(
                f"{name} leads nobody to {address}",
                cause="its sshd has `AllowTcpForwarding no`, or a `PermitOpen` without that address",
                next_step="set `AllowTcpForwarding local` in sshd_config there (for this user: `Match User`)",
            )

    def forward(self, name: str, address: str) -> int:
        """A free port that leads there from now on. Raises Lost, HostRefused."""
        for _ in range(5):  # another program may be faster
            port = _free_port()
            if not (said := self._lead(name, address, port)):
                return port
        raise HostRefused(
            f"No way to {address} on {name}: {said}",
            cause="no port of this machine could be taken",
            next_step="run it again",
        )

    def forward_again(self, name: str, address: str, port: int) -> int:
        """The port that led there over the connection before, once it is free; another one if it stays taken.

        Raises:
            Lost, HostRefused.
        """
        deadline = time.monotonic() + TAKEN
        while self._lead(name, address, port):
            if time.monotonic() >= deadline:
                return self.forward(name, address)
            time.sleep(0.1)
        return port

    def _lead(self, name: str, address: str, port: int) -> str:
        """Let a port lead there; gives why it does not, empty if it does. Raises Lost."""
        argv = ["ssh", "-F", "none", "-S", self._socket, "-O", "forward", "-L", f"127.0.0.1:{port}:{address}"]
        done = process.run([*argv, "--", name], env=self._env, timeout=READY, check=False)
        if done.code == 0 and not done.timed_out:
            return ""
        self.settle()
        if not self.alive:
            raise Lost
        return done.output.strip()[-300:] or f"ssh ended with {done.code}"

    def close(self) -> None:
        self._stopping.set()
        self._dialogue.stop(2.0)
        self._thread.join()
        self._let_go()

    def _let_go(self) -> None:
        self._dialogue.end(patience=2.0)
        shutil.rmtree(self._folder, ignore_errors=True)


def _short_folder() -> str | None:
    return "/tmp" if len(tempfile.gettempdir()) > 50 else None  # noqa: S108  # mkdtemp makes a private one in it


def _free_port() -> int:
    """One that the kernel gives to nobody by itself: while a connection is lost its ports are free for all."""
    for _ in range(100):
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        given: int = probe.getsockname()[1]
        return given


def options(identity_file: Path | None, known_hosts: Path | None) -> Mapping[str, str]:
    """Options of ssh for a key and known hosts that are given to us; the user's own where they are not."""
    given: dict[str, str] = {}
    if identity_file:
        given |= {"IdentityFile": _path(identity_file), "IdentitiesOnly": "yes"}
    if known_hosts:
        given |= {"UserKnownHostsFile": _path(known_hosts), "GlobalKnownHostsFile": "none"}
    return given


def _path(path: Path) -> str:
    return '"' + str(path).replace("%", "%%") + '"'
