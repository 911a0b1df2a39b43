"""The machine that we run on."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cicd.adapters import process
from cicd.adapters.host import Fenced, Held, Look, Piece
from cicd.adapters.process import Completed


@dataclass(frozen=True)
class LocalHost:
    """This machine, with the variables of the job."""

    env: Mapping[str, str]
    name: str = "local"

    def home(self) -> Path:
        return Path.home()

    def user(self) -> tuple[int, int]:
        return os.geteuid(), os.getegid()

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
        return process.run(
            argv,
            env={**self.env, **(env or {})},
            stdin=stdin,
            cwd=cwd,
            timeout=timeout,
            check=check,
            each_line=each_line,
            next_step=next_step,
        )

    def output(self, argv: Sequence[str], *, timeout: float | None = None) -> bytes:
        return process.output(argv, env=self.env, timeout=timeout)

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def read_from(self, path: Path, number: int, position: int, most: int) -> Piece | None:
        try:
            with path.open("rb") as file:
                about = os.fstat(file.fileno())
                start = position if (about.st_ino, about.st_size >= position) == (number, True) else 0
                file.seek(start)
                content = file.read(most)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Piece(about.st_ino, start + len(content), content)

    def look(self, path: Path) -> Look | None:
        try:
            about = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Look(about.st_ino, about.st_size, about.st_mtime, path.is_dir())

    def write(self, path: Path, content: bytes, *, mode: int = 0o600, exclusive: bool = False) -> None:
        if exclusive and path.exists():
            raise FileExistsError(path)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            if exclusive:
                os.link(scratch, path)
                scratch.unlink()
            else:
                scratch.replace(path)
        except OSError:
            with contextlib.suppress(OSError):  # a read-only disk
                scratch.unlink(missing_ok=True)
            raise

    def append(self, path: Path, line: bytes, root: Path, fence: Path, token: int) -> None:
        self.make_folder(path.parent, root)
        if (highest := _number(fence)) > token:
            raise Fenced(highest)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                os.ftruncate(descriptor, _after_last_newline(descriptor, size))  # a line that a crash cut off
            while line:  # a disk that is nearly full takes a part, and refuses the rest
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, path: Path, to: Path) -> None:
        path.replace(to)

    def make_folder(self, path: Path, root: Path) -> None:
        if not root.exists():
            root.parent.mkdir(parents=True, exist_ok=True)
            _own(root)
        folder = root
        for part in path.relative_to(root).parts:
            folder = folder / part
            _own(folder)

    def names(self, folder: Path) -> list[str]:
        try:
            found = list(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]

    def remove(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def send(self, source: Path, path: Path) -> None:
        self.remove(path)
        if source.is_dir():
            shutil.copytree(source, path, symlinks=True)
        else:
            shutil.copyfile(source, path)
            shutil.copymode(source, path)

    def free(self, path: Path) -> int:
        there = next(each for each in (path, *path.parents) if each.exists())
        return shutil.disk_usage(there).free

    @contextlib.contextmanager
    def locked(self, path: Path, holder: bytes) -> Iterator[None]:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with open(descriptor, "r+b") as file:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Held(file.read()) from None
            file.truncate(0)
            file.write(holder)
            file.flush()
            yield

    def reach(self, address: str) -> str:
        return address


def _own(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if folder.stat().st_mode & 0o777 != 0o700:
        folder.chmod(0o700)


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return 0


def _after_last_newline(descriptor: int, size: int) -> int:
    at = size
    while at:
        start = max(0, at - 65536)
        found = os.pread(descriptor, at - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0
