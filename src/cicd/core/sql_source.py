"""What SQL statements do to a schema, read from their text by PostgreSQL's grammar as far as migrations need it."""

import re
from collections.abc import Callable, Iterator

from cicd.core.schema_changes import (
    Change,
    adding,
    altering,
    breaking,
    losing,
    new_column,
    of_type,
    overwriting,
    unreadable,
)
from cicd.core.sql_functions import unknown_calls
from cicd.core.sql_tokens import Unended, cut, statements

NAME = r'((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))*)'
EXISTS = r"(?:if (?:not )?exists )?"


def read_sql(sql: str, made: set[str] | None = None) -> list[Change]:
    """What the statements do, in their order.

    Args:
        made: tables, and columns as `table.column`, that the migration itself has made: nothing depends on them yet.
    """
    known = set() if made is None else made
    try:
        return [change for statement in statements(sql) for change in _read(statement, known)]
    except Unended as error:
        return [unreadable(f"SQL in which {error}")]


def _read(statement: str, made: set[str]) -> Iterator[Change]:
    if re.match(r"set\b.*\bsearch_path\b|set schema\b|reset (?:all|search_path)\b|discard\b", statement, re.I):
        made.clear()  # the same name may be another table from here on
    if re.match(r"set\b.*\bstandard_conforming_strings\b", statement, re.I):
        yield unreadable(f"`{statement[:60]}`")  # what follows has other quotes
        return
    if named := unknown_calls(statement):
        yield unreadable(f"`{named[0]}(…)` in `{statement[:40]}`")
        return
    if match := re.match(rf"alter table {EXISTS}(?:only )?{NAME}\s*\*? (.+)", statement, re.I):
        table = _plain(match[1])
        for action in cut(match[2], "comma"):
            yield _alter(table, action, made)
        return
    for pattern, read in STATEMENTS:
        if match := re.match(pattern, statement, re.I):
            yield read(match, made)
            return
    yield unreadable(f"`{statement[:60]}`")


def _plain(name: str) -> str:
    return name.replace('"', "").removeprefix("public.")


def _alter(table: str, action: str, made: set[str]) -> Change:
    for pattern, read in ACTIONS:
        if match := re.match(pattern, action, re.I):
            change, column = read(table, match), f"{table}.{_plain(match[1])}" if match.re.groups else ""
            own = table in made or column in made
            if read is _add_column:
                made.add(column)
            return adding(change.what) if own else change
    return unreadable(f"`ALTER TABLE {table} {action[:40]}`")


def _add_column(table: str, match: re.Match[str]) -> Change:
    definition = match[2].lower()
    fills = re.search(r"\bdefault\b|\bgenerated\b|\bserial\b|\b(big|small)serial\b", definition)
    required = re.search(r"\bnot null\b|\bprimary key\b", definition)
    return new_column(f"{table}.{_plain(match[1])}", required=bool(required and not fills))


def _type(table: str, match: re.Match[str]) -> Change:
    using = re.split(r"\s+using\s+", match[2], flags=re.I)
    return of_type(f"{table}.{_plain(match[1])}", using[0])


Action = Callable[[str, re.Match[str]], Change]
ACTIONS: list[tuple[str, Action]] = [
    (
        r"add (?:constraint|primary|unique|foreign|check|exclude)\b",
        lambda table, match: breaking(f"adds a constraint to `{table}`"),
    ),
    (rf"add (?:column )?{EXISTS}{NAME} (.+)", _add_column),
    (r"drop constraint ", lambda table, match: altering(f"drops a constraint of `{table}`")),
    (
        rf"drop (?:column )?{EXISTS}{NAME}",
        lambda table, match: losing(f"drops column `{table}.{_plain(match[1])}`"),
    ),
    (r"rename constraint ", lambda table, match: altering(f"renames a constraint of `{table}`")),
    (rf"rename to {NAME}", lambda table, match: breaking(f"renames table `{table}` to {match[1]}")),
    (
        rf"rename (?:column )?{NAME} to {NAME}",
        lambda table, match: breaking(f"renames column `{table}.{_plain(match[1])}` to {match[2]}"),
    ),
    (rf"alter (?:column )?{NAME} (?:set data )?type (.+)", _type),
    (
        rf"alter (?:column )?{NAME} set not null",
        lambda table, match: breaking(f"makes `{table}.{_plain(match[1])}` NOT NULL"),
    ),
    (
        rf"alter (?:column )?{NAME} drop default",
        lambda table, match: breaking(f"drops the default of `{table}.{_plain(match[1])}`"),
    ),
    (
        rf"alter (?:column )?{NAME} (?:drop not null|set default|set statistics|set storage|add generated)",
        lambda table, match: adding(f"allows more in `{table}.{_plain(match[1])}`"),
    ),
    (
        r"validate constraint |set \(|reset \(|set statistics|cluster on|replica identity",
        lambda table, match: adding(f"tunes `{table}`"),
    ),
    (
        r"owner to |enable |disable |force |no force |set schema |attach |inherit ",
        lambda table, match: altering(f"alters `{table}`"),
    ),
]


