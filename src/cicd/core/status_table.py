"""What runs where, as text: for a terminal, and for the job's summary."""

from collections.abc import Mapping, Sequence
from typing import Any

from cicd.core.markdown import inline, visible

Row = Mapping[str, Any]
COLUMNS = ("ENVIRONMENT", "RELEASE", "VERDICT", "SINCE", "APPROVED BY", "SLOT")


def aligned(rows: Sequence[Row]) -> str:
    """A table whose columns stand below each other, and under each environment what else is to be known of it."""
    cells = [COLUMNS, *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    told = [lines[0]]
    for line, row in zip(lines[1:], rows, strict=True):
        told += [line, *(f"  {visible(note)}" for note in notes(row))]
    return "\n".join(told)


def _cells(row: Row) -> tuple[str, ...]:
    nothing = "cannot be told" if row["problem"] else "nothing"
    name = " ".join(filter(None, (row["version"], row["release"]))) or nothing
    warm = f" (warm {row['warm']})" if row["warm"] else ""
    slot = f"{row['slot']}{warm}" if row["slot"] else ""
    cells = (row["environment"], name, row["verdict"], row["since"], ", ".join(row["approved_by"]), slot)
    return tuple(" ".join(visible(cell).split()) or "-" for cell in cells)


def notes(row: Row) -> list[str]:
    """What is to be known besides, each in one line."""
    lines = [
        row["problem"] and f"✗ its target cannot be read: {row['problem']}",
        row["under_way"] and f"{row['under_way']} is under way",
        row["unfinished"] and "a killed run is to be undone (`cicd recover`)",
        row["unrecorded"] and "GitHub does not know all of it yet (`cicd recover`)",
        row["held_by"] and f"held by {row['held_by']}",
        row["release"] and not row["slot"] and not row["problem"] and "its target is not on this machine",
        row["back_to"] and f"can go back to {', '.join(row['back_to'])}",
    ]
    return [" ".join(line.split()) for line in lines if line]


def markdown(rows: Sequence[Row]) -> str:
    """A table for the job's summary."""
    lines = [
        "### Status",
        "",
        "| environment | release | verdict | since | approved by | held by |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in rows:
        name = f"{inline(one['version'])} `{one['release']}`" if one["release"] else "nothing"
        name += ", by the ledger: its target cannot be read" if one["problem"] else ""
        who = inline(", ".join(one["approved_by"]))
        cells = (inline(one["environment"]), name, one["verdict"], one["since"], who, inline(one["held_by"]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
