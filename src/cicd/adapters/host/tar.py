"""A folder as a tar, piece by piece: nothing of it lies on a disk on the way."""

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

PIECE = 1024 * 1024  # bytes that are read at once


def pieces(file: Path, size: int) -> Iterator[bytes]:
    """So many bytes of a file. Raises OSError, also if it has fewer."""
    with file.open("rb") as stream:
        while size:
            piece = stream.read(min(PIECE, size))
            if not piece:
                raise OSError(f"{file} got shorter while it was read")
            size -= len(piece)
            yield piece


def folder(source: Path, last: str) -> Iterator[bytes]:
    """All in a folder, and an empty file named `last` at the end. Raises OSError."""
    for found in sorted(source.rglob("*")):
        about = _about(found, str(found.relative_to(source)))
        yield _header(about)
        if about.isreg() and about.size:
            yield from pieces(found, about.size)
            yield bytes(-about.size % tarfile.BLOCKSIZE)
    yield _header(_about(source, ".", kept=0o700))
    yield _header(tarfile.TarInfo(last))
    yield bytes(tarfile.RECORDSIZE)


def _header(about: tarfile.TarInfo) -> bytes:
    return about.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _about(path: Path, name: str, kept: int = 0) -> tarfile.TarInfo:
    """`kept`: rights that it has at least. Raises OSError for what is no file, folder or link."""
    facts = path.lstat()
    about = tarfile.TarInfo(name)
    about.mode, about.mtime = stat.S_IMODE(facts.st_mode) | kept, int(facts.st_mtime)
    if stat.S_ISREG(facts.st_mode):
        about.size = facts.st_size
    elif stat.S_ISDIR(facts.st_mode):
        about.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(facts.st_mode):
        about.type, about.linkname = tarfile.SYMTYPE, os.readlink(path)
    else:
        raise OSError(f"{path} is neither a file nor a folder")
    return about
