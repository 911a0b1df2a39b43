"""Starting programs: the only user of subprocess. argv lists, never a shell; secrets by environment, never in argv."""

import contextlib
import os
import select
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from cicd.adapters.output import Kept, Splitter
from cicd.errors import CommandFailed, ToolMissing

TRACKING = "RUNNER_TRACKING_ID"  # GitHub's runner ends what carries it when the job ends

KILL: signal.Signals = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows knows one way to end a process
POLITELY = ((signal.SIGTERM, 5.0), (KILL, 1.0))
LAST_WORDS = 1.0  # seconds that output is still taken after the program has ended


@dataclass(frozen=True)
class Completed:
    """A program that has ended. `output` is stdout and stderr as they came, `seconds` the wall time.

    Of a long output the beginning and the end are kept.
    """

    argv: tuple[str, ...]
    code: int
    output: str
    seconds: float
    timed_out: bool = False


Started = str | float


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same pid.

    Attributes:
        pid: process id.
        started: on Linux the boot and the clock ticks from it to the start, which nobody changes by setting the clock.
            A number is seconds since the epoch, and only good as long as nobody does.
    """

    pid: int
    started: Started


def identify(pid: int) -> ProcessId:
    """The process that has this pid now. Raises psutil.Error when there is none."""
    return ProcessId(pid, _started(pid))


def _started(pid: int) -> Started:
    if sys.platform != "linux":
        return psutil.Process(pid).create_time()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        about = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError as error:
        raise psutil.NoSuchProcess(pid) from error
    # Field 22; the name, in field 2 and in parentheses, may hold anything.
    # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    return f"{boot}/{int(about.rpartition(b')')[2].split()[19])}"


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cwd: Path | None = None,
    timeout: float | None = None,
    check: bool = True,
    each_line: Callable[[str], None] | None = None,
    next_step: str = "",
    ending: Sequence[tuple[signal.Signals, float]] = POLITELY,
) -> Completed:
    """Run a program to its end.

    Args:
        argv: program and arguments.
        env: its whole environment; None: ours.
        stdin: what it reads.
        timeout: seconds after which it and its children are ended; `timed_out` is set then.
        check: whether a non-zero end raises CommandFailed, with the last lines of its output.
        each_line: called with every line of its output as it comes.
        next_step: what the error tells the user to do.
        ending: signals that end it where it must be ended, each with the seconds that it is given then.

    Raises:
        ToolMissing: the program is not there. CommandFailed: see `check`.
    """
    started = time.monotonic()
    with _reading(stdin) as source:
        child = _start(argv, env=env, cwd=cwd, stdin=source, stdout=subprocess.PIPE, new_session=True)
    timed_out = threading.Event()

    def expire() -> None:
        timed_out.set()
        end_group(child.pid, ending)

    timer = threading.Timer(timeout, expire) if timeout else None
    if timer:
        timer.start()
    kept = Kept()
    try:
        assert child.stdout is not None
        with child.stdout as stream:
            for line in _lines(child, stream):
                kept.add(line)
                if each_line:
                    each_line(line)
        code = child.wait()
    except BaseException:
        end_group(child.pid, ending)
        child.wait()
        raise
    finally:
        if timer:
            timer.cancel()
    done = Completed(tuple(argv), code, kept.text(), time.monotonic() - started, timed_out.is_set())
    if check and (code or done.timed_out):
        raise failure(done, next_step)
    return done


def output(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float | None = None,
    complain: Callable[[str], None] = lambda complaint: None,
) -> bytes:
    """All that a program writes to stdout, which has to fit into memory.

    Args:
        complain: told what it wrote to stderr, however it ended.

    Raises:
        ToolMissing. CommandFailed: it did not end well; with what it wrote to stderr.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as told, _reading(stdin) as source:
        child = _start(argv, env=env, cwd=None, stdin=source, stdout=subprocess.PIPE, stderr=told, new_session=True)
        timed_out = False
        try:
            said, _ = child.communicate(timeout=timeout)
        except BaseException as error:
            end_group(child.pid)
            child.wait()
            assert child.stdout is not None
            child.stdout.close()
            timed_out = isinstance(error, subprocess.TimeoutExpired)
            if not timed_out:
                raise
            said = b""
        told.seek(0)
        complaint = told.read(64 * 1024).decode(errors="replace")
    complain(complaint)
    if child.returncode or timed_out:
        raise failure(Completed(tuple(argv), child.returncode, complaint, time.monotonic() - started, timed_out))
    return said


@contextlib.contextmanager
def _reading(content: bytes) -> Iterator[int | IO[bytes]]:
    """Something to read `content` from. A file, not a pipe: nobody has to keep on writing."""
    if not content:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file


