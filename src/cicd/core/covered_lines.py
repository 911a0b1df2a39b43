"""Which lines the tests of all shards ran, as one.

Each shard leaves coverage.py's JSON report. A statement ran if it ran in any of them: the union by file and line is
what `coverage combine` makes of the data, but needs neither equal paths on every machine nor the project's environment.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import msgspec

from cicd.core.gates import Coverage
from cicd.errors import ReportInvalid

LARGEST = 200 * 1024 * 1024  # bytes of one report
Line = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]


class Lines(msgspec.Struct, frozen=True):
    """Statements of one file: those that ran, and those that did not."""

    executed_lines: set[Line] = set()
    missing_lines: set[Line] = set()


class _Report(msgspec.Struct):
    files: dict[str, Lines]


def read_lines(text: bytes, source: str) -> dict[str, Lines]:
    """File → its lines, of one report.

    Raises:
        ReportInvalid: it is none, or too large.
    """
    try:
        if len(text) > LARGEST:
            raise ValueError(f"it has {len(text):,} bytes")
        return msgspec.json.decode(text, type=_Report).files
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
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


def foreign(lines: Mapping[str, Lines], lengths: Mapping[str, int | None]) -> str:
    """Why the lines are those of another checkout; empty: nothing says so.

    Args:
        lengths: measured file → how many lines it has here; None: it is not there, as one that a test has written.
            Those that are installed are not looked for: a job that gives the verdict has no environment.
    """
    own = [file for file in lines if not file.startswith("/") and "site-packages" not in file.split("/")]
    if own and all(lengths.get(file) is None for file in own):
        return f"none of the measured files is in this checkout, such as `{min(own)[:200]}`"
    for file, one in lines.items():
        length, last = lengths.get(file), max(one.executed_lines | one.missing_lines, default=0)
        if length is not None and last > length:
            return f"a statement was measured on line {last} of `{file[:200]}`, which has {length} here"
    return ""
