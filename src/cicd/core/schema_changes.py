"""What one change of a schema does to the code that still runs, and to the data."""

import re
from collections.abc import Sequence

import msgspec

# Types that hold every value of the usual types that are widened to them.
WIDE_TYPES = re.compile(r"^(?:sa\.)?(?:text|unicodetext|bigint|biginteger|varchar|character varying)(?:\(\))?$", re.I)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change.

    Attributes:
        what: it does, for people: "drops column `users.name`".
        adds: it only adds or allows more, so that code that does not know it goes on working.
        breaks: the code that ran before it may fail with it.
        loses: it drops or overwrites data.

    What cannot be read breaks and loses, for it may.
    """

    what: str
    adds: bool = False
    breaks: bool = False
    loses: bool = False


IDLE = Change(what="changes no schema", adds=True)


def adding(what: str) -> Change:
    return Change(what=what, adds=True)


def altering(what: str) -> Change:
    """Neither data nor old code suffer, but it does more than add."""
    return Change(what=what)


def breaking(what: str) -> Change:
    return Change(what=what, breaks=True)


def losing(what: str) -> Change:
    """Data is gone; code that used it fails."""
    return Change(what=what, breaks=True, loses=True)


def overwriting(what: str) -> Change:
    """Data is gone, the schema is not: old code goes on."""
    return Change(what=what, loses=True)


def unreadable(what: str, where: str = "") -> Change:
    """It may do anything: to data, and to the code that runs. `where`: file and line."""
    return Change(what=f"{what}{f' ({where})' if where else ''}, which cannot be read", breaks=True, loses=True)


def of_type(column: str, type_: str) -> Change:
    """A column gets another type. Sources do not tell the old one, so only types that hold everything are safe."""
    what = f"changes the type of `{column}` to {type_}"
    return breaking(what) if WIDE_TYPES.match(type_.strip()) else losing(what)


def new_column(column: str, *, required: bool) -> Change:
    """`required`: NOT NULL without a default. Old code does not name the column when it writes a row."""
    return breaking(f"adds column `{column}`, NOT NULL without a default") if required else adding(f"adds `{column}`")


def is_idle(changes: Sequence[Change] | None) -> bool:
    """Whether they do nothing at all to schema or data."""
    return changes is not None and all(change == IDLE for change in changes)
