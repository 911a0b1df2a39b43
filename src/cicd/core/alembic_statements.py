"""SQL that a migration gives to a database: written out, or built with SQLAlchemy."""

import ast
from collections.abc import Callable, Mapping
from typing import cast

from cicd.core.alembic_names import BUILDS, METHODS, Names, last_of
from cicd.core.alembic_operations import attribute_of
from cicd.core.schema_changes import IDLE, Change, adding, overwriting
from cicd.core.sql_functions import KNOWN
from cicd.core.sql_source import read_sql

TEXTS = {"text", "DDL"}  # of SQLAlchemy: SQL as it is
# What statements are built of, besides types and PostgreSQL's own functions.
PARTS = (
    METHODS
    | BUILDS
    | set(
        """bindparam case column exists from_select literal null on_conflict_do_nothing on_conflict_do_update
    table true tuple_ type_coerce""".split()  # noqa: SIM905
    )
)
BUILT = {
    "select": IDLE,
    "insert": adding("inserts rows"),
    "update": overwriting("overwrites rows"),
    "delete": overwriting("deletes rows"),
}


def executed(
    call: ast.Call, names: Names, texts: Mapping[str, ast.Constant], made: set[str], path: str
) -> list[Change]:
    """What a call of `execute` and the like does; empty if that cannot be read.

    Args:
        texts: constants of the module.
        made: tables and columns that the migration has made itself.
    """
    if not call.args and not call.keywords and attribute_of(call) in ("scalar", "scalars"):
        return [IDLE]  # of a result, not of a connection
    argument = call.args[0] if call.args else None
    is_text = isinstance(argument, ast.Call) and names.harmless(argument.func) and last_of(argument.func) in TEXTS
    if isinstance(argument, ast.Call) and is_text:
        argument = argument.args[0] if argument.args else None
    if isinstance(argument, ast.Name) and argument.id in texts and argument.id not in names.local | names.foreign:
        argument = texts[argument.id]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return read_sql(argument.value, made, _lines(argument, path)) or [IDLE]
    return _built(argument, names) if isinstance(argument, ast.Call) else []


def _lines(text: ast.Constant, path: str) -> Callable[[int], str]:
    """Says file and line of a line of the text: its own where it is written over several, else where it begins."""
    written = (text.end_lineno or text.lineno) - text.lineno == str(text.value).count("\n")
    return lambda line: f"{path}:{text.lineno + line - 1 if written else text.lineno}"


def _built(statement: ast.Call, names: Names) -> list[Change]:
    """A statement that is built, such as `users.update().where(…)`; empty if it holds what cannot be read."""
    words = {last_of(node.func) for node in ast.walk(statement) if isinstance(node, ast.Call)}
    if words & TEXTS or any(word not in PARTS | KNOWN and not word[:1].isupper() for word in words):
        return []
    verb, inner = "", cast(ast.expr, statement)
    while isinstance(inner, ast.Call):
        verb = last_of(inner.func)
        if isinstance(inner.func, ast.Name) and inner.func.id not in names.roots:
            return []  # a function of the migration's own, whatever it gives
        inner = inner.func.value if isinstance(inner.func, ast.Attribute) else inner.func
    if verb == "insert" and "on_conflict_do_update" in words:
        return [BUILT["update"]]
    return [BUILT[verb]] if verb in BUILT else []
