"""The JUnit reports of all shards as one file. They are hostile: each is read as it is copied, element by element, a
DTD is refused, and one that cannot be read is left out whole."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from cicd.core.junit import CONTROLS, check_tag

PIECE = 256 * 1024  # bytes that are read, and written, at a time
LARGEST = 256 * 1024 * 1024  # bytes of all of it
DEEPEST = 64
ROOTS = ("testsuites", "testsuite")


def merge(reports: Iterable[tuple[str, Path]], target: Path) -> tuple[int, list[str]]:
    """Write one report; gives how many are in it, and what is left out, in sentences. Raises OSError.

    Args:
        reports: name of the shard, and its file.
    """
    merged, wrong = 0, list[str]()
    with target.open("wb") as out:
        out.write(b'<?xml version="1.0" encoding="utf-8"?>\n<testsuites name="cicd">\n')
        for name, path in reports:
            before = out.tell()
            try:
                _Copy(name, out).read(path)
                merged += 1
            except (OSError, expat.ExpatError, ValueError, LookupError) as error:
                out.seek(before)
                out.truncate()
                wrong.append(f"The JUnit report of {name} is not in junit.xml: {str(error)[:200]}")
        out.write(b"</testsuites>\n")
    return merged, wrong


class _Copy:
    """Copies the suites of one report; those at the top get the shard's name before their own."""

    def __init__(self, name: str, out: BinaryIO) -> None:
        self.name = name
        self.out = out
        self.held: list[str] = []
        self.size = 0
        self.depth = 0
        self.wrapped = False  # its root is <testsuites>, whose place ours takes
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.stop
        self.parser.CharacterDataHandler = self.text
        self.parser.StartDoctypeDeclHandler = self.refuse

    def read(self, path: Path) -> None:
        """Raises OSError, ExpatError, ValueError."""
        if path.is_symlink() or not path.is_file():
            raise ValueError("it is no file")
        with path.open("rb") as file:
            plain: bool | None = None
            fed = 0
            while chunk := file.read(PIECE):
                if plain is None:
                    plain = not chunk.startswith((b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<"))
                self.parser.Parse(chunk.translate(CONTROLS) if plain else chunk, False)
                fed += len(chunk)
                check_tag(self.parser, fed)
                self.flush()
            self.parser.Parse(b"", True)
            self.flush()

    def refuse(self, *_: object) -> None:
        raise ValueError("it has a DTD")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth == 1:
            if tag not in ROOTS:
                raise ValueError(f"its root is <{tag[:40]}>")
            self.wrapped = tag == "testsuites"
            if self.wrapped:
                return
        if self.depth > DEEPEST:
            raise ValueError("its elements are too deep in one another")
        if self.depth == 1 + self.wrapped and tag == "testsuite":
            attributes = {**attributes, "name": f"{self.name}: {attributes.get('name', '')}".rstrip(": ")}
        told = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
        self.held.append(f"<{tag}{told}>")

    def stop(self, tag: str) -> None:
        if self.depth > 1 or not self.wrapped:
            self.held.append(f"</{tag}>\n" if tag in ("testcase", "testsuite") else f"</{tag}>")
        self.depth -= 1

    def text(self, text: str) -> None:
        if self.depth > 1 or not self.wrapped:
            self.held.append(escape(text))

    def flush(self) -> None:
        """Write what is held. Raises ValueError when it is too much."""
        data = "".join(self.held).encode(errors="replace")
        self.held.clear()
        self.size += len(data)
        if self.out.tell() + len(data) > LARGEST:
            raise ValueError(f"all of it would have more than {LARGEST // 1024 // 1024} MiB")
        self.out.write(data)
