"""What the migrations of a release are: their order, what each does, and whether it can be taken back.

Their sources are read by alembic_source and sql_source; nothing here knows the language that they are written in.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from cicd.core.schema_changes import Change
from cicd.errors import ConfigError

Class = Literal["expand", "reversible", "irreversible"]
# `# cicd: expand, because the column is not read yet` in Python, `-- cicd: …` in SQL.
DECLARATION = re.compile(r"^[ \t]*(?:#|--)[ \t]*cicd:[ \t]*(\w+)[ \t,;:—-]*(.*)$", re.M)


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One migration.

    Attributes:
        revision: its name.
        down: the revision before it; empty for the first.
        kind: `expand` only adds, so that the code before it goes on working; `reversible` changes more, and can be
            taken back without loss of what was there before it; `irreversible` has no way down, or drops or
            overwrites data on its way up.
        title: for people.
        breaks: what in it the code that ran before may fail on.
        loses: data that its way up drops or overwrites.
        cost: data that its way down drops or overwrites, with what was written to it since.
        way_down: whether it has one.
        declared: why its author says that it is of this kind; empty if that was read from what it does.
    """

    revision: str
    down: str
    kind: Class
    title: str = ""
    breaks: list[str] = []
    loses: list[str] = []
    cost: list[str] = []
    way_down: bool = True
    declared: str = ""


def judged(
    revision: str, before: str, title: str, up: Sequence[Change], down: Sequence[Change] | None, text: str, path: str
) -> Migration:
    """A migration from what it does on its way up and down (None: no way down). Its author's word goes before.

    Raises:
        ConfigError: a declaration without a reason, or of what cannot be.
    """
    kind, why = declaration(text, path)
    if kind in ("expand", "reversible") and down is None:
        raise ConfigError(
            f"{path}: it is declared {kind}, but has no way down",
            next_step="write one, or declare it irreversible",
        )
    return Migration(
        revision=revision,
        down=before,
        kind=kind or classify(up, down),
        title=title,
        breaks=[] if kind == "expand" else [change.what for change in up if change.breaks],
        loses=[] if kind in ("expand", "reversible") else [change.what for change in up if change.loses],
        cost=[change.what for change in down or [] if change.loses],
        way_down=down is not None,
        declared=why,
    )


def classify(up: Sequence[Change], down: Sequence[Change] | None) -> Class:
    """The kind of a migration by its changes; `down` is None where there is no way down."""
    if down is None or any(change.loses for change in up):
        return "irreversible"
    return "expand" if all(change.adds for change in up) else "reversible"


def declaration(text: str, path: str) -> tuple[Class | None, str]:
    """What the author says of the migration, and why; None when nothing is said. Raises ConfigError."""
    match = DECLARATION.search(text)
    if match is None:
        return None, ""
    if match[1] not in ("expand", "reversible", "irreversible"):
        raise ConfigError(
            f"{path}: `cicd: {match[1]}` declares nothing", next_step="declare expand, reversible or irreversible"
        )
    if not match[2].strip():
        raise ConfigError(
            f"{path}: it is declared {match[1]} without a reason",
            next_step=f"say why on the same line: `cicd: {match[1]}, because …`",
        )
    return match[1], match[2].strip()  # type: ignore[return-value]


def in_order(migrations: Sequence[Migration]) -> list[Migration]:
    """First to last. Raises ConfigError when they are not one unbroken line."""
    after: dict[str, list[Migration]] = {}
    for migration in migrations:
        after.setdefault(migration.down, []).append(migration)
    ordered: list[Migration] = []
    at = ""
    while at in after and len(ordered) <= len(migrations):
        if len(after[at]) > 1:
            names = ", ".join(migration.revision for migration in after[at])
            raise ConfigError(f"two migrations follow `{at or 'nothing'}`: {names}", next_step="give them one order")
        ordered.append(after[at][0])
        at = ordered[-1].revision
    if len(ordered) != len(migrations):
        lost = {migration.revision for migration in migrations} - {migration.revision for migration in ordered}
        raise ConfigError(f"these migrations follow none: {', '.join(sorted(lost))}", next_step="mend down_revision")
    return ordered


def head(migrations: Sequence[Migration]) -> str:
    """The revision that a release wants; empty without migrations."""
    return migrations[-1].revision if migrations else ""


def between(migrations: Sequence[Migration], low: str, high: str) -> list[Migration]:
    """The migrations after `low` up to and with `high`, first to last; empty if `high` is not after `low`."""
    names = [migration.revision for migration in migrations]
    start = names.index(low) + 1 if low in names else 0
    end = names.index(high) + 1 if high in names else 0
    return list(migrations[start:end])


def breaking_old_code(migrations: Sequence[Migration]) -> list[str]:
    """What in these migrations the code that still runs while they are applied may fail on, for people."""
    return [f"{one.revision} {what}" for one in migrations for what in one.breaks]


def lost_on_the_way_back(back: Sequence[Migration]) -> list[str]:
    """What taking these migrations back would lose: all that was written since to what they brought."""
    return [f"{one.revision} {what}" for one in back for what in one.cost]


def why_no_way_back(back: Sequence[Migration]) -> str:
    """Why these migrations (last first) cannot be taken back, and what it would cost; empty if they can be."""
    stuck = [one for one in back if one.kind == "irreversible"]
    if not stuck:
        return ""
    reasons = "; ".join(f"{one.revision} {_why_stuck(one)}" for one in stuck)
    every = ", ".join(one.revision for one in back)
    lost = lost_on_the_way_back(back)
    cost = f"what was written since would be lost: {'; '.join(lost)}" if lost else "no way down drops anything more"
    return f"{reasons}. To take back would be {every}; {cost}"


def _why_stuck(migration: Migration) -> str:
    if migration.declared:
        return f"is declared irreversible ({migration.declared})"
    if migration.loses:
        return f"{' and '.join(migration.loses)}, and what it took is gone"
    return "has no way down"


Files = Mapping[str, str]
"""Path → text of everything in the image that may matter."""
