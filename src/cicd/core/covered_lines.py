"""Which lines the tests of all shards ran, as one; and how many of those that a change touches.

Each shard leaves coverage.py's JSON report. A statement ran if it ran in any of them: the union by file and line is
what `coverage combine` makes of the data, but needs neither equal paths on every machine nor the project's environment.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import msgspec

from cicd.core.gates import Coverage
from cicd.errors import ReportInvalid

LARGEST = 200 * 1024 * 1024  # bytes of one report
MOST_LISTED = 20  # lines that are named of one file
HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")
Line = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]


class Lines(msgspec.Struct, frozen=True):
    """Statements of one file: those that ran, and those that did not."""

    executed_lines: set[Line] = set()
    missing_lines: set[Line] = set()


class _Report(msgspec.Struct):
    files: dict[str, Lines]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the statements that a change touches ran.

    Attributes:
        found: None when it touches no statement that is measured.
        missing: file → touched statements that did not run.
    """

    found: Coverage | None = None
    missing: dict[str, list[int]] = {}


def read_lines(text: bytes, source: str) -> dict[str, Lines]:
    """File → its lines, of one report.

    Raises:
        ReportInvalid: it is none, or too large.
    """
    try:
        if len(text) > LARGEST:
            raise ValueError(f"it has {len(text):,} bytes")
        return msgspec.json.decode(text, type=_Report).files
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ReportInvalid(
            f"The coverage report `{source}` cannot be read",
            cause=str(error)[:200],
            next_step="it is what `coverage json` writes; look at the shard's own log",
        ) from error


def together(parts: Iterable[Mapping[str, Lines]]) -> dict[str, Lines]:
    """The lines of all shards."""
    ran: dict[str, set[int]] = {}
    known: dict[str, set[int]] = {}
    for part in parts:
        for file, lines in part.items():
            ran.setdefault(file, set()).update(lines.executed_lines)
            known.setdefault(file, set()).update(lines.executed_lines, lines.missing_lines)
    return {file: Lines(ran[file], known[file] - ran[file]) for file in sorted(known)}


def disagreeing(parts: Sequence[Mapping[str, Lines]]) -> list[str]:
    """Files whose statements are not the same in all parts: they were measured on different code."""
    known: dict[str, set[int]] = {}
    wrong = set()
    for part in parts:
        for file, lines in part.items():
            statements = lines.executed_lines | lines.missing_lines
            if known.setdefault(file, statements) != statements:
                wrong.add(file)
    return sorted(wrong)


def total(lines: Mapping[str, Lines]) -> Coverage | None:
    """Statements that ran, of all; None if there is none."""
    covered = sum(len(one.executed_lines) for one in lines.values())
    missing = sum(len(one.missing_lines) for one in lines.values())
    return Coverage(covered, covered + missing) if covered + missing else None


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
    """File → lines that are new or changed, of `git diff --unified=0 --no-prefix`."""
    touched: dict[str, set[int]] = {}
    file, left = "", 0  # lines of a hunk that are still to come: what is in them is text, whatever it looks like
    for line in diff.split("\n"):
        if left > 0 and line[:1] == "+":
            left -= 1
        elif line.startswith("+++ ") and left <= 0:
            file = line[4:].rstrip("\t")
        elif (found := HUNK.match(line)) and file != "/dev/null":
            start, left = int(found[1]), int(found[2] if found[2] is not None else 1)
            touched.setdefault(file, set()).update(range(start, start + left))
    return touched


def ranges(numbers: Sequence[int]) -> str:
    """`3-5, 9` of sorted numbers, cut after a few."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number, number])
    told = [str(first) if first == last else f"{first}-{last}" for first, last in parts[:MOST_LISTED]]
    return ", ".join([*told, *(["…"] if len(parts) > MOST_LISTED else [])])
