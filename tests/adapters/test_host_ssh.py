"""What can go wrong between two machines, with a real sshd."""

import contextlib
import os
import pwd
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from cicd.adapters.host import connection, scripts
from cicd.adapters.host.ssh import SshHost
from cicd.adapters.process import which
from cicd.errors import CicdError, HostRefused, HostUnreachable, ToolMissing
from tests.adapters.sshd import USER, Sshd, free_port, needs_sshd, new_key
from tests.adapters.test_host import ended, left_in, settled

pytestmark = [pytest.mark.real, needs_sshd]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path / "sshd")
    yield server
    server.stop()


@pytest.fixture
def host(server: Sshd) -> Iterator[SshHost]:
    host = server.host()
    yield host
    host.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 1.0)


class Link:
    """A way to a port that can be slow, or can swallow everything.

    Attributes:
        rate: bytes per second in each direction.
        dead: whether nothing gets through any more, and nobody is told.
    """

    def __init__(self, port: int, rate: float = float("inf")) -> None:
        self.rate, self.dead, self._to = rate, False, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            self._open += [near, far]
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source: socket.socket, to: socket.socket) -> None:
        try:
            while True:
                piece = source.recv(8192)
                while self.dead:
                    time.sleep(0.05)
                time.sleep(len(piece) / self.rate)
                if not piece:
                    return to.shutdown(socket.SHUT_WR)
                to.sendall(piece)
        except OSError:
            pass

    def close(self) -> None:
        self.dead = False
        for each in self._open:
            each.close()


@pytest.fixture
def link(server: Sshd) -> Iterator[Link]:
    link = Link(server.port)
    text = server.known.read_text()
    server.known.write_text(text + text.replace(str(server.port), str(link.port)))
    yield link
    link.close()


def test_nothing_secret_is_on_a_command_line(host: SshHost, tmp_path: Path) -> None:
    secret = secrets.token_hex(16)
    seen: list[str] = []

    def look(line: str) -> None:
        for process in psutil.process_iter():
            try:
                seen.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue

    script = 'read -r said; [ "$said" = "$EXPECTED" ] && echo same; sleep 0.2'
    env = {"EXPECTED": secret}
    done = host.run(["sh", "-c", script], env=env, stdin=f"{secret}\n".encode(), each_line=look)
    assert done.output == "same"
    assert any(script in line for line in seen)
    assert not any(secret in line for line in seen)
    with host.locked(tmp_path / "lock", secret.encode()):
        look("")
    assert not any(secret in line for line in seen)


def test_a_connection_that_is_lost_is_made_anew_and_nothing_is_run_twice(
    server: Sshd, host: SshHost, tmp_path: Path
) -> None:
    marker = tmp_path / "runs"
    script = 'echo run >>"$1"; echo $$; exec sleep 60'
    pids: list[int] = []

    def cut(line: str) -> None:
        pids.append(int(line))
        server.cut()

    with host.locked(tmp_path / "lock", b"") as hold:
        assert hold.held
        with pytest.raises(HostUnreachable, match=r"was lost while `sh` ran.*not known"):
            host.run(["sh", "-c", script, "-", str(marker)], each_line=cut)
        settled(lambda: not hold.held)
    assert ended(pids[0])
    assert marker.read_text() == "run\n"
    assert host.run(["echo", "again"]).output == "again"
    with host.locked(tmp_path / "lock", b"") as hold:
        assert hold.held


