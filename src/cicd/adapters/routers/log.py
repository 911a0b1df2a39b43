"""A router's log, read while it is written: each line once, bounded, over rotation and half-written lines."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO

import msgspec

from cicd.core.watch import Answer

RECENT = 4 * 1024 * 1024  # bytes that are looked at for what was answered before; about 20,000 lines

_decode = msgspec.json.Decoder(Answer).decode


def answers(lines: list[bytes]) -> Iterator[Answer]:
    """The lines that are whole."""
    for line in lines:
        try:
            yield _decode(line)
        except msgspec.MsgspecError:
            continue  # begun before we looked, or cut off by a crash


@dataclass(frozen=True)
class Mark:
    """A place in a log: which file, and how many bytes of it lie before."""

    file: int
    position: int


def end_of(path: Path) -> Mark:
    """The end of a log that may not be there yet."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return Mark(0, 0)
    return Mark(facts.st_ino, facts.st_size)


def rotated(path: Path) -> Path:
    """Where a log is put when it is begun anew."""
    return path.with_name(f"{path.name}.1")


class Log:
    """What is added to a log after a mark.

    A log that is renamed and begun anew is read to its end first, and further: nginx's workers write into the old file
    until they hear of it.
    """

    def __init__(self, path: Path, since: Mark) -> None:
        self._path = path
        self._parts: list[_Part] = []
        for each in (rotated(path), path):
            self._find(each)
        numbers = [part.number for part in self._parts]
        first = numbers.index(since.file) if since.file in numbers else len(numbers) - 1
        for part in self._parts[:first]:
            part.file.seek(0, os.SEEK_END)
        if since.file in numbers:
            self._parts[first].file.seek(since.position)

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        for part in self._parts:
            part.file.close()

    def read(self) -> list[Answer]:
        """The answers since the last call."""
        self._find(self._path)
        return [answer for part in self._parts for answer in answers(part.read())]

    def _find(self, path: Path) -> None:
        """Open the file that the path leads to, if we have not."""
        try:
            part = _Part(FileIO(path))
        except FileNotFoundError:
            return  # nothing was ever asked, or it is just being begun anew
        if part.number in [known.number for known in self._parts]:
            part.file.close()
        else:
            self._parts.append(part)


class _Part:
    """One file of a log."""

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self.number = _stat(file).st_ino  # no other file gets it while this one is open
        self._half = b""

    def read(self) -> list[bytes]:
        if _stat(self.file).st_size < self.file.tell():
            self.file.seek(0)  # emptied in place, as logrotate's copytruncate does
            self._half = b""
        *whole, self._half = (self._half + self.file.read()).split(b"\n")
        return whole


def _stat(file: IO[bytes] | FileIO) -> os.stat_result:
    return os.fstat(file.fileno())


def recent(log: Path, slot: str, release_id: str, count: int) -> list[Answer]:
    """The newest answers of a release in a slot to its users, newest first.

    Args:
        log: where it is; what was rotated away last is looked at, too.
        count: no more than so many, from the last RECENT bytes.
    """
    found: list[Answer] = []
    left = RECENT
    for path in (log, rotated(log)):
        text = _end(path, left)
        left -= len(text)
        for answer in answers(text.split(b"\n")[::-1]):
            if answer.slot == slot and answer.release == release_id and not answer.own:
                found.append(answer)
                if len(found) == count:
                    return found
    return found


def _end(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, _stat(file).st_size - size))
            return file.read(size)
    except FileNotFoundError:
        return b""
