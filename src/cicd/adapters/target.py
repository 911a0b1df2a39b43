"""The place where an environment runs: its folder, journal, lock, and the releases that lie there.

<root>/store/sha256/<hex>.tar       images of engine process, by digest
<root>/venvs/<key>/                 interpreters with a release's dependencies, shared by releases with the same lock
<root>/<app>/key                    for keyed digests of secrets
<root>/<app>/<environment>/journal.jsonl, lock, fence, releases/<id>/, slots/, router/, files/
"""

import contextlib
import errno
import functools
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from cicd.adapters.host import Fenced, Held, Host, Look
from cicd.adapters.host.local import LocalHost
from cicd.adapters.runner import Runner
from cicd.core.journal import Entry, NewerFormat, NotAJournal, State, decode, encode, fold
from cicd.core.lock import Holder, clock_time, holder
from cicd.core.release import Record
from cicd.errors import DiskFull, Locked, LockLost, NothingToRollBackTo, PrepareFailed, Unfinished, UsageError


def target_root(runner: Runner) -> Path:
    """The folder of all targets on this machine: $CICD_TARGET, else the user's state folder."""
    given = runner.env.get("CICD_TARGET")
    state = runner.env.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return usable((Path(given) if given else Path(state) / "cicd").absolute())


def usable(root: Path) -> Path:
    """A root of targets as it is. Raises UsageError if its path would mean something else in configuration files."""
    if IN_NO_PATH.search(str(root)):
        raise UsageError(
            f"The folder of targets, {str(root)[:200]!r}, has white space or one of `;{{}}$'\"` in its path",
            cause="programs' configuration files, in which it stands, give these a meaning",
            next_step="set CICD_TARGET, or the folder in `hosts`, to another one",
        )
    return root


IN_NO_PATH = re.compile(r"""[\s;{}$"']""")


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What cannot be written is an error that says what to do. Raises DiskFull, PrepareFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"The target {folder} cannot be written: {error}",
                cause="releases, logs or something else have filled its disk",
                next_step="free space, or lower `deploy.keep`",
            ) from error
        raise PrepareFailed(
            f"The target {folder} cannot be written: {error}",
            cause="its disk is full or read-only, or it is another user's",
            next_step="set CICD_TARGET to a folder of your own, mend its rights, or free disk space",
        ) from error


def apps_with(root: Path, environment: str) -> list[str]:
    """The applications that have an environment of this name on this machine."""
    return sorted(path.parent.parent.name for path in root.glob(f"*/{environment}/journal.jsonl"))


RELEASE_ID = re.compile(r"[0-9a-f]{12}")
HERE = LocalHost({})
_read_once: dict[tuple[Host, Path], bytes] = {}


