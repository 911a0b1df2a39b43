"""Alembic's operations: what each of them does to the schema, by its arguments as they are written."""

import ast
from collections.abc import Callable

from cicd.core.schema_changes import (
    Change,
    adding,
    altering,
    breaking,
    losing,
    new_column,
    of_type,
    unreadable,
)

UNKNOWN = "?"  # an argument that is not written out, but computed


def attribute_of(call: ast.Call) -> str:
    """`c` of `a.b.c(…)`."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def unknown_call(call: ast.AST) -> Change:
    """What a call, or another use of an operation, may do that cannot be read."""
    return unreadable(f"`{ast.unparse(call)[:60]}` (line {getattr(call, 'lineno', '?')})")


def word_of(call: ast.Call, index: int, name: str) -> str:
    """A text argument by place or name; UNKNOWN for one that is not written out."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    value = given.get(name) or (call.args[index] if index < len(call.args) else None)
    if isinstance(value, ast.Call) and attribute_of(value) == "f" and value.args:
        value = value.args[0]
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else UNKNOWN


class Operation:
    """A call of an operation: its arguments by Alembic's names.

    Attributes:
        made: tables and columns that the migration has made itself; nothing depends on them yet.
    """

    def __init__(self, call: ast.Call, table: str, made: set[str]) -> None:
        self.call, self.batch, self.made = call, table, made
        self.keywords = {keyword.arg: keyword.value for keyword in call.keywords}

    def word(self, index: int, name: str) -> str:
        return word_of(self.call, index, name)

    def table(self, index: int = 0, name: str = "table_name") -> str:
        """The table that it is about: of the batch, or an argument."""
        return self.batch or self.word(index, name)

    def column(self) -> str:
        return f"{self.table()}.{self.word(0 if self.batch else 1, 'column_name')}"

    def says(self, name: str, value: object) -> bool:
        given = self.keywords.get(name)
        return isinstance(given, ast.Constant) and given.value is value

    def own(self, change: Change, *names: str) -> Change:
        """What happens to a thing that the migration itself has made harms nobody."""
        return adding(change.what) if self.made & (set(names) - {UNKNOWN}) else change


def _add_column(operation: Operation) -> list[Change]:
    arguments = [value for value in operation.call.args if isinstance(value, ast.Call)]
    given = operation.keywords.get("column")
    column = given if isinstance(given, ast.Call) else (arguments[0] if arguments else None)
    if column is None:
        return [unknown_call(operation.call)]
    table, name = operation.table(), word_of(column, 0, "name")
    parts = {attribute_of(one) or getattr(one.func, "id", "") for one in column.args if isinstance(one, ast.Call)}
    about = Operation(column, "", set())
    fills = not {"server_default", "default_"}.isdisjoint(about.keywords) or parts & {"Identity", "Computed"}
    required = about.says("nullable", False) or about.says("primary_key", True)
    change = operation.own(new_column(f"{table}.{name}", required=bool(required and not fills)), table)
    if UNKNOWN not in (table, name):
        operation.made.add(f"{table}.{name}")
    return [change]


def _create_table(operation: Operation) -> list[Change]:
    operation.made.update({operation.word(0, "table_name")} - {UNKNOWN})
    return [adding(f"creates table `{operation.word(0, 'table_name')}`")]


def _alter_column(operation: Operation) -> list[Change]:
    column, given = operation.column(), operation.keywords
    found = []
    if "new_column_name" in given or "name" in given:
        found.append(breaking(f"renames column `{column}`"))
    if "type_" in given:
        found.append(of_type(column, ast.unparse(given["type_"])))
    if "nullable" in given:
        loosens = operation.says("nullable", True)
        found.append(adding(f"allows NULL in `{column}`") if loosens else breaking(f"makes `{column}` NOT NULL"))
    if "server_default" in given:
        drops = operation.says("server_default", None)
        found.append(breaking(f"drops the default of `{column}`") if drops else adding(f"defaults `{column}`"))
    return [operation.own(change, column, operation.table()) for change in found]


def _create_index(operation: Operation) -> list[Change]:
    table = operation.table(1)
    unique = operation.says("unique", True)
    change = breaking(f"creates a unique index on `{table}`") if unique else adding(f"creates an index on `{table}`")
    return [operation.own(change, table)]


def _constrain(index: int, name: str) -> Callable[[Operation], list[Change]]:
    def read(operation: Operation) -> list[Change]:
        table = operation.table(index, name)
        return [operation.own(breaking(f"adds a constraint to `{table}`"), table)]

    return read


Reader = Callable[[Operation], list[Change]]
OPERATIONS: dict[str, Reader] = {
    "add_column": _add_column,
    "create_table": _create_table,
    "create_index": _create_index,
    "bulk_insert": lambda operation: [adding("inserts rows")],
    "drop_column": lambda operation: [losing(f"drops column `{operation.column()}`")],
    "drop_table": lambda operation: [losing(f"drops table `{operation.word(0, 'table_name')}`")],
    "drop_index": lambda operation: [altering(f"drops index `{operation.word(0, 'index_name')}`")],
    "drop_constraint": lambda operation: [altering(f"drops constraint `{operation.word(0, 'constraint_name')}`")],
    "rename_table": lambda operation: [breaking(f"renames table `{operation.word(0, 'old_table_name')}`")],
    "alter_column": _alter_column,
    "create_unique_constraint": _constrain(1, "table_name"),
    "create_check_constraint": _constrain(1, "table_name"),
    "create_exclude_constraint": _constrain(1, "table_name"),
    "create_primary_key": _constrain(1, "table_name"),
    "create_foreign_key": _constrain(1, "source_table"),
}
