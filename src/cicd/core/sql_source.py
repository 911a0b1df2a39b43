"""What SQL statements do to a schema, read from their text by PostgreSQL's grammar as far as migrations need it.

Only what is recognised counts as harmless. Everything else cannot be read, and may do anything.
"""

import re
from collections.abc import Callable, Iterator

from cicd.core.schema_changes import (
    IDLE,
    Change,
    adding,
    altering,
    breaking,
    losing,
    overwriting,
    unreadable,
)
from cicd.core.sql_functions import unknown_calls
from cicd.core.sql_tables import EXISTS, NAME, alter, forget, key
from cicd.core.sql_tokens import Unended, cut, statements, unveiled

# From here on the same name may be another table.
PATH = re.compile(
    r"(?:re)?set\b.*\bsearch_path\b|(?:re)?set (?:(?:local|session) )?(?:schema|role|session|all)\b|discard"
)
ELSEWHERE = "?"  # in `made`: names without a schema are no longer those of before
# Statements in parentheses that change rows: parts of a WITH.
WITHIN = re.compile(r"\(\s*(?:delete|update|insert|merge)\b")
Where = Callable[[int], str]


def read_sql(sql: str, made: set[str] | None = None, where: Where = lambda line: f"line {line}") -> list[Change]:
    """What the statements do, in their order.

    Args:
        made: tables, and columns as `table.column`, that the migration itself has made: nothing depends on them yet.
        where: says file and line of the text's first line (1), its second (2), and so on.
    """
    known, found = set() if made is None else made, list[Change]()
    try:
        for statement, lines in statements(sql):
            found += _read(statement, known, where(lines + 1))
    except Unended as error:
        found.append(unreadable(f"SQL in which {error}", where(error.line + 1)))
    return [Change(what=unveiled(one.what), adds=one.adds, breaks=one.breaks, loses=one.loses) for one in found]


def _read(statement: str, made: set[str], where: str) -> Iterator[Change]:
    if PATH.match(statement):
        made.clear()
        made.add(ELSEWHERE)
    if match := re.match(rf"alter table {EXISTS}(?:only )?{NAME}\s*\*? (.+)", statement):
        for action in cut(match[2], "comma"):
            unread = _unread(f"alter table {match[1]} {action}")
            change = None if unread else alter(key(match[1]), action, made)
            yield change or unreadable(unread or f"`alter table {match[1]} {action[:40]}`", where)
        return
    if unread := _unread(statement):
        yield unreadable(unread, where)
        return
    matches = ((read, match) for pattern, read in STATEMENTS if (match := re.match(pattern, statement)))
    yield next((read(match, made) for read, match in matches), unreadable(f"`{statement[:60]}`", where))


def _unread(statement: str) -> str:
    """What in it runs that is not known; empty if nothing does."""
    if re.match(
        r"create (?:or replace )?(?:function|procedure)\b|alter table \S+ alter (?:column )?\S+ set default\b",
        statement,
    ):
        return ""  # what it defines runs later
    if named := unknown_calls(statement):
        return f"`{named[0]}(…)` in `{statement[:40]}`"
    return f"`{statement[:60]}`" if WITHIN.search(statement) else ""


def _create_table(match: re.Match[str], made: set[str]) -> Change:
    kind, table = match[1] or "", key(match[3])
    # One that is there already stays; a temporary one hides another of its name.
    certain = "temp" not in kind and not match[2] and ("." in table or ELSEWHERE not in made)
    if certain:
        made.add(table)
    return adding(f"creates table `{table}`")


def _unique_index(match: re.Match[str], made: set[str]) -> Change:
    table = key(match[1])
    change = f"creates a unique index on `{table}`"
    return adding(change) if table in made else breaking(change)


def _update(match: re.Match[str], made: set[str]) -> Change:
    """Filling columns that this migration has added overwrites nothing."""
    table, rest = key(match[1]), match[2]
    targets = [re.match(rf"{NAME} ?=", part) for part in cut(rest, "comma")]
    if table in made or all(target and f"{table}.{key(target[1])}" in made for target in targets):
        return adding(f"fills `{table}`")
    return overwriting(f"overwrites rows of `{table}`")


def _delete(match: re.Match[str], made: set[str]) -> Change:
    table = key(match[1])
    return adding(f"empties `{table}`") if table in made else overwriting(f"deletes rows of `{table}`")


