"""The machine that we run on."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cicd.adapters import process
from cicd.adapters.host import Fenced, Held, Hold, Look, Piece
from cicd.adapters.process import Completed

LOCKS = Path("/proc/locks")  # `1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF`: proc_locks(5)


@dataclass(frozen=True)
class LocalHost:
    """This machine, with the variables of the job."""

    env: Mapping[str, str] = field(repr=False, hash=False, compare=False)
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
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        with _beside(path, content, mode) as scratch:
            if exclusive:
                os.link(scratch, path)
                scratch.unlink()
            else:
                scratch.replace(path)
            _keep_names(path.parent)

    def swap(self, path: Path, content: bytes, was: Look, fence: Path, token: int) -> bool:
        with _beside(path, content, 0o600) as scratch:
            if (highest := _number(fence)) > token:
                scratch.unlink()
                raise Fenced(highest)
            if self.look(path) != was:
                scratch.unlink()
                return False
            scratch.replace(path)
            _keep_names(path.parent)
            return True

    def append(self, path: Path, line: bytes, root: Path, fence: Path, token: int) -> None:
        self.make_folder(path.parent, root)
        if (highest := _number(fence)) > token:
            raise Fenced(highest)
        begun = path.exists()
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
        if not begun:
            _keep_names(path.parent)

    def rename(self, path: Path, to: Path) -> None:
        path.replace(to)
        _keep_names(to.parent)

    def make_folder(self, path: Path, root: Path) -> None:
        if not root.exists():
            root.parent.mkdir(parents=True, exist_ok=True)
            _own(root)
        folder = root
        for part in path.relative_to(root).parts:
            folder = folder / part
            _own(folder)

    def names(self, folder: Path) -> list[str]:
        changed = {}
        try:
            for entry in os.scandir(folder):
                with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                    changed[entry.name] = entry.stat(follow_symlinks=False).st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(changed, key=lambda name: changed[name], reverse=True)

    def remove(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def send(self, source: Path, path: Path) -> None:
        scratch = scratch_of(path)
        try:
            if source.is_dir():
                shutil.copytree(source, scratch, symlinks=True)
            else:
                shutil.copyfile(source, scratch)
                shutil.copymode(source, scratch)
            if path.is_dir() and not path.is_symlink():
                old = path.replace(scratch_of(path))
                scratch.replace(path)
                self.remove(old)
            else:
                scratch.replace(path)
        except shutil.Error as error:  # of copytree, with what went wrong for each file
            self.remove(scratch)
            raise OSError(errno.EIO, str(error)[:1000], source) from error
        except OSError:
            self.remove(scratch)
            raise

    def free(self, path: Path) -> int:
        for each in (path, *path.parents):
            with contextlib.suppress(OSError):  # it is not there, or we may not look into the folder where it is
                return shutil.disk_usage(each).free
        raise FileNotFoundError(path)

    @contextlib.contextmanager
    def locked(self, path: Path, holder: bytes) -> Iterator[Hold]:
        import fcntl  # here, for tests also run where there is none

        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with open(descriptor, "r+b") as file:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Held(file.read()) from None
            file.truncate(0)
            file.write(holder)
            file.flush()
            yield _Here()

    def is_held(self, path: Path) -> bool:
        try:
            number, lines = str(path.stat().st_ino), LOCKS.read_text(encoding="ascii").splitlines()
        except OSError:
            return False
        held = (line.split() for line in lines)
        return any(entry[1] == "FLOCK" and entry[-3].rpartition(":")[2] == number for entry in held if len(entry) > 5)

    def reach(self, address: str) -> str:
        return address

    def close(self) -> None:
        pass


class _Here:
    """A lock that the kernel keeps for us."""

    held = True


@contextlib.contextmanager
def _beside(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    """A file with this content, on the disk, that is to take the place of another; removed where that goes wrong."""
    scratch = scratch_of(path)
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        yield scratch
    except OSError:
        with contextlib.suppress(OSError):  # a read-only disk
            scratch.unlink(missing_ok=True)
        raise


def scratch_of(path: Path) -> Path:
    """Where something is made before it takes its place: beside it, under a name that nobody else has."""
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}")


def _keep_names(folder: Path) -> None:
    """What was made or renamed in a folder stays so when the power goes."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _own(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
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