def _lines(child: subprocess.Popen[bytes], stream: IO[bytes]) -> Iterator[str]:
    """The lines that come from `stream` until all who can write to it, or the child and its LAST_WORDS, have ended.

    A server that the child leaves behind may hold the stream open for ever.
    """
    splitter, deadline = Splitter(), float("inf")
    if sys.platform == "win32":  # which cannot wait for a pipe and a time together
        while chunk := os.read(stream.fileno(), 65536):
            yield from splitter.feed(chunk)
        yield from splitter.end()
        return
    while time.monotonic() < deadline:
        if select.select([stream], [], [], 0.1)[0]:
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                break
            yield from splitter.feed(chunk)
        if deadline == float("inf") and child.poll() is not None:
            deadline = time.monotonic() + LAST_WORDS
    yield from splitter.end()


class Dialogue:
    """A program that is talked with: it reads what it is told piece by piece, and is heard meanwhile.

    Its stdin ends when we hang up, or die in whatever way: that is how it notices. One thread hears; any may say, hang
    up or end.
    """

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
        """Raises ToolMissing."""
        pipe = subprocess.PIPE
        self._child = _start(argv, env=env, cwd=None, stdin=pipe, stdout=pipe, stderr=pipe, new_session=True)
        assert self._child.stdin
        assert self._child.stdout
        assert self._child.stderr
        self._stdin, self._stdout, self._stderr = self._child.stdin, self._child.stdout, self._child.stderr
        os.set_blocking(self._stdin.fileno(), False)
        self._open = [self._stdout, self._stderr]
        self._pieces: deque[Iterator[bytes]] = deque()
        self._unsaid = memoryview(b"")
        self._saying = threading.Lock()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def say(self, pieces: Iterable[bytes]) -> None:
        """Tell it this after all that it was told before; what its pipe does not take is said while it is heard."""
        with self._saying:
            self._pieces.append(iter(pieces))
            self._say_on()

    def hear(self, seconds: float) -> tuple[bytes, bytes] | None:
        """What it wrote to stdout and to stderr, of which something may come later; None when both have ended.

        Args:
            seconds: how long to wait for anything.
        """
        said = {self._stdout: b"", self._stderr: b""}
        with selectors.DefaultSelector() as selector:
            for stream in self._open:
                selector.register(stream, selectors.EVENT_READ)
            with self._saying:
                if self._unsaid and not self._stdin.closed:
                    selector.register(self._stdin, selectors.EVENT_WRITE)
            if not self._open:
                return None
            for key, _ in selector.select(seconds):
                if key.fileobj is self._stdin:
                    with self._saying:
                        self._say_on()
                    continue
                stream = self._stdout if key.fileobj is self._stdout else self._stderr
                said[stream] = os.read(stream.fileno(), 65536)
                if not said[stream]:
                    self._open.remove(stream)
        return said[self._stdout], said[self._stderr]

    def _say_on(self) -> None:
        """Raises what the pieces raise."""
        while not self._stdin.closed:
            while not self._unsaid:
                if not self._pieces:
                    return
                piece = next(self._pieces[0], None)
                if piece is None:
                    self._pieces.popleft()
                else:
                    self._unsaid = memoryview(piece)
            try:
                self._unsaid = self._unsaid[os.write(self._stdin.fileno(), self._unsaid) :]
            except BlockingIOError:
                return
            except BrokenPipeError:  # it listens no more: what it wrote says why
                self._hang_up()

    @property
    def has_all(self) -> bool:
        """Whether it was told everything, or listens no more."""
        with self._saying:
            return not self._unsaid or self._stdin.closed

    def hang_up(self) -> None:
        """Its stdin ends; what was not said yet is not said."""
        with self._saying:
            self._hang_up()

    def _hang_up(self) -> None:
        self._unsaid = memoryview(b"")
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def stop(self, patience: float) -> None:
        """Hang up, and end it if it has not ended by itself after so many seconds; what it said can still be heard."""
        self.hang_up()
        try:
            self._child.wait(patience)
        except subprocess.TimeoutExpired:
            end_group(self._child.pid)
            self._child.wait()

    def end(self, *, patience: float = 0.0) -> int:
        """Stop it and let go of it; gives its code. Nobody may hear it meanwhile."""
        self.stop(patience)
        self._stdout.close()
        self._stderr.close()
        return self._child.wait()


