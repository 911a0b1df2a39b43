"""Starting programs: the only user of subprocess. argv lists, never a shell; secrets by environment, never in argv."""

import contextlib
import os
import select
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from cicd.errors import CommandFailed, ToolMissing

TRACKING = "RUNNER_TRACKING_ID"  # GitHub's runner ends what carries it when the job ends

POLITELY = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 1.0))
LAST_WORDS = 1.0  # seconds that output is still taken after the program has ended


@dataclass(frozen=True)
class Completed:
    """A program that has ended. `output` is stdout and stderr as they came, `seconds` the wall time."""

    argv: tuple[str, ...]
    code: int
    output: str
    seconds: float
    timed_out: bool = False


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same pid.

    Attributes:
        pid: process id.
        started: when it started, seconds since the epoch, as the kernel says.
    """

    pid: int
    started: float


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
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
        timeout: seconds after which it and its children are ended; `timed_out` is set then.
        check: whether a non-zero end raises CommandFailed, with the last lines of its output.
        each_line: called with every line of its output as it comes.
        next_step: what the error tells the user to do.
        ending: signals that end it where it must be ended, each with the seconds that it is given then.

    Raises:
        ToolMissing: the program is not there. CommandFailed: see `check`.
    """
    started = time.monotonic()
    child = _start(argv, env=env, cwd=cwd, stdout=subprocess.PIPE, new_session=True)
    timed_out = threading.Event()

    def expire() -> None:
        timed_out.set()
        end_group(child.pid, ending)

    timer = threading.Timer(timeout, expire) if timeout else None
    if timer:
        timer.start()
    lines: list[str] = []
    try:
        assert child.stdout is not None
        with child.stdout as stream:
            for line in _lines(child, stream):
                lines.append(line)
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
    done = Completed(tuple(argv), code, "\n".join(lines), time.monotonic() - started, timed_out.is_set())
    if check and (code or done.timed_out):
        raise failure(done, next_step)
    return done


def _lines(child: subprocess.Popen[bytes], stream: IO[bytes]) -> Iterator[str]:
    """The lines that come from `stream` until all who can write to it, or the child and its LAST_WORDS, have ended.

    A server that the child leaves behind may hold the stream open for ever.
    """
    rest, deadline = b"", float("inf")
    while time.monotonic() < deadline:
        if select.select([stream], [], [], 0.1)[0]:
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                break
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
        if deadline == float("inf") and child.poll() is not None:
            deadline = time.monotonic() + LAST_WORDS
    if rest:
        yield rest.decode(errors="replace").rstrip("\r")


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
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as output:
        child = _start(argv, env=environment, cwd=cwd, stdout=output, new_session=True)
    process = ProcessId(child.pid, psutil.Process(child.pid).create_time())  # before anybody can reap it
    threading.Thread(target=child.wait, daemon=True).start()  # reaped if it ends while we are here
    return process


def _start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    stdout: int | IO[bytes],
    new_session: bool,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=new_session,
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        raise ToolMissing(f"`{argv[0]}` cannot be started: {error}", next_step=f"install {argv[0]}") from error


def find(process: ProcessId) -> psutil.Process | None:
    """The process, if it still runs."""
    try:
        found = psutil.Process(process.pid)
        alive = abs(found.create_time() - process.started) < 0.5 and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return found if alive else None


def with_variable(name: str, value: str) -> list[ProcessId]:
    """Processes of ours whose environment has `name=value`; how one is found whose pid nobody had the time to write."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(name) == value:
                found.append(ProcessId(process.pid, process.create_time()))
    return found


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
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.terminate()
    _, left = psutil.wait_procs(family, timeout=grace)
    for member in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(left, timeout=5)


def end_group(pid: int, ending: Sequence[tuple[signal.Signals, float]] = POLITELY) -> None:
    """End the process group that `pid` leads, all of it: a signal, a while to obey, the next signal."""
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
    for member in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(member.pid) == pid and member.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def which(program: str, path: str | None = None) -> str | None:
    """The program's path, or None."""
    return shutil.which(program, path=path)
