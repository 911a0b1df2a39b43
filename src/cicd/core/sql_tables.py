"""What ALTER TABLE does, action by action, and names of tables."""

import re
from collections.abc import Callable

from cicd.core.schema_changes import Change, adding, altering, breaking, losing, new_column, of_type
from cicd.core.sql_tokens import unveiled

NAME = r'((?:"[^"]+"|\w[\w$]*)(?:\.(?:"[^"]+"|\w[\w$]*))*)'
EXISTS = r"(?:if (?:not )?exists )?"
PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


def key(name: str) -> str:
    """A name by which `made` knows a table or column: `"a"` is `a`, `public.a` too, and `"A"` is neither."""
    parts = [_bare(part) for part in name.split(".")]
    return ".".join(parts[1:] if len(parts) == 2 and parts[0] == "public" else parts)


def _bare(part: str) -> str:
    quoted = part.startswith('"')
    return unveiled(part[1:-1]) if quoted and PLAIN.fullmatch(unveiled(part[1:-1])) else part


def forget(table: str, made: set[str]) -> None:
    """From here on this name may be another table."""
    made -= {one for one in made if one == table or one.startswith(f"{table}.")}


def alter(table: str, action: str, made: set[str]) -> Change | None:
    """What one action does; None if it is not known."""
    for pattern, read in ACTIONS:
        match = re.match(pattern, action)
        if match is None:
            continue
        change = read(table, match)
        column = f"{table}.{key(match['name'])}" if "name" in match.re.groupindex else ""
        own = table in made or column in made
        if pattern in RENAMES:
            _moved(table, match, made)
        elif read is _add_column and not match["exists"]:  # with IF NOT EXISTS it may be older
            made.add(column)
        return adding(change.what) if own else change
    return None


def _moved(table: str, match: re.Match[str], made: set[str]) -> None:
    schema = table.rpartition(".")[0]
    for name in (table, key(f"{schema}.{match['to']}" if schema else match["to"])):
        forget(name, made)


def _add_column(table: str, match: re.Match[str]) -> Change:
    definition = match["rest"]
    fills = re.search(r"\bdefault\b(?! null\b)|\bgenerated\b|\b(?:big|small)?serial[248]?\b", definition)
    required = re.search(r"\bnot null\b|\bprimary key\b", definition)
    return new_column(f"{table}.{key(match['name'])}", required=bool(required and not fills))


def _type(table: str, match: re.Match[str]) -> Change:
    return of_type(f"{table}.{key(match['name'])}", re.split(r"\s+using\s+", match["rest"])[0])


NAMED = NAME.replace("(", "(?P<name>", 1)
TO = NAME.replace("(", "(?P<to>", 1)
RENAME, MOVE = rf"rename to {TO}", rf"set schema {TO}"
RENAMES = {RENAME, MOVE}
Action = Callable[[str, re.Match[str]], Change]
ACTIONS: list[tuple[str, Action]] = [
    (
        r"add (?:constraint|primary|unique|foreign|check|exclude)\b",
        lambda table, match: breaking(f"adds a constraint to `{table}`"),
    ),
    (rf"add (?:column )?(?P<exists>{EXISTS}){NAMED} (?P<rest>.+)", _add_column),
    (r"drop constraint ", lambda table, match: altering(f"drops a constraint of `{table}`")),
    (
        rf"drop (?:column )?{EXISTS}{NAMED}",
        lambda table, match: losing(f"drops column `{table}.{key(match['name'])}`"),
    ),
    (r"rename constraint ", lambda table, match: altering(f"renames a constraint of `{table}`")),
    (RENAME, lambda table, match: breaking(f"renames table `{table}` to {match['to']}")),
    (
        rf"rename (?:column )?{NAMED} to {TO}",
        lambda table, match: breaking(f"renames column `{table}.{key(match['name'])}` to {match['to']}"),
    ),
    (rf"alter (?:column )?{NAMED} (?:set data )?type (?P<rest>.+)", _type),
    (
        rf"alter (?:column )?{NAMED} set not null",
        lambda table, match: breaking(f"makes `{table}.{key(match['name'])}` NOT NULL"),
    ),
    (
        rf"alter (?:column )?{NAMED} (?:drop default|set default null$)",
        lambda table, match: breaking(f"drops the default of `{table}.{key(match['name'])}`"),
    ),
    (
        rf"alter (?:column )?{NAMED} (?:drop not null|set default|set statistics|set storage|add generated)",
        lambda table, match: adding(f"allows more in `{table}.{key(match['name'])}`"),
    ),
    (
        r"validate constraint |set \(|reset \(|set statistics|cluster on|replica identity",
        lambda table, match: adding(f"tunes `{table}`"),
    ),
    (
        r"(?:enable|force) row level security",
        lambda table, match: breaking(f"hides rows of `{table}` by row level security"),
    ),
    (MOVE, lambda table, match: breaking(f"moves table `{table}` to schema {match['to']}")),
    (r"owner to |enable |disable |no force |attach |inherit ", lambda table, match: altering(f"alters `{table}`")),
]