@dataclass(frozen=True)
class Target:
    """One environment of one application on one host.

    Attributes:
        root: folder of all targets on the host.
    """

    root: Path
    app: str
    environment: str
    host: Host = field(default=HERE)

    @property
    def name(self) -> str:
        """That no other environment on the host has."""
        return f"{self.app}/{self.environment}"

    @property
    def folder(self) -> Path:
        return self.root / self.app / self.environment

    def release_folder(self, release_id: str) -> Path:
        return self.folder / "releases" / release_id

    def make(self, *below: str) -> Path:
        """A folder below the target's own, made if need be; none but us can enter it. Raises OSError."""
        folder = self.folder.joinpath(*below)
        self.host.make_folder(folder, self.root)
        return folder

    def write(self, path: Path, text: str) -> None:
        """Write a file that only its owner can read, whole or not at all. Raises PrepareFailed."""
        with writing(path):
            self.host.write(path, text.encode())

    def key(self) -> bytes:
        """The application's key for digests of secrets; made when first needed, readable by the owner alone."""
        path = self.root / self.app / "key"
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return self.host.read(path)
        with writing(self.root), contextlib.suppress(FileExistsError):
            self.host.make_folder(path.parent, self.root)
            self.host.write(path, secrets.token_hex(32).encode(), exclusive=True)
        return self.host.read(path)

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
            look = self.host.look(path)
            found = _decoded(self.host, path, look) if look else []
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
            return int(self.host.read(self.folder / "fence"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return self.state().fence

    def raise_fence(self, token: int) -> None:
        """From now on whoever comes with an older token is refused. Raises LockLost if ours is the older one."""
        if token < (highest := self.fence()):
            raise self._fenced(token, highest)
        with writing(self.root):
            self.make()
        self.write(self.folder / "fence", str(token))

    def _fenced(self, token: int, highest: int) -> LockLost:
        return LockLost(
            f"Token {token} of the lock of {self.environment} is older than {highest}, which is known here",
            cause="another run has taken the lock over meanwhile",
            next_step="nothing more is done by this run; see `cicd status`",
        )

    def journal(self, entry: Entry) -> None:
        """Append an entry; it is on the disk when this returns.

        Raises:
            LockLost: it was made under an older lock. OSError: it is not there, or in part; the next one cuts that off.
        """
        path = self.folder / "journal.jsonl"
        try:
            self.host.append(path, encode(entry).encode(), self.root, self.folder / "fence", entry.fence)
        except Fenced as error:
            raise self._fenced(entry.fence, error.args[0]) from error

    def record(self, release_id: str) -> Record:
        """A release that lies here. Raises NothingToRollBackTo if it does not."""
        absent = NothingToRollBackTo(
            f"Release {release_id or '(none)'} does not lie on the target",
            cause="it was never there, or was pruned",
            next_step="`cicd status` names the releases that are there",
        )
        if not RELEASE_ID.fullmatch(release_id):
            raise absent
        try:
            return msgspec.json.decode(self.release_file(release_id, "record.json"), type=Record)
        except (FileNotFoundError, NotADirectoryError):
            raise absent from None
        except (OSError, msgspec.MsgspecError) as error:
            raise self._damaged(release_id, f"record.json: {error}") from error

    def release_file(self, release_id: str, name: str) -> bytes:
        """A file of a release, which never changes: one on another machine is read once. Raises OSError."""
        path = self.release_folder(release_id) / name
        if self.host.name == "local":
            return self.host.read(path)
        if (self.host, path) not in _read_once:
            _read_once[self.host, path] = self.host.read(path)
        return _read_once[self.host, path]

    def settings(self, release_id: str) -> dict[str, str]:
        """The settings that a release gets, secrets included."""
        try:
            return msgspec.json.decode(self.release_file(release_id, "settings.json"), type=dict[str, str])
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
        if not RELEASE_ID.fullmatch(release_id):
            return False
        return self.host.look(self._record_file(release_id)) is not None

    def _record_file(self, release_id: str) -> Path:
        return self.release_folder(release_id) / "record.json"

    def free(self) -> int:
        """Bytes that are free on the disk of the target."""
        return self.host.free(self.folder)

    def require_writable(self) -> None:
        """Look whether the kernel would let us write here, without trying. Raises PrepareFailed."""
        there = next(path for path in (self.folder, *self.folder.parents) if self.host.look(path))
        with writing(self.root):
            if self.host.run(["test", "-w", str(there), "-a", "-x", str(there)], check=False).code:
                raise PermissionError("its disk is read-only, or its rights do not let us")

    def releases(self) -> list[str]:
        """Ids of the releases that lie here, whole or not, newest first."""
        return self.host.names(self.folder / "releases")

    def remove(self, release_id: str) -> None:
        """Remove a release, its record first: one that is removed in part lies there no more. One not there is fine."""
        for host, path in [*_read_once]:
            if path.parent == self.release_folder(release_id):
                del _read_once[host, path]
        self.host.remove(self._record_file(release_id))
        self.host.remove(self.release_folder(release_id))

    @contextlib.contextmanager
    def lock(self, us: dict[str, Any], wait: float = 0.0) -> Iterator[None]:
        """Hold the environment; the kernel lets go of it when we die.

        Args:
            us: who, for the message to others, see Holder.
            wait: seconds to wait for another holder to end.

        Raises:
            Locked: says who holds it and since when.
        """
        told = json.dumps({**us, "since": time.time()}).encode()
        deadline = time.monotonic() + wait
        with contextlib.ExitStack() as stack:
            with writing(self.root):
                path = self.make() / "lock"
                while held := _held(lambda: stack.enter_context(self.host.locked(path, told))):
                    if time.monotonic() >= deadline:
                        raise self._locked(held)
                    time.sleep(0.2)
            yield

    def is_held(self) -> bool:
        """Whether somebody holds the environment now."""
        return self.host.is_held(self.folder / "lock")

    def _locked(self, text: bytes) -> Locked:
        try:
            held = msgspec.json.decode(text, type=Holder)
            who, since = holder(held), f"since {clock_time(held.since, time.time())}"
        except msgspec.MsgspecError:
            who, since = "somebody", "since a moment ago"  # who took it is about to say so
        return Locked(
            f"{self.environment} of {self.app} is held by {who} {since}",
            cause="one deployment at a time",
            next_step="wait until it has ended, then run this again",
        )


@functools.lru_cache(maxsize=16)
def _decoded(host: Host, path: Path, version: Look) -> list[Entry]:
    """A journal, read once as long as it is the same: it is asked for often, and never gets shorter over the years."""
    return decode(host.read(path).decode())


def _held(claim: Callable[[], object]) -> bytes:
    """What the holder of a lock wrote into it; empty if the claim got it."""
    try:
        claim()
    except Held as error:
        return error.args[0] or b"{}"
    return b""
