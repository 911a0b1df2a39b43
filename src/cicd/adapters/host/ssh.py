"""A machine that is reached by ssh. It needs sshd, a POSIX sh, coreutils or busybox, tar and flock; nothing of ours."""

import contextlib
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from cicd.adapters.host import Fenced, Held, Hold, Look, Piece, scripts, tar
from cicd.adapters.host.connection import Connection, options
from cicd.adapters.host.local import scratch_of
from cicd.adapters.host.session import Heard, Session
from cicd.adapters.host.trouble import os_error
from cicd.adapters.output import Kept, Splitter
from cicd.adapters.process import Completed, failure
from cicd.errors import ToolMissing

ENDING = scripts.GRACE + 5.0  # seconds in which a program that is ended has ended
ANSWER = 60.0  # seconds in which a lock is got or refused
NOT_THERE = (FileNotFoundError, NotADirectoryError)


class SshHost:
    """Another machine."""

    def __init__(
        self,
        name: str,
        env: Mapping[str, str],
        *,
        identity_file: Path | None = None,
        known_hosts: Path | None = None,
    ) -> None:
        """Nothing is connected yet.

        Args:
            name: `ssh://user@host:port`; what it leaves out comes from the user's ~/.ssh/config.
            env: the whole environment of ssh here; nothing of it is sent but what that config says.
            identity_file: our private key; None: as ssh finds it.
            known_hosts: keys of hosts, and no others; None: as ssh finds them.
        """
        self.name = name
        self._connection = Connection(name, options(identity_file, known_hosts), env)

    def home(self) -> Path:
        return self._connection.user.home

    def user(self) -> tuple[int, int]:
        user = self._connection.user
        return user.number, user.group

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        cwd: Path | None = None,
        timeout: float | None = None,
        check: bool = True,
        each_line: Callable[[str], None] | None = None,
        next_step: str = "",
    ) -> Completed:
        splitter, kept, began = Splitter(), Kept(), time.monotonic()

        def add(lines: Iterable[str]) -> None:
            for line in lines:
                kept.add(line)
                if each_line:
                    each_line(line)

        heard, timed_out = self._program(
            argv, env or {}, cwd, stdin, timeout, lambda piece: add(splitter.feed(piece)), merged=True
        )
        add(splitter.end())
        code = -9 if heard.code is None else heard.code
        done = Completed(tuple(argv), code, kept.text(), time.monotonic() - began, timed_out)
        if check and (code or timed_out):
            raise failure(done, next_step)
        return done

    def output(self, argv: Sequence[str], *, timeout: float | None = None) -> bytes:
        said, began = bytearray(), time.monotonic()
        heard, timed_out = self._program(argv, {}, None, b"", timeout, said.extend, merged=False)
        if heard.code or timed_out:
            code = -9 if heard.code is None else heard.code
            raise failure(Completed(tuple(argv), code, heard.complaint, time.monotonic() - began, timed_out))
        return bytes(said)

    def _program(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path | None,
        stdin: bytes,
        timeout: float | None,
        take: Callable[[bytes], None],
        *,
        merged: bool,
    ) -> tuple[Heard, bool]:
        """Run a program to its end; gives what its session said, and whether its time was over."""
        with self._connection.session() as session:
            try:
                script = scripts.program(argv, env, cwd, len(stdin), session.mark, merged=merged)
            except ValueError as error:
                raise ToolMissing(f"`{argv[0][:200]}` cannot be started: {error}") from error
            session.begin(script, [stdin])
            timed_out = session.follow(take, timeout=timeout, grace=ENDING)
            heard = session.heard
        if heard.code is None and not timed_out:
            raise self._connection.lost(heard.complaint, f"`{argv[0][:200]}` ran")
        self._require_started(heard, argv[0], cwd)
        return heard, timed_out

    def _require_started(self, heard: Heard, program: str, cwd: Path | None) -> None:
        if heard.told("missing") is not None:
            raise ToolMissing(
                f"`{program}` is not on {self.name}",
                cause="it is not installed, or not where a session without a terminal looks (`ssh HOST 'echo $PATH'`)",
                next_step=f"install {program} there",
            )
        if heard.told("nowhere") is not None:
            raise ToolMissing(f"`{program}` cannot be started on {self.name}: {cwd} cannot be entered")
        if heard.told("unread") is not None:
            raise os_error(heard.complaint, Path("/tmp"), self.name)  # noqa: S108  # where its mktemp makes files

    def read(self, path: Path) -> bytes:
        return self._do(scripts.read(path), path)

    def read_from(self, path: Path, number: int, position: int, most: int) -> Piece | None:
        try:
            said = self._do(scripts.read_from(path, number, position, most), path)
        except NOT_THERE:
            return None
        about, _, content = said.partition(b"\n")
        found, start = map(int, about.split())
        return Piece(found, start + len(content), content)

    def look(self, path: Path) -> Look | None:
        try:
            number, size, mode, changed = self._do(scripts.look(path), path).decode().strip().split(" ", 3)
        except NOT_THERE:
            return None
        return Look(int(number), int(size), _seconds(changed), int(mode, 16) >> 12 == 0o4)

    def write(self, path: Path, content: bytes, *, mode: int = 0o600, exclusive: bool = False) -> None:
        script = scripts.write(path, scratch_of(path), len(content), mode, exclusive=exclusive)
        self._do(script, path, [content])

    def swap(self, path: Path, content: bytes, was: Look, fence: Path, token: int) -> bool:
        with self._connection.session() as session:
            script = scripts.swap(path, scratch_of(path), len(content), was, fence, token, session.mark)
            heard = self._finish(session, script, [content], path)
            self._require_unfenced(heard)
            if heard.told("changed") is not None:
                return False
            self._require(heard, path)
            return True

    def append(self, path: Path, line: bytes, root: Path, fence: Path, token: int) -> None:
        with self._connection.session() as session:
            script = scripts.append(path, len(line), root, fence, token, session.mark)
            heard = self._finish(session, script, [line], path)
            self._require_unfenced(heard)
            self._require(heard, path)

    def rename(self, path: Path, to: Path) -> None:
        self._do(scripts.rename(path, to), path)

    def make_folder(self, path: Path, root: Path) -> None:
        self._do(scripts.make_folder(path, root), path)

    def names(self, folder: Path) -> list[str]:
        try:
            said = self._do(scripts.names(folder), folder)
        except NOT_THERE:
            return []
        found = re.findall(rb"/([^/]+)/([^/]+)\n", said)
        return [name.decode(errors="surrogateescape") for _, name in sorted(found, key=lambda one: one[0])[::-1]]

    def remove(self, path: Path) -> None:
        with contextlib.suppress(*NOT_THERE):
            self._do(scripts.remove(path), path)

    def send(self, source: Path, path: Path) -> None:
        scratch = scratch_of(path)
        if source.is_dir():
            last = secrets.token_hex(16)
            self._do(scripts.receive_folder(path, scratch, last), path, tar.folder(source, last))
            return
        about = source.stat()
        script = scripts.receive_file(path, scratch, about.st_size, about.st_mode & 0o7777)
        self._do(script, path, tar.pieces(source, about.st_size))

    def free(self, path: Path) -> int:
        said = self._do(scripts.free(path), path).decode(errors="replace")
        found = re.search(r"\s\d+\s+\d+\s+(-?\d+)\s+(\d+%|-)", said)
        if not found:
            raise os_error(said, path, self.name)
        return max(0, int(found[1])) * 1024

    @contextlib.contextmanager
    def locked(self, path: Path, holder: bytes) -> Iterator[Hold]:
        with self._connection.session() as session:
            session.begin(scripts.hold(path, len(holder), session.mark), [holder])
            heard, said = session.heard, bytearray()
            answered = session.until(
                lambda: heard.code is not None or heard.told("got") is not None, said.extend, ANSWER
            )
            if heard.told("held") is not None:
                session.follow(said.extend)
                raise Held(bytes(said))
            if heard.told("missing") is not None:
                raise ToolMissing(f"`flock` is not on {self.name}", next_step="install util-linux there")
            if not answered:
                raise self._connection.lost(heard.complaint, f"{path} was locked")
            self._require(heard, path)
            yield _There(session)

    def is_held(self, path: Path) -> bool:
        return self._do(scripts.is_held(path), path).strip() == b"held"

    def reach(self, address: str) -> str:
        return f"127.0.0.1:{self._connection.forward(address)}"

    def close(self) -> None:
        self._connection.close()

    def _do(self, script: str, path: Path, content: Iterable[bytes] = ()) -> bytes:
        """Run a script to its end; gives its stdout. Raises OSError, HostUnreachable."""
        said = bytearray()
        with self._connection.session() as session:
            heard = self._finish(session, script, content, path, said)
        self._require(heard, path)
        return bytes(said)

    def _finish(
        self,
        session: Session,
        script: str,
        content: Iterable[bytes],
        path: Path,
        said: bytearray | None = None,
    ) -> Heard:
        session.begin(script, content)
        session.follow((bytearray() if said is None else said).extend, closing=True)
        if session.heard.code is None:
            raise self._connection.lost(session.heard.complaint, f"{path} was worked on")
        return session.heard

    def _require_unfenced(self, heard: Heard) -> None:
        if (highest := heard.told("fenced")) is not None:
            raise Fenced(int(highest))

    def _require(self, heard: Heard, path: Path) -> None:
        if heard.code:
            raise os_error(heard.complaint, path, self.name)


class _There:
    """A lock that a session holds."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def held(self) -> bool:
        return self._session.alive()


def _seconds(told: str) -> float:
    """Seconds since 1970 of what stat(1) says: `2026-11-23 05:58:51.320698895 +0000`."""
    moment, _, rest = told.partition(".")
    return datetime.fromisoformat(f"{moment}+00:00").timestamp() + float(f"0.{rest.split(' ')[0]}")