def _create_table(match: re.Match[str], made: set[str]) -> Change:
    if "if not exists" not in match[0].lower():  # that one may be older
        made.add(_plain(match[1]))
    return adding(f"creates table `{_plain(match[1])}`")


def _unique_index(match: re.Match[str], made: set[str]) -> Change:
    table = _plain(match[1])
    change = f"creates a unique index on `{table}`"
    return adding(change) if table in made else breaking(change)


def _update(match: re.Match[str], made: set[str]) -> Change:
    """Filling columns that this migration has added overwrites nothing."""
    table, rest = _plain(match[1]), match[2]
    targets = [re.match(rf"{NAME} ?=", part) for part in cut(rest, "comma")]
    if table in made or all(target and f"{table}.{_plain(target[1])}" in made for target in targets):
        return adding(f"fills `{table}`")
    return overwriting(f"overwrites rows of `{table}`")


def _delete(match: re.Match[str], made: set[str]) -> Change:
    table = _plain(match[1])
    return adding(f"empties `{table}`") if table in made else overwriting(f"deletes rows of `{table}`")


def _insert(match: re.Match[str], made: set[str]) -> Change:
    table = _plain(match[1])
    if re.search(r"on conflict .*do update", match[0], re.I) and table not in made:
        return overwriting(f"overwrites rows of `{table}`")
    return adding(f"inserts rows into `{table}`")


Statement = Callable[[re.Match[str], set[str]], Change]
THINGS = r"schema|sequence|type|domain|extension|view|function|procedure|trigger|policy|role|collation|aggregate|cast"
STATEMENTS: list[tuple[str, Statement]] = [
    (rf"create (?:(?:temp|temporary|unlogged|foreign) )*table {EXISTS}{NAME}", _create_table),
    (rf"create unique index .*?\bon (?:only )?{NAME}", _unique_index),
    (r"create index ", lambda match, made: adding("creates an index")),
    (r"create or replace (?:recursive )?(\w+)", lambda match, made: altering(f"replaces a {match[1].lower()}")),
    (r"create (?:constraint )?trigger ", lambda match, made: altering("creates a trigger")),
    (rf"create (?:recursive |materialized )*({THINGS})\b", lambda match, made: adding(f"creates a {match[1].lower()}")),
    (rf"alter type {NAME} add value", lambda match, made: adding(f"adds a value to type `{match[1]}`")),
    (r"alter index ", lambda match, made: altering("alters an index")),
    (rf"alter (\w+) {NAME}", lambda match, made: breaking(f"alters {match[1].lower()} `{match[2]}`")),
    (rf"drop table {EXISTS}{NAME}", lambda match, made: losing(f"drops table `{_plain(match[1])}`")),
    (rf"drop (schema|database|sequence|extension) {EXISTS}{NAME}", lambda match, made: losing(f"drops {match[0][5:]}")),
    (r"drop (index|trigger|policy) ", lambda match, made: altering(f"drops a {match[1].lower()}")),
    (r"drop (?:materialized )?(\w+) ", lambda match, made: breaking(f"drops a {match[1].lower()}")),
    (rf"truncate (?:table )?(?:only )?{NAME}", lambda match, made: overwriting(f"empties `{_plain(match[1])}`")),
    (rf"update (?:only )?{NAME}\s*\*?(?: (?:as )?(?!set\b)\w+)? set (.+)", _update),  # noqa: S608 - a pattern
    (rf"delete from (?:only )?{NAME}", _delete),  # noqa: S608 - a pattern
    (rf"insert into {NAME}.*", _insert),
    (rf"merge into (?:only )?{NAME}", lambda match, made: overwriting(f"overwrites rows of `{_plain(match[1])}`")),
    (r"revoke ", lambda match, made: breaking("revokes rights")),
    (
        r"(?:set|reset|show|analyze|vacuum|comment|grant|select|begin|commit|start|savepoint|release|lock|reindex|refresh)"
        r"\b(?!.*\binto\b)",
        lambda match, made: adding("changes no schema"),
    ),
]
