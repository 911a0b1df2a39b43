"""The place where an environment runs: its folder, journal, lock, and the releases that lie there.

<root>/store/sha256/<hex>.tar       images, by digest
<root>/venvs/<key>/                 interpreters with a release's dependencies, shared by releases with the same lock
<root>/<app>/key                    for keyed digests of secrets
<root>/<app>/<environment>/journal.jsonl, lock, releases/<id>/, slots/, router/
"""

import contextlib
import fcntl
import functools
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cicd.adapters.runner import Runner
from cicd.core.journal import Entry, NewerFormat, NotAJournal, State, decode, encode, fold
from cicd.core.release import Record
from cicd.errors import Locked, LockLost, NothingToRollBackTo, PrepareFailed, Unfinished, UsageError


def target_root(runner: Runner) -> Path:
    """The folder of all targets on this machine: $CICD_TARGET, else the user's state folder."""
    given = runner.env.get("CICD_TARGET")
    state = runner.env.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    root = (Path(given) if given else Path(state) / "cicd").absolute()
    if IN_NO_PATH.search(str(root)):
        raise UsageError(
            f"The folder of targets, {str(root)[:200]!r}, has white space or one of `;{{}}$'\"` in its path",
            cause="programs' configuration files, in which it stands, give these a meaning",
            next_step="set CICD_TARGET to another folder",
        )
    return root