def failure(done: Completed, next_step: str = "") -> CommandFailed:
    """The error that a failed program is worth: what it was, and the end of what it said."""
    tail = "\n".join(done.output.strip().splitlines()[-15:])
    how = "was ended after its time" if done.timed_out else f"ended with {done.code}"
    return CommandFailed(f"`{shlex.join(done.argv)}` {how}:\n{tail}", next_step=next_step)


def spawn(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, outlive_job: bool = False) -> ProcessId:
    """Start a program in the background, its output appended to `log` (0600).

    `outlive_job`: the program is part of a deployment and stays when the job that started it ends.
    """
    environment = {name: value for name, value in env.items() if not (outlive_job and name == TRACKING)}
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as said:
        child = _start(argv, env=environment, cwd=cwd, stdout=said, new_session=True)
    process = identify(child.pid)  # before anybody can reap it
    threading.Thread(target=child.wait, daemon=True).start()  # reaped if it ends while we are here
    return process


def _start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    stdout: int | IO[bytes],
    new_session: bool,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.STDOUT,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=new_session,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL
        raise _not_started(argv[0][:200], error, env or {}) from error


def _not_started(program: str, error: Exception, env: Mapping[str, str]) -> ToolMissing:
    looked = f" where it is looked for: {env['PATH']}" if env.get("PATH") and "/" not in program else ""
    next_step = f"install {program}{looked}"
    if not isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError):
        next_step = "see to it that this machine can run it; a script begins with `#!`"
    return ToolMissing(f"`{program}` cannot be started: {str(error)[:500]}", next_step=next_step)


def find(process: ProcessId) -> psutil.Process | None:
    """The process, if it still runs."""
    try:
        found = psutil.Process(process.pid)
        alive = _is_same(found, process.started) and found.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, OverflowError):
        return None
    return found if alive else None


def _is_same(found: psutil.Process, started: Started) -> bool:
    if isinstance(started, str):
        return _started(found.pid) == started
    return abs(found.create_time() - started) < 0.5


def with_variable(name: str, value: str) -> list[ProcessId]:
    """Processes of ours whose environment has `name=value`; how one is found whose pid nobody had the time to write."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(name) == value:
                found.append(identify(process.pid))
    return found


def stop_marked(name: str, value: str, *, grace: float = 2.0) -> int:
    """End all processes of ours whose environment has `name=value`; gives how many there were.

    SIGTERM, then SIGKILL after `grace` seconds. What they start while they are being ended is ended, too.
    """
    ended: set[ProcessId] = set()
    while left := [one for one in with_variable(name, value) if one not in ended]:
        members = [member for one in left if (member := find(one))]
        _end(members, grace)
        ended.update(left)
    return len(ended)


def clients(processes: Sequence[ProcessId]) -> set[tuple[str, int]]:
    """IP and port of each connection that these processes have made."""
    made = set()
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            for connection in psutil.Process(process.pid).net_connections("tcp"):
                if connection.raddr:
                    made.add((connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port))
    return made


def stop(process: ProcessId, *, grace: float = 10.0) -> None:
    """End a process and its children: SIGTERM, then SIGKILL after `grace` seconds. One that is gone is fine."""
    found = find(process)
    if found is None:
        return
    family = [found, *found.children(recursive=True)]
    _end(family, grace)


def _end(members: Sequence[psutil.Process], grace: float) -> None:
    for member in members:
        with contextlib.suppress(psutil.Error):  # it has ended, or has become another user's
            member.terminate()
    for member in _left(members, grace):
        with contextlib.suppress(psutil.Error):
            member.kill()
    _left(members, 5.0)


def _left(members: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still run when so many seconds are over; one that only waits to be reaped does not."""
    deadline = time.monotonic() + seconds
    while (left := [member for member in members if _runs(member)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def _runs(member: psutil.Process) -> bool:
    try:
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def end_group(pid: int, ending: Sequence[tuple[signal.Signals, float]] = POLITELY) -> None:
    """End the process group that `pid` leads, all of it: a signal, a while to obey, the next signal."""
    if sys.platform == "win32":  # without groups: the process and its children
        with contextlib.suppress(psutil.Error):
            stop(identify(pid), grace=0)
        return
    for signal_number, seconds in ending:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal_number)
        deadline = time.monotonic() + seconds
        while group_alive(pid):
            if time.monotonic() >= deadline:
                break
            time.sleep(0.05)
        else:
            return


def group_alive(pid: int) -> bool:
    """Whether a process of the group still runs; one that has ended and waits to be reaped does not."""
    if sys.platform == "win32":
        return psutil.pid_exists(pid)
    for member in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(member.pid) == pid and member.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def which(program: str, path: str | None = None) -> str | None:
    """The program's path, or None."""
    return shutil.which(program, path=path)
