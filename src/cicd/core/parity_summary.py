"""Differences between environments, for people: tables for a terminal, and for the job's summary."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from cicd.core.markdown import inline, table
from cicd.core.parity import UNKNOWN, Difference

WIDEST = 32  # characters of a cell on a terminal
SIGNS = {"version": "!", "service": "!", "setting": " ", "secret": " "}
NOTHING = "-"
UNSEEN = f"`{UNKNOWN}` is what app-env may have, which is not seen here"


def sentence(names: Sequence[str], differences: Sequence[Difference]) -> str:
    """How much differs."""
    count = {kind: sum(one.kind == kind for one in differences) for kind in SIGNS}
    told = [
        *_many(count["version"], "version of an image", "versions of images"),
        *_many(count["service"], "service that not all have", "services that not all have"),
        *_many(count["setting"], "setting", "settings"),
    ]
    return f"{', '.join(names)} differ in {_joined(told)}" if told else f"{', '.join(names)} do not differ"


def _many(count: int, one: str, more: str) -> list[str]:
    return [f"{count} {one if count == 1 else more}"] if count else []


def _joined(told: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))


def lines(names: Sequence[str], differences: Sequence[Difference]) -> str:
    """A table for each part, in columns. What a gate may look at is marked."""
    return "\n\n".join(
        "\n".join(_columns([(f"  {part}", *columns), *(_marked(one, columns) for one in group)]))
        for part, group, columns in _parts(names, differences)
    )


def _marked(one: Difference, columns: Sequence[str]) -> tuple[str, ...]:
    return (f"{SIGNS[one.kind]}   {_named(one)}", *(_cut(one.values.get(name) or NOTHING) for name in columns))


def _parts(
    names: Sequence[str], differences: Sequence[Difference]
) -> Iterator[tuple[str, list[Difference], Sequence[str]]]:
    """Each part with what differs in it, and the columns that this takes."""
    for part, found in groupby(sorted(differences, key=_order), lambda one: one.part):
        group = list(found)
        more = sorted({name for one in group for name in one.values if name not in names})
        yield part, group, [*more, *names]


def _order(one: Difference) -> tuple[bool, str, str]:
    return one.part.startswith("("), one.part, one.setting


def _named(one: Difference) -> str:
    return "the service" if one.kind == "service" else one.setting


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def markdown(names: Sequence[str], differences: Sequence[Difference], notes: Sequence[str]) -> str:
    """The same as Markdown."""
    told = ["### Parity", f"{inline(sentence(names, differences))}."]
    for part, group, columns in _parts(names, differences):
        rows = [
            (f"{'⚠️ ' if SIGNS[one.kind].strip() else ''}{inline(_named(one))}", *_cells(one.values, columns))
            for one in group
        ]
        told += [f"#### {inline(part)}", table(("setting", *map(inline, columns)), rows)]
    told += ["\n".join(f"- {inline(note)}" for note in notes)] if notes else []
    return "\n\n".join(told)


def _cells(values: Mapping[str, str], columns: Sequence[str]) -> list[str]:
    return [inline(values.get(name) or NOTHING) for name in columns]
