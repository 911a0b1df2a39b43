"""Hosts: the machines that a target is made of. Their files, their programs, and what can be reached from them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cicd.adapters.process import Completed


@dataclass(frozen=True)
class Look:
    """What is known of a file without reading it.

    Attributes:
        number: that no other file there has at the same time.
        size: bytes.
        changed: seconds since 1970.
        folder: whether it is one.
    """

    number: int
    size: int
    changed: float
    folder: bool


@dataclass(frozen=True)
class Piece:
    """A part of a file. `number`: the file's; `position`: byte after the part."""

    number: int
    position: int
    content: bytes


class Held(Exception):
    """Somebody else has the lock; `args[0]` is what he wrote into it."""


class Fenced(Exception):
    """The number in the fence is higher than ours; `args[0]` is that number."""


class Hold(Protocol):
    """A lock that we have."""

    @property
    def held(self) -> bool:
        """Whether we still have it: one on another machine is lost with the connection."""


class Host(Protocol):
    """One machine. Paths are absolute, on that machine.

    What cannot be done to a file raises OSError as this machine would. Of another machine everything may also raise
    HostUnreachable and HostRefused; where a connection is lost meanwhile, it is not known whether it was done.
    """

    def __hash__(self) -> int:
        """The same host has the same."""

    @property
    def name(self) -> str:
        """`local`, or `ssh://user@host:port`."""

    def home(self) -> Path:
        """The home folder of the user that we are there."""

    def user(self) -> tuple[int, int]:
        """Numbers of the user and the group that we are there."""

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
        """Run a program there to its end, stdout and stderr as they come.

        Args:
            env: variables besides the user's own there; no command line shows them.
            stdin: what it reads.
            timeout: seconds after which it is ended, with its children; `timed_out` is set then.
            check: whether a non-zero end raises CommandFailed.

        When we die it is ended, too, on another machine.

        Raises:
            ToolMissing, CommandFailed.
        """

    def output(self, argv: Sequence[str], *, timeout: float | None = None) -> bytes:
        """All that a program writes to stdout. Raises CommandFailed with what it wrote to stderr, ToolMissing."""

    def read(self, path: Path) -> bytes:
        """Raises FileNotFoundError, OSError."""

    def read_from(self, path: Path, number: int, position: int, most: int) -> Piece | None:
        """A part of a file, from a place on; from the beginning if the file is another one, or is shorter now.

        None if there is no such file.
        """

    def look(self, path: Path) -> Look | None:
        """None if there is no such file."""

    def write(self, path: Path, content: bytes, *, mode: int = 0o600, exclusive: bool = False) -> None:
        """Write a file whole or not at all; it is on the disk when this returns.

        Raises:
            FileExistsError: with `exclusive`, if it is there. OSError.
        """

    def swap(self, path: Path, content: bytes, was: Look, fence: Path, token: int) -> bool:
        """Write a file (0600) in place of one that nobody has touched since that look; False if somebody has.

        It is there whole, and on the disk, or the old one still is.

        Raises:
            Fenced: the number in the file `fence` is higher than `token`. OSError.
        """

    def append(self, path: Path, line: bytes, root: Path, fence: Path, token: int) -> None:
        """Append a line to a file (0600) whose last one may be cut off, which is removed; it is on the disk then.

        Its folder is made as by make_folder.

        Raises:
            Fenced: the number in the file `fence` is higher than `token`. OSError.
        """

    def rename(self, path: Path, to: Path) -> None:
        """Raises OSError."""

    def make_folder(self, path: Path, root: Path) -> None:
        """Make a folder and those between it and `root`: only we can enter them, also those that are there already.

        A root that is there keeps the rights that it was given. Raises OSError.
        """

    def names(self, folder: Path) -> list[str]:
        """What lies in a folder, the newest first; nothing if it is not there."""

    def remove(self, path: Path) -> None:
        """A file, or a folder with all in it; one that is not there is fine. Raises OSError: something is left."""

    def send(self, source: Path, path: Path) -> None:
        """Lay a file or folder of this machine out there, in place of what was there; whole or not at all.

        Rights are kept, owners are not. Raises OSError.
        """

    def free(self, path: Path) -> int:
        """Bytes that are free on the disk where a file is, or would be."""

    def locked(self, path: Path, holder: bytes) -> AbstractContextManager[Hold]:
        """Hold a lock; who holds it lets go when he dies. Raises Held at once if somebody has it, OSError."""

    def is_held(self, path: Path) -> bool:
        """Whether somebody holds this lock, seen without asking for it: that could be in the way of a run that begins.

        False where it cannot be seen: that machine is no Linux.
        """

    def reach(self, address: str) -> str:
        """`host:port` of this machine that leads to a `host:port` as that machine knows it."""

    def close(self) -> None:
        """Let go of the connection to another machine, and of all that it reaches; it may be used again."""