def _insert(match: re.Match[str], made: set[str]) -> Change:
    table = key(match[1])
    if re.search(r"\bdo update\b", match[0]) and table not in made:
        return overwriting(f"overwrites rows of `{table}`")
    return adding(f"inserts rows into `{table}`")


def _drop_table(match: re.Match[str], made: set[str]) -> Change:
    for name in cut(match[1], "comma"):
        forget(key(name.split(" ")[0]), made)
    return losing(f"drops table `{key(match[1].split(' ')[0].rstrip(','))}`")


def _drop(match: re.Match[str], made: set[str]) -> Change:
    """CASCADE takes the columns of a type or a function with it."""
    what = f"drops a {match[1]}"
    takes = re.search(r"\bcascade\b", match[0]) and not match[1].endswith("view")
    return losing(f"{what} with all that depends on it") if takes else breaking(what)


Statement = Callable[[re.Match[str], set[str]], Change]
CREATED = r"schema|sequence|type|domain|extension|view|function|procedure|role|collation|aggregate|cast"
ALTERED = "sequence|view|materialized view|function|procedure|routine|aggregate|schema|role|user|group|database|policy"
ALTERED += "|trigger|domain|collation|default|statistics|publication|operator|language"
DROPPED = "view|materialized view|function|procedure|routine|aggregate|type|domain|role|user|group|rule|cast|collation"
DROPPED += "|operator|statistics|event trigger|publication|conversion|language"
STATEMENTS: list[tuple[str, Statement]] = [
    (rf"create ((?:(?:global|local|temp|temporary|unlogged|foreign) )*)table ({EXISTS}){NAME}", _create_table),
    (rf"create unique index .*?\bon (?:only )?{NAME}", _unique_index),
    (r"create index ", lambda match, made: adding("creates an index")),
    (
        r"create or replace (?:recursive |constraint )?(view|function|procedure|trigger|aggregate)\b",
        lambda match, made: altering(f"replaces a {match[1]}"),
    ),
    (r"create (?:constraint )?trigger ", lambda match, made: altering("creates a trigger")),
    (r"create policy .*\bas restrictive\b", lambda match, made: breaking("creates a restrictive policy")),
    (rf"create (?:recursive |materialized )*({CREATED}|policy)\b", lambda match, made: adding(f"creates a {match[1]}")),
    (rf"alter type {NAME} add value", lambda match, made: adding(f"adds a value to type `{match[1]}`")),
    (rf"alter type {NAME} (?:rename|owner|set schema)", lambda match, made: breaking(f"alters type `{match[1]}`")),
    (r"alter index ", lambda match, made: altering("alters an index")),
    (rf"alter ({ALTERED}) {NAME}", lambda match, made: breaking(f"alters {match[1]} `{match[2]}`")),
    (rf"drop table {EXISTS}({NAME}.*)", _drop_table),
    (rf"drop (schema|database|sequence|extension) {EXISTS}{NAME}", lambda match, made: losing(f"drops {match[0][5:]}")),
    (r"drop (index|trigger|policy) ", lambda match, made: altering(f"drops a {match[1]}")),
    (rf"drop ({DROPPED}) .*", _drop),
    (rf"truncate (?:table )?(?:only )?{NAME}", lambda match, made: overwriting(f"empties `{key(match[1])}`")),
    (rf"update (?:only )?{NAME}\s*\*?(?: (?:as )?(?!set\b)\w+)? set (.+)", _update),  # noqa: S608 - a pattern
    (rf"delete from (?:only )?{NAME}", _delete),  # noqa: S608 - a pattern
    (rf"insert into {NAME}.*", _insert),
    (rf"merge into (?:only )?{NAME}", lambda match, made: overwriting(f"overwrites rows of `{key(match[1])}`")),
    (r"revoke ", lambda match, made: breaking("revokes rights")),
    # After another setting of this one quoted text ends elsewhere.
    (r'(?:re)?set\b(?! (?:local |session )?")(?!.*\bstandard_conforming_strings\b)', lambda match, made: IDLE),
    (
        r"(?:show|analyze|vacuum|comment|grant|select|begin|commit|start|savepoint|release|lock|reindex|refresh)"
        r"\b(?! prepared)(?!.*\binto\b)",
        lambda match, made: IDLE,
    ),
]
