"""What a program says, in bounded memory and linear time, whatever it says."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HEAD = 64 * 1024  # characters that are kept of the beginning
TAIL = 1024 * 1024  # characters that are kept of the end
LONGEST = 1024 * 1024  # bytes of one line; a longer one comes in pieces


@dataclass
class Splitter:
    """Bytes as they come → whole lines, without their ends."""

    _parts: list[bytes] = field(default_factory=list)
    _size: int = 0

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The lines that `chunk` ends."""
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            self._add(line)
            yield self._taken()
        self._add(rest)
        if self._size >= LONGEST:
            yield self._taken()

    def end(self) -> Iterator[str]:
        """The last line, if nothing ended it."""
        if self._size:
            yield self._taken()

    def _add(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)

    def _taken(self) -> str:
        line = b"".join(self._parts).decode(errors="replace").rstrip("\r")
        self._parts, self._size = [], 0
        return line


@dataclass
class Kept:
    """The beginning and the end of what was said; what lies between is counted."""

    _head: list[str] = field(default_factory=list)
    _tail: deque[str] = field(default_factory=deque)
    _room: int = HEAD
    _size: int = 0
    _left_out: int = 0

    def add(self, line: str) -> None:
        """Keep a line, and let go of older ones."""
        if not self._tail and len(line) < self._room:
            self._head.append(line)
            self._room -= len(line) + 1
            return
        self._tail.append(line)
        self._size += len(line) + 1
        while self._size > TAIL and len(self._tail) > 1:
            self._size -= len(self._tail.popleft()) + 1
            self._left_out += 1

    def text(self) -> str:
        """All that is kept; where something is missing, how much."""
        missing = [f"… {self._left_out} lines left out …"] if self._left_out else []
        return "\n".join([*self._head, *missing, *self._tail])


def tail(path: Path, lines: int, most: int = 64 * 1024) -> str:
    """The last lines of a file, from its last `most` bytes; empty if it is not there."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most))
            text = file.read(most).decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