IN_NO_PATH = re.compile(r"""[\s;{}$"']""")


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What cannot be written is an error that says what to do. Raises PrepareFailed."""
    try:
        yield
    except OSError as error:
        raise PrepareFailed(
            f"The target {folder} cannot be written: {error}",
            cause="its disk is full or read-only, or it is another user's",
            next_step="set CICD_TARGET to a folder of your own, or mend its rights",
        ) from error


def apps_with(root: Path, environment: str) -> list[str]:
    """The applications that have an environment of this name on this machine."""
    return sorted(path.parent.parent.name for path in root.glob(f"*/{environment}/journal.jsonl"))


RELEASE_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Target:
    """One environment of one application on this machine."""

    root: Path
    app: str
    environment: str

    @property
    def folder(self) -> Path:
        return self.root / self.app / self.environment

    def release_folder(self, release_id: str) -> Path:
        return self.folder / "releases" / release_id

    def make(self, *below: str) -> Path:
        """A folder below the target's own, made if need be; none but us can enter it. Raises OSError."""
        folder = self._make_app()
        for name in (self.environment, *below):
            folder = own_folder(folder / name)
        return folder

    def _make_app(self) -> Path:
        make_root(self.root)
        return own_folder(self.root / self.app)

    def key(self) -> bytes:
        """The application's key for digests of secrets; made when first needed, readable by the owner alone."""
        path = self.root / self.app / "key"
        with writing(self.root):
            self._make_app()
        with contextlib.suppress(FileExistsError):
            write_private(path, secrets.token_hex(32), exclusive=True)
        return path.read_bytes()

    def state(self) -> State:
        """Where the environment stands, by its journal. Raises Unfinished if the journal cannot be read."""
        try:
            return fold(self.entries())
        except NotAJournal as error:
            raise self._unreadable(str(error)) from error

    def entries(self) -> list[Entry]:
        """All of the journal, oldest first; none before the first deployment. Raises Unfinished."""
        try:
            path = self.folder / "journal.jsonl"
            there = path.stat()
            found = _decoded(path, (there.st_ino, there.st_size, there.st_mtime_ns))
        except (FileNotFoundError, NotADirectoryError):
            found = []
        except (OSError, msgspec.MsgspecError, NewerFormat, UnicodeDecodeError) as error:
            raise self._unreadable(str(error)) from error
        if not found and any(map(self.has, self.releases())):  # one that runs would be taken for a free slot
            raise self._unreadable("it is gone or empty, and releases lie beside it")
        return found

    def _unreadable(self, why: str) -> Unfinished:
        return Unfinished(
            f"The journal {self.folder / 'journal.jsonl'} cannot be read: {why}",
            cause="a later cicd wrote it, it was changed by hand, it is another user's, or its disk is failing",
            next_step="restore it; what runs goes on running. To begin anew, end what runs and move the folder away",
        )

    def fence(self) -> int:
        """The highest token of a lock under which anybody has worked here; 0 for none."""
        try:
            return int((self.folder / "fence").read_text())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return self.state().fence

    def raise_fence(self, token: int) -> None:
        """From now on whoever comes with an older token is refused. Raises LockLost if ours is the older one."""
        if token < self.fence():
            raise self._fenced(token)
        with writing(self.root):
            self.make()
        write_private(self.folder / "fence", str(token))

    def _fenced(self, token: int) -> LockLost:
        return LockLost(
            f"Token {token} of the lock of {self.environment} is older than {self.fence()}, which is known here",
            cause="another run has taken the lock over meanwhile",
            next_step="nothing more is done by this run; see `cicd status`",
        )

    def journal(self, entry: Entry) -> None:
        """Append an entry; it is on the disk when this returns.

        Raises:
            LockLost: it was made under an older lock. OSError: it is not there, or in part; the next one cuts that off.
        """
        self.make()
        if entry.fence < self.fence():
            raise self._fenced(entry.fence)
        path = self.folder / "journal.jsonl"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                os.ftruncate(descriptor, _after_last_newline(descriptor, size))  # a line that a crash cut off
            line = encode(entry).encode()
            while line:  # a disk that is nearly full takes a part, and refuses the rest
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def record(self, release_id: str) -> Record:
        """A release that lies here. Raises NothingToRollBackTo if it does not."""
        path = self.release_folder(release_id) / "record.json"
        if not RELEASE_ID.fullmatch(release_id) or not path.exists():
            raise NothingToRollBackTo(
                f"Release {release_id or '(none)'} does not lie on the target",
                cause="it was never there, or was pruned",
                next_step="`cicd status` names the releases that are there",
            )
        try:
            return msgspec.json.decode(path.read_bytes(), type=Record)
        except msgspec.MsgspecError as error:
            raise self._damaged(release_id, f"record.json: {error}") from error

    def settings(self, release_id: str) -> dict[str, str]:
        """The settings that a release gets, secrets included."""
        path = self.release_folder(release_id) / "settings.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.MsgspecError) as error:
            raise self._damaged(release_id, f"settings.json: {type(error).__name__}") from error

    def _damaged(self, release_id: str, what: str) -> PrepareFailed:
        return PrepareFailed(
            f"Release {release_id} is damaged on the target: {what}",
            cause="it was changed by hand, or its disk is failing",
            next_step=f"take {self.release_folder(release_id)}/record.json away: the release then counts as not there",
        )

    def secrets(self, release_id: str) -> list[str]:
        """Values of the settings that are secret; none if the release does not lie here."""
        if not self.has(release_id):
            return []
        settings = self.settings(release_id)
        return [settings[name] for name in self.record(release_id).secrets if name in settings]

    def has(self, release_id: str) -> bool:
        """Whether a release lies here, whole."""
        return bool(RELEASE_ID.fullmatch(release_id)) and (self.release_folder(release_id) / "record.json").exists()

    def free(self) -> int:
        """Bytes that are free on the disk of the target."""
        return shutil.disk_usage(self._there()).free

    def require_writable(self) -> None:
        """Look whether the kernel would let us write here, without trying. Raises PrepareFailed."""
        with writing(self.root):
            if not os.access(self._there(), os.W_OK | os.X_OK):
                raise PermissionError("its disk is read-only, or its rights do not let us")

    def _there(self) -> Path:
        """The folder, or the first above it that exists."""
        return next(path for path in (self.folder, *self.folder.parents) if path.exists())

    def releases(self) -> list[str]:
        """Ids of the releases that lie here, whole or not, newest first."""
        folder = self.folder / "releases"
        found = list(folder.iterdir()) if folder.exists() else []
        return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]

    def remove(self, release_id: str) -> None:
        """Remove a release, its record first: one that is removed in part lies there no more. One not there is fine."""
        folder = self.release_folder(release_id)
        (folder / "record.json").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, holder: dict[str, Any], wait: float = 0.0) -> Iterator[None]:
        """Hold the environment; the kernel lets go of it when we die.

        Args:
            holder: who, for the message to others: `run`, `actor`, `what`.
            wait: seconds to wait for another holder to end.

        Raises:
            Locked: says who holds it and since when.
        """
        with writing(self.root):
            descriptor = os.open(self.make() / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        with open(descriptor, "r+", encoding="utf-8") as file:
            deadline = time.monotonic() + wait
            while not _claimed(descriptor):
                if time.monotonic() >= deadline:
                    raise self._locked(file.read())
                time.sleep(0.2)
            file.truncate(0)
            file.write(json.dumps({**holder, "since": time.time()}))
            file.flush()
            yield

    def _locked(self, text: str) -> Locked:
        try:
            holder = json.loads(text)
            since = time.strftime("%H:%M:%S UTC", time.gmtime(holder.pop("since")))
            who = ", ".join(f"{name} {value}" for name, value in holder.items() if value)
        except (ValueError, KeyError):
            who, since = "another deployment", "just now"
        return Locked(
            f"{self.environment} of {self.app} is held by {who} since {since}",
            cause="one deployment at a time",
            next_step="wait until it has ended, then run this again",
        )


@functools.lru_cache(maxsize=4)
def _decoded(path: Path, version: tuple[int, ...]) -> list[Entry]:
    """A journal, read once as long as it is the same: it is asked for often, and never gets shorter over the years."""
    return decode(path.read_text(encoding="utf-8"))


def _claimed(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _after_last_newline(descriptor: int, size: int) -> int:
    at = size
    while at:
        start = max(0, at - 65536)
        found = os.pread(descriptor, at - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


def make_root(root: Path) -> None:
    """Make the folder of all targets; one that is there keeps the rights that it was given. Raises OSError."""
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        own_folder(root)


def own_folder(folder: Path) -> Path:
    """Make a folder that only we can enter; one that is there becomes so. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if folder.stat().st_mode & 0o777 != 0o700:
        folder.chmod(0o700)
    return folder


def write_private(path: Path, text: str, *, exclusive: bool = False) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Raises:
        FileExistsError: with `exclusive`, if it is there. PrepareFailed: the disk is full or not writable.
    """
    if exclusive and path.exists():
        raise FileExistsError(path)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if exclusive:
            os.link(scratch, path)
            scratch.unlink()
        else:
            scratch.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # a read-only disk
            scratch.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise
        raise PrepareFailed(f"{path} cannot be written: {error}", next_step="free disk space or mend rights") from error
