"""A router's log, read while it is written: each line once, bounded, over rotation and half-written lines."""

import os
from collections.abc import Iterator
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


class Log:
    """What is added to a log from now on.

    A log that is renamed and begun anew is read to its end first, and further: nginx's workers write into the old file
    until they hear of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: list[_Part] = []
        self._find()
        for part in self._parts:
            part.skip()

    def read(self) -> list[Answer]:
        """The answers since the last call."""
        self._find()
        return [answer for part in self._parts for answer in answers(part.read())]

    def close(self) -> None:
        """Let go of the files."""
        for part in self._parts:
            part.file.close()

    def _find(self) -> None:
        """Open the file that the path leads to, if we have not."""
        try:
            file = FileIO(self._path)
        except FileNotFoundError:
            return  # nothing was ever asked, or it is just being begun anew
        part = _Part(file)
        if any(part.same(known) for known in self._parts):
            file.close()
        else:
            self._parts.append(part)


class _Part:
    """One file of a log."""

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self._half = b""

    def same(self, other: "_Part") -> bool:
        mine, theirs = _stat(self.file), _stat(other.file)
        return (mine.st_dev, mine.st_ino) == (theirs.st_dev, theirs.st_ino)

    def skip(self) -> None:
        self.file.seek(0, os.SEEK_END)

    def read(self) -> list[bytes]:
        if _stat(self.file).st_size < self.file.tell():
            self.file.seek(0)  # emptied in place, as logrotate's copytruncate does
            self._half = b""
        *whole, self._half = (self._half + self.file.read()).split(b"\n")
        return whole


def _stat(file: IO[bytes] | FileIO) -> os.stat_result:
    return os.fstat(file.fileno())


def recent(paths: list[Path], slot: str, release_id: str, count: int) -> list[Answer]:
    """The newest answers of a release in a slot to its users, newest first.

    Args:
        paths: the parts of the log, newest first.
        count: no more than so many, from the last RECENT bytes.
    """
    found: list[Answer] = []
    left = RECENT
    for path in paths:
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