def test_sshd_is_restarted_in_the_middle(server: Sshd, host: SshHost, tmp_path: Path) -> None:
    address = f"127.0.0.1:{server.port}"
    reached = host.reach(address)

    def restart(line: str) -> None:
        server.stop()
        server.start()

    with pytest.raises(HostUnreachable):
        host.run(["sh", "-c", "echo up; exec sleep 60"], each_line=restart)
    host.write(tmp_path / "file", b"x")
    assert host.reach(address) == reached
    port = int(reached.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connected:
        assert connected.recv(4) == b"SSH-"


def taken(reached: str) -> socket.socket:
    """The port that was reached, as somebody else has it from now on, once it is free."""
    listener, port = socket.socket(), int(reached.rpartition(":")[2])
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + 10
    while listener.getsockname()[1] != port:
        assert time.monotonic() < deadline
        with contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
        time.sleep(0.02)
    listener.listen()
    return listener


def test_a_way_whose_port_is_taken_while_the_connection_is_lost(server: Sshd, host: SshHost, tmp_path: Path) -> None:
    """It comes back when the port is free, as after a while it mostly is."""
    address = f"127.0.0.1:{server.port}"
    reached = host.reach(address)
    server.cut()
    listener = taken(reached)
    timer = threading.Timer(0.5, listener.close)
    timer.start()
    host.write(tmp_path / "file", b"x")
    timer.join()
    assert host.reach(address) == reached


def test_a_way_whose_port_stays_taken_gets_another(
    server: Sshd, host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TAKEN", 0.3)
    address = f"127.0.0.1:{server.port}"
    reached = host.reach(address)
    server.cut()
    with taken(reached):
        host.write(tmp_path / "file", b"x")
        other = host.reach(address)
        assert other != reached
        with socket.create_connection(("127.0.0.1", int(other.rpartition(":")[2])), timeout=10) as connected:
            assert connected.recv(4) == b"SSH-"


@pytest.mark.parametrize("first", [True, False], ids=["first", "again"])
@pytest.mark.parametrize("times", [1, 2, 99])
def test_a_connection_that_is_lost_while_a_way_is_made(
    server: Sshd, host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool, times: int
) -> None:
    address, lead, count = f"127.0.0.1:{server.port}", connection._Master._lead, [0]
    if not first:
        host.reach(address)
        server.cut()
        lost = host._connection._master
        assert lost
        settled(lambda: not lost.alive)

    def cut(master: connection._Master, name: str, there: str, port: int) -> str:
        count[0] += 1
        if count[0] <= times:
            server.cut()
            settled(lambda: not master.alive)
        return lead(master, name, there, port)

    monkeypatch.setattr(connection._Master, "_lead", cut)
    if times == 99:
        with pytest.raises(HostUnreachable, match="was lost 3 times while ways"):
            host.reach(address)
        return
    with socket.create_connection(("127.0.0.1", int(host.reach(address).rpartition(":")[2])), timeout=10) as connected:
        assert connected.recv(4) == b"SSH-"


def test_a_host_that_is_suddenly_silent_is_noticed_on_both_sides(
    server: Sshd, link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    monkeypatch.setitem(connection.OPTIONS, "ServerAliveInterval", "1")
    monkeypatch.setitem(connection.OPTIONS, "ConnectTimeout", "1")
    monkeypatch.setattr(connection, "SIGN", 0.5)
    monkeypatch.setattr(scripts, "LEASE", 3)
    host, onlooker = server.host(port=link.port), server.host()
    pids: list[int] = []
    served: list[psutil.Process] = []

    def silence(line: str) -> None:
        pids.append(int(line))
        served.extend(server.connections())
        link.dead = True

    try:
        with host.locked(tmp_path / "lock", b"") as hold:
            with pytest.raises(HostUnreachable, match=r"not responding"):
                host.run(["sh", "-c", "echo $$; exec sleep 60"], each_line=silence)
            assert not hold.held
            with pytest.raises(HostUnreachable, match=r"timed out|banner"):
                host.read(tmp_path / "x")
            assert ended(pids[0])
            assert len(served) == 1
            assert ended(served[0].pid)
            with onlooker.locked(tmp_path / "lock", b""):
                pass
    finally:
        host.close()
        onlooker.close()


def test_a_slow_link(server: Sshd, link: Link, tmp_path: Path) -> None:
    link.rate = 400_000
    host = server.host(port=link.port)
    try:
        with ThreadPoolExecutor(4) as pool:
            big = pool.submit(host.write, tmp_path / "big", b"x" * 1_000_000)
            said = [pool.submit(host.run, ["echo", str(number)]) for number in range(3)]
            assert [each.result().output for each in said] == ["0", "1", "2"]
            big.result()
        assert len(host.read(tmp_path / "big")) == 1_000_000
    finally:
        host.close()


def test_what_was_cut_off_while_it_was_written_is_not_there(server: Sshd, link: Link, tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "file").write_bytes(b"old")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(b"x" * 3_000_000)
    host = server.host(port=link.port)
    try:
        acts: list[Callable[[], None]] = [
            lambda: host.write(folder / "file", b"x" * 3_000_000),
            lambda: host.send(tmp_path / "source", folder / "file"),
        ]
        for act in acts:
            host.home()
            link.rate = 1_000_000
            cutter = threading.Timer(0.5, server.cut)
            cutter.start()
            with pytest.raises(HostUnreachable):
                act()
            cutter.join()
            link.rate = float("inf")
            settled(lambda: left_in(folder) == {"file"})
            assert (folder / "file").read_bytes() == b"old"
    finally:
        host.close()


def told(host: SshHost) -> CicdError:
    """The error of a host that cannot be used."""
    with pytest.raises(CicdError) as caught:
        host.run(["true"])
    host.close()
    assert caught.value.cause
    assert caught.value.next_step
    return caught.value


def test_a_key_that_is_refused_or_damaged(server: Sshd, tmp_path: Path) -> None:
    name = f"ssh://{USER}@127.0.0.1:{server.port}"
    stranger = new_key(tmp_path / "stranger")
    error = told(SshHost(name, os.environ, identity_file=stranger, known_hosts=server.known))
    assert isinstance(error, HostRefused)
    assert "authorized_keys" in str(error)
    damaged = tmp_path / "damaged"
    damaged.write_text(server.key.read_text().rstrip("\n").replace("\n", " "))
    damaged.chmod(0o600)
    error = told(SshHost(name, os.environ, identity_file=damaged, known_hosts=server.known))
    assert isinstance(error, HostRefused)
    assert "line ends" in str(error)
    server.key.chmod(0o644)
    error = told(server.host())
    assert isinstance(error, HostRefused)
    assert "chmod 600" in str(error)


def test_a_host_key_that_is_unknown_or_another_one(server: Sshd, tmp_path: Path) -> None:
    known = server.known.read_text()
    server.known.write_text("")
    error = told(server.host())
    assert isinstance(error, HostRefused)
    assert "not known here" in str(error)
    assert "compare their fingerprints" in str(error)
    other = new_key(tmp_path / "other").with_suffix(".pub").read_text()
    server.known.write_text(f"{known.split()[0]} {other}")
    error = told(server.host())
    assert isinstance(error, HostRefused)
    assert "not the one that we know" in str(error)
    assert server.known.read_text() == f"{known.split()[0]} {other}"


def test_nobody_there(server: Sshd, impatient: None) -> None:
    key = {"identity_file": server.key, "known_hosts": server.known}
    error = told(SshHost(f"ssh://127.0.0.1:{free_port()}", os.environ, **key))
    assert isinstance(error, HostUnreachable)
    assert "no sshd listens" in str(error)
    error = told(SshHost("ssh://no-such-host.invalid", os.environ, **key))
    assert isinstance(error, HostUnreachable)
    assert "name server" in str(error)


def test_one_that_comes_back_while_we_wait(server: Sshd, host: SshHost) -> None:
    server.stop()
    later = threading.Timer(1.0, server.start)
    later.start()
    assert host.run(["echo", "there"]).output == "there"
    later.join()


def test_something_that_is_no_sshd(server: Sshd, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.OPTIONS, "ConnectTimeout", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = told(SshHost(f"ssh://127.0.0.1:{silent.getsockname()[1]}", os.environ))
    assert isinstance(error, HostUnreachable)
    assert "timed out" in str(error)


def test_a_user_without_a_shell_and_a_login_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Sshd(tmp_path / "sshd", {"ForceCommand": "echo This account is currently not available.; exit 1"})
    error = told(server.host())
    server.stop()
    assert isinstance(error, HostRefused)
    assert "no shell" in str(error)
    monkeypatch.setattr(connection, "READY", 1.0)
    monkeypatch.setattr(connection, "PATIENCE", 1.0)
    server = Sshd(tmp_path / "other", {"ForceCommand": "sleep 60"})
    error = told(server.host())
    server.stop()
    assert isinstance(error, HostUnreachable)
    assert "did not answer" in str(error)


def test_an_sshd_that_lets_us_open_one_session_alone(tmp_path: Path) -> None:
    server = Sshd(tmp_path / "sshd", {"MaxSessions": "1"})
    error = told(server.host())
    server.stop()
    assert isinstance(error, HostRefused)
    assert "MaxSessions" in str(error)


def test_a_machine_without_flock(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "cat", "head", "id", "timeout"):
        (programs / name).symlink_to(which(name) or name)
    server = Sshd(tmp_path / "sshd", {"ForceCommand": f'export PATH={programs}; exec sh -c "$SSH_ORIGINAL_COMMAND"'})
    host = server.host()
    try:
        with pytest.raises(ToolMissing, match="util-linux"), host.locked(tmp_path / "lock", b""):
            pass
        with pytest.raises(ToolMissing, match="`docker` is not on ssh://"):
            host.run(["docker", "version"])
    finally:
        host.close()
        server.stop()


def test_a_user_may_not_write(host: SshHost) -> None:
    with pytest.raises(OSError):
        host.write(Path("/proc/version"), b"")
    with pytest.raises(OSError):
        host.write(Path("/proc/no/such"), b"")


def test_what_is_left_of_a_connection_is_nothing(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(connection, "_short_folder", lambda: short)
        host = server.host()
        host.run(["true"])
        (folder,) = Path(short).iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        host.close()
        assert left_in(Path(short)) == set()
        settled(lambda: not server.connections())
        assert host.run(["echo", "again"]).output == "again"
        host.close()


def test_an_sshd_that_forwards_nothing(tmp_path: Path) -> None:
    server = Sshd(tmp_path / "sshd", {"AllowTcpForwarding": "no"})
    host = server.host()
    try:
        with pytest.raises(HostRefused, match="AllowTcpForwarding"):
            host.reach(f"127.0.0.1:{server.port}")
    finally:
        host.close()
        server.stop()


def test_what_nobody_listens_at_can_be_reached_later(server: Sshd, host: SshHost) -> None:
    there = free_port()
    host_, _, port = host.reach(f"127.0.0.1:{there}").rpartition(":")
    with (
        socket.create_server(("127.0.0.1", there)) as late,
        socket.create_connection((host_, int(port)), timeout=10) as near,
        late.accept()[0] as far,
    ):
        far.sendall(b"hello")
        assert near.recv(5) == b"hello"


def test_the_home_of_the_tester_is_not_touched(host: SshHost, server: Sshd) -> None:
    assert host.home() == server.home
    assert str(host.home()) != pwd.getpwuid(os.geteuid()).pw_dir
