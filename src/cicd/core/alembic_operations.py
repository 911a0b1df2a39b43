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
)
from cicd.core.sql_functions import unknown_calls
from cicd.core.sql_tables import forget
from cicd.core.sql_tokens import Unended, statements

# Operations that change nothing by themselves.
NEUTRAL = {"f", "get_bind", "get_context", "batch_alter_table", "inline_literal", "create_table_comment"}
NEUTRAL |= {"drop_table_comment"}
LISTS = {"create_table", "bulk_insert"}  # may take columns or rows from a list
UNKNOWN = "?"  # an argument that is not written out, but computed


def attribute_of(call: ast.Call) -> str:
    """`c` of `a.b.c(…)`."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


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

    def written_out(self, name: str) -> bool:
        """Whether all arguments are, not handed on in a list or a dictionary."""
        lists = [one for one in self.call.args if isinstance(one, ast.Starred)]
        return None not in self.keywords and not (lists and (name not in LISTS or self.call.args[0] in lists))

    def table(self, index: int = 0, name: str = "table_name", schema: str = "schema") -> str:
        """The table that it is about: of the batch, or an argument; with its schema, if it is another."""
        if self.batch:
            return self.batch
        table, given = self.word(index, name), self.keywords.get(schema)
        if given is None or self.says(schema, None) or table == UNKNOWN:
            return table
        where = given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else UNKNOWN
        return {"public": table, UNKNOWN: UNKNOWN}.get(where, f"{where}.{table}")

    def column(self) -> str:
        return f"{self.table()}.{self.word(0 if self.batch else 1, 'column_name')}"

    def says(self, name: str, *values: object) -> bool:
        """Whether an argument is given, and is written out as one of these."""
        given = self.keywords.get(name)
        return isinstance(given, ast.Constant) and any(given.value is value for value in values)

    def may_be(self, name: str, usual: object) -> bool:
        """Whether an argument may be another than the usual one, which it is if it is not given."""
        return name in self.keywords and not self.says(name, usual)

    def own(self, change: Change, *names: str) -> Change:
        """What happens to a thing that the migration itself has made harms nobody."""
        return adding(change.what) if self.made & (set(names) - {UNKNOWN}) else change


def _add_column(operation: Operation) -> list[Change] | None:
    arguments = [value for value in operation.call.args if isinstance(value, ast.Call)]
    column = operation.keywords.get("column") or (arguments[0] if arguments else None)
    if not isinstance(column, ast.Call) or (attribute_of(column) or getattr(column.func, "id", "")) != "Column":
        return None
    about = Operation(column, "", set())
    if not about.written_out("Column") or _runs_unknown(about.keywords.get("server_default")):
        return None
    table, name = operation.table(), word_of(column, 0, "name")
    parts = {attribute_of(one) or getattr(one.func, "id", "") for one in column.args if isinstance(one, ast.Call)}
    fills = _is_default(about.keywords.get("server_default")) or parts & {"Identity", "Computed"}
    required = about.may_be("nullable", True) or about.may_be("primary_key", False)
    change = operation.own(new_column(f"{table}.{name}", required=bool(required and not fills)), table)
    if UNKNOWN not in (table, name) and not operation.may_be("if_not_exists", False):
        operation.made.add(f"{table}.{name}")
    return [change]


def _is_default(given: ast.expr | None) -> bool:
    """Whether rows get a value by it: a text, or what computes one."""
    if isinstance(given, ast.Constant):
        return given.value is not None and given.value is not False
    return isinstance(given, ast.Call)


def _runs_unknown(default: ast.expr | None) -> bool:
    """Whether a default, which every row gets, calls a function that is not known to only compute."""
    if not isinstance(default, ast.Call):
        return False
    name, text = attribute_of(default) or getattr(default.func, "id", ""), default.args[0] if default.args else None
    if name != "text":
        return False
    if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
        return True
    try:
        return any(unknown_calls(one) for one, _ in statements(f"select {text.value}"))
    except Unended:
        return True


def _create_table(operation: Operation) -> list[Change]:
    table = operation.table()
    if table != UNKNOWN and not operation.may_be("if_not_exists", False) and "prefixes" not in operation.keywords:
        operation.made.add(table)  # one that is there already stays; a temporary one hides another of its name
    return [adding(f"creates table `{table}`")]


def _rename_table(operation: Operation) -> list[Change]:
    table, new = operation.table(0, "old_table_name"), operation.word(1, "new_table_name")
    forget(table, operation.made)
    forget(f"{table.rpartition('.')[0]}.{new}".lstrip("."), operation.made)
    if UNKNOWN in (table, new):
        operation.made.clear()
    return [breaking(f"renames table `{table}`")]


def _drop_table(operation: Operation) -> list[Change]:
    forget(operation.table(), operation.made)
    return [losing(f"drops table `{operation.table()}`")]


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
    if operation.may_be("server_default", False):  # False: as it was
        fills = _is_default(given["server_default"])
        found.append(adding(f"defaults `{column}`") if fills else breaking(f"drops the default of `{column}`"))
    return [operation.own(change, column, operation.table()) for change in found]


def _create_index(operation: Operation) -> list[Change]:
    table = operation.table(1)
    unique = operation.may_be("unique", False)
    change = breaking(f"creates a unique index on `{table}`") if unique else adding(f"creates an index on `{table}`")
    return [operation.own(change, table)]


def _constrain(index: int, name: str) -> Callable[[Operation], list[Change]]:
    def read(operation: Operation) -> list[Change]:
        table = operation.table(index, name, "source_schema" if name == "source_table" else "schema")
        return [operation.own(breaking(f"adds a constraint to `{table}`"), table)]

    return read


Reader = Callable[[Operation], list[Change] | None]  # None: what it does cannot be read
OPERATIONS: dict[str, Reader] = {
    "add_column": _add_column,
    "create_table": _create_table,
    "create_index": _create_index,
    "bulk_insert": lambda operation: [adding("inserts rows")],
    "drop_column": lambda operation: [losing(f"drops column `{operation.column()}`")],
    "drop_table": _drop_table,
    "drop_index": lambda operation: [altering(f"drops index `{operation.word(0, 'index_name')}`")],
    "drop_constraint": lambda operation: [altering(f"drops constraint `{operation.word(0, 'constraint_name')}`")],
    "rename_table": _rename_table,
    "alter_column": _alter_column,
    "create_unique_constraint": _constrain(1, "table_name"),
    "create_check_constraint": _constrain(1, "table_name"),
    "create_exclude_constraint": _constrain(1, "table_name"),
    "create_primary_key": _constrain(1, "table_name"),
    "create_foreign_key": _constrain(1, "source_table"),
}
