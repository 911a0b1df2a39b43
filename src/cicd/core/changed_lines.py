"""Which lines a change touches, and how many of those that can run did.

The diff is git's, without context: `git diff --unified=0 --no-prefix`. A change is what its author is asked to test,
so the threshold for it can be higher than what an old project reaches in all.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from cicd.core.covered_lines import Lines
from cicd.core.gates import Coverage

MOST_LISTED = 20  # ranges that are named of one file
HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")
# Git writes a name with such signs in it as C would: https://git-scm.com/docs/git-config#Documentation/git-config.txt-corequotePath
ESCAPE = re.compile(rb'\\([0-7]{3}|[abtnvfr"\\])')
SIGNS = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the statements that a change touches ran.

    Attributes:
        found: None when it touches no statement that is measured.
        missing: file → touched statements that did not run.
    """

    found: Coverage | None = None
    missing: dict[str, list[int]] = {}


def of_change(lines: Mapping[str, Lines], touched: Mapping[str, set[int]]) -> Changed:
    """The statements among touched lines."""
    covered, missing = 0, dict[str, list[int]]()
    for file, numbers in touched.items():
        if file in lines:
            covered += len(numbers & lines[file].executed_lines)
            if left := sorted(numbers & lines[file].missing_lines):
                missing[file] = left
    statements = covered + sum(len(left) for left in missing.values())
    return Changed(found=Coverage(covered, statements) if statements else None, missing=missing)


def touched_lines(diff: str) -> dict[str, set[int]]:
    """File → lines that are new or changed. A file that is gone, binary, or only renamed has none."""
    touched: dict[str, set[int]] = {}
    file, left = "", 0  # lines of a hunk that are still to come: what is in them is text, whatever it looks like
    for line in diff.split("\n"):
        if left > 0 and line[:1] == "+":
            left -= 1
        elif line.startswith("+++ ") and left <= 0:
            file = _name(line[4:])
        elif (found := HUNK.match(line)) and file != "/dev/null":
            start, left = int(found[1]), int(found[2] if found[2] is not None else 1)
            touched.setdefault(file, set()).update(range(start, start + left))
    return touched


def _name(told: str) -> str:
    """A file's name as git tells it: a tab follows one with a space, and one with odd signs is in quotes."""
    name = told.removesuffix("\t")
    if not (name.startswith('"') and name.endswith('"') and len(name) > 1):
        return name
    raw = name[1:-1].encode("utf-8", "surrogateescape")
    return ESCAPE.sub(_sign, raw).decode("utf-8", "surrogateescape")


def _sign(found: re.Match[bytes]) -> bytes:
    told = found[1]
    return bytes([int(told, 8) & 255]) if len(told) == 3 else SIGNS.get(told, told)


def ranges(numbers: Sequence[int]) -> str:
    """`3-5, 9` of sorted numbers, cut after a few."""
    parts = spans(numbers)
    told = [str(first) if first == last else f"{first}-{last}" for first, last in parts[:MOST_LISTED]]
    return ", ".join([*told, *(["…"] if len(parts) > MOST_LISTED else [])])


def spans(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each unbroken row of sorted numbers."""
    parts: list[tuple[int, int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1] = (parts[-1][0], number)
        else:
            parts.append((number, number))
    return parts
