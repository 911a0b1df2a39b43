"""A router's log, read while it is written: each line once, bounded, over rotation and half-written lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cicd.adapters.host import Host
from cicd.core.watch import Answer

PIECE = 4 * 1024 * 1024  # bytes that are read at once
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


def end_of(host: Host, path: Path) -> Mark:
    """The end of a log that may not be there yet."""
    found = host.look(path)
    return Mark(found.number, found.size) if found else Mark(0, 0)


def rotated(path: Path) -> Path:
    """Where a log is put when it is begun anew."""
    return path.with_name(f"{path.name}.1")


class Log:
    """What is added to the logs of one or more routers."""

    def __init__(self, files: "Sequence[LogFile]") -> None:
        self.files = files

    def read(self) -> list[Answer]:
        """The answers since the last call."""
        return [answer for file in self.files for answer in file.read()]


class LogFile:
    """What is added to a log after a mark.

    A log that is renamed and begun anew is read to its end first, and further: nginx's workers write into the old file
    until they hear of it.
    """

    def __init__(self, host: Host, path: Path, since: Mark) -> None:
        self._host = host
        self._paths = (rotated(path), path)
        self._read_to: dict[int, int] = {}  # position by the file's number
        self._halves: dict[int, bytes] = {}
        self._renamed: set[int] = set()
        found = [look for each in self._paths if (look := host.look(each))]
        if since.file not in [look.number for look in found]:
            found = found[:-1]  # begun since then: all of it counts
        for look in found:
            self._read_to[look.number] = since.position if look.number == since.file else look.size
            if look.number == since.file:
                break

    def read(self) -> list[Answer]:
        """The answers since the last call."""
        return [answer for path in self._paths for answer in answers(self._lines(path))]

    def _lines(self, path: Path) -> list[bytes]:
        """The lines that were added to the file that the path leads to now."""
        whole: list[bytes] = []
        while look := self._host.look(path):
            self._note(look.number, renamed=path != self._paths[-1])
            start = self._read_to.get(look.number, 0)
            if start == look.size:
                break
            piece = self._host.read_from(path, look.number, start, PIECE)
            if piece is None or (piece.number != look.number and piece.number in self._read_to):
                continue  # it was just renamed: look again
            fresh = piece.number != look.number or piece.position - len(piece.content) < start
            half = b"" if fresh else self._halves.get(piece.number, b"")  # emptied in place, as logrotate may do
            *lines, self._halves[piece.number] = (half + piece.content).split(b"\n")
            self._read_to[piece.number] = piece.position
            whole += lines
            if len(piece.content) < PIECE:
                break
        return whole

    def _note(self, number: int, *, renamed: bool) -> None:
        """A file that was renamed does not come back: then another one has got its number."""
        if renamed:
            self._renamed.add(number)
        elif number in self._renamed:
            self._renamed.remove(number)
            self._read_to.pop(number, None)
            self._halves.pop(number, None)


def recent(host: Host, log: Path, slot: str, release_id: str, count: int) -> list[Answer]:
    """The newest answers of a release in a slot to its users, newest first.

    Args:
        log: where it is; what was rotated away last is looked at, too.
        count: no more than so many, from the last RECENT bytes.
    """
    found: list[Answer] = []
    left = RECENT
    for path in (log, rotated(log)):
        text = _end(host, path, left)
        left -= len(text)
        for answer in answers(text.split(b"\n")[::-1]):
            if answer.slot == slot and answer.release == release_id and not answer.own:
                found.append(answer)
                if len(found) == count:
                    return found
    return found


def _end(host: Host, path: Path, size: int) -> bytes:
    look = host.look(path)
    piece = host.read_from(path, look.number, max(0, look.size - size), size) if look else None
    return piece.content if piece else b""
