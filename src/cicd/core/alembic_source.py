"""Alembic's migrations, read from their Python source, which is not run."""

import ast
import configparser
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping

from cicd.core.migrations import Files, Migration, in_order, judged
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
from cicd.core.sql_source import read_sql
from cicd.errors import ConfigError

# Operations that change nothing by themselves.
NEUTRAL = {"f", "get_bind", "get_context", "batch_alter_table", "inline_literal", "create_table_comment"}
NEUTRAL |= {"drop_table_comment"}
EXECUTES = {"execute", "exec_driver_sql", "scalar", "scalars"}


def script_folder(alembic_ini: str) -> str:
    """Where alembic.ini says the migrations are, relative to it; empty for beside it."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(alembic_ini)
    except configparser.Error as error:
        raise ConfigError(f"alembic.ini cannot be read: {error}", next_step="mend the file") from error
    location = parser.get("alembic", "script_location", fallback="migrations")
    folder = posixpath.normpath(re.sub(r"^%\(here\)s/?", "", location).strip("/"))
    return "" if folder == "." else folder


def read_migrations(files: Files) -> list[Migration]:
    """The migrations of a release, first to last.

    Raises:
        ConfigError: no alembic.ini or nothing where it points to, a migration that cannot be read, or several heads.
    """
    if "alembic.ini" not in files:
        raise ConfigError(
            "deploy.migrate is alembic, but the release has no alembic.ini",
            cause="it is not committed in the project's folder, or deploy.files leaves it out",
            next_step="commit alembic.ini; if deploy.files names anything, name it there too",
        )
    folder = script_folder(files["alembic.ini"])
    env, versions = posixpath.join(folder, "env.py"), posixpath.join(folder, "versions", "")
    found = {path: text for path, text in sorted(files.items()) if path.startswith(versions) and path.endswith(".py")}
    if env not in files and not found:
        raise ConfigError(
            f"alembic.ini says that the migrations are in `{folder or '.'}`, and the release has no {env}",
            cause="the folder is not committed, deploy.files leaves it out, or script_location is another",
            next_step="commit it, name it in deploy.files if that names anything, or mend script_location",
        )
    return in_order([migration for path, text in found.items() if (migration := read_migration(text, path))])


def read_migration(text: str, path: str) -> Migration | None:
    """One migration from its source; None for a Python file that is none."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ConfigError(f"{path}:{error.lineno}: this is not valid Python", next_step="mend the migration") from error
    values = dict(_assignments(tree))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if not isinstance(values.get("revision"), str):
        if "upgrade" not in functions:
            return None
        raise ConfigError(
            f'{path}: it has an upgrade(), but no `revision = "…"` that can be read without running it',
            next_step="assign `revision` and `down_revision` plain strings, each on its own line",
        )
    before = values.get("down_revision")
    if before is not None and not isinstance(before, str):
        raise ConfigError(f"{path}: merge migrations are not supported yet", next_step="keep one line of migrations")
    doc = (ast.get_docstring(tree) or "").strip().splitlines()
    up, down = changes("upgrade", functions), changes("downgrade", functions)
    title = doc[0] if doc else ""
    # A way down that does nothing is one only for a way up that does nothing.
    return judged(str(values["revision"]), before or "", title, up, down if down or not up else None, text, path)


def _assignments(tree: ast.Module) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            try:
                pairs.append((target.id, ast.literal_eval(node.value)))
            except ValueError:
                continue
    return pairs


def changes(name: str, functions: Mapping[str, ast.FunctionDef], seen: frozenset[str] = frozenset()) -> list[Change]:
    """What a function of the migration does, and those of the same file that it calls."""
    function = functions.get(name)
    if function is None or name in seen:
        return []
    tables, found, made = _batches(function), list[Change](), set[str]()
    for call in _calls(function):
        if isinstance(call.func, ast.Name) and call.func.id in functions:
            found += changes(call.func.id, functions, seen | {name})
        else:
            found += _read(call, tables, made)
    return found


def _calls(function: ast.FunctionDef) -> Iterator[ast.Call]:
    """The calls in the order of the source."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    yield from sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def _batches(function: ast.FunctionDef) -> dict[str, str]:
    """Names that operations are called on → the table that they are about; empty for `op` itself."""
    found = {"op": ""}
    for node in ast.walk(function):
        for item in node.items if isinstance(node, ast.With) else []:
            call, name = item.context_expr, item.optional_vars
            if isinstance(call, ast.Call) and isinstance(name, ast.Name) and _attribute(call) == "batch_alter_table":
                found[name.id] = _word(call, 0, "table_name")
    return found


def _attribute(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _read(call: ast.Call, tables: Mapping[str, str], made: set[str]) -> list[Change]:
    name, owner = _attribute(call), call.func.value if isinstance(call.func, ast.Attribute) else None
    if name in EXECUTES:
        return _sql(call, made)
    if isinstance(owner, ast.Name) and owner.id in tables:
        if name in NEUTRAL:
            return []
        return OPERATIONS[name](_Operation(call, tables[owner.id], made)) if name in OPERATIONS else [_unknown(call)]
    handed_on = [argument for argument in call.args if isinstance(argument, ast.Name) and argument.id in tables]
    return [_unknown(call)] if handed_on else []


def _sql(call: ast.Call, made: set[str]) -> list[Change]:
    argument = call.args[0] if call.args else None
    if isinstance(argument, ast.Call) and argument.args:  # sa.text("…")
        argument = argument.args[0]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return read_sql(argument.value, made)
    return [_unknown(call)]


def _unknown(call: ast.Call) -> Change:
    return unreadable(f"`{ast.unparse(call)[:60]}` (line {call.lineno})")


def _word(call: ast.Call, index: int, name: str) -> str:
    """A text argument by place or name; `?` for one that is not written out."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    value = given.get(name) or (call.args[index] if index < len(call.args) else None)
    if isinstance(value, ast.Call) and _attribute(value) == "f" and value.args:
        value = value.args[0]
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else "?"


class _Operation:
    """A call of an operation: its arguments by Alembic's names.

    Attributes:
        made: tables and columns that the migration has made itself; nothing depends on them yet.
    """

    def __init__(self, call: ast.Call, table: str, made: set[str]) -> None:
        self.call, self.batch, self.made = call, table, made
        self.keywords = {keyword.arg: keyword.value for keyword in call.keywords}

    def word(self, index: int, name: str) -> str:
        return _word(self.call, index, name)

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
        return adding(change.what) if self.made & set(names) else change


def _add_column(operation: _Operation) -> list[Change]:
    arguments = [value for value in operation.call.args if isinstance(value, ast.Call)]
    given = operation.keywords.get("column")
    column = given if isinstance(given, ast.Call) else (arguments[0] if arguments else None)
    if column is None:
        return [_unknown(operation.call)]
    table, name = operation.table(), _word(column, 0, "name")
    parts = {_attribute(one) or getattr(one.func, "id", "") for one in column.args if isinstance(one, ast.Call)}
    about = _Operation(column, "", set())
    fills = not {"server_default", "default_"}.isdisjoint(about.keywords) or parts & {"Identity", "Computed"}
    required = about.says("nullable", False) or about.says("primary_key", True)
    change = operation.own(new_column(f"{table}.{name}", required=bool(required and not fills)), table)
    operation.made.add(f"{table}.{name}")
    return [change]


def _create_table(operation: _Operation) -> list[Change]:
    operation.made.add(operation.word(0, "table_name"))
    return [adding(f"creates table `{operation.word(0, 'table_name')}`")]


def _alter_column(operation: _Operation) -> list[Change]:
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


def _create_index(operation: _Operation) -> list[Change]:
    table = operation.table(1)
    unique = operation.says("unique", True)
    change = breaking(f"creates a unique index on `{table}`") if unique else adding(f"creates an index on `{table}`")
    return [operation.own(change, table)]


def _constrain(index: int, name: str) -> Callable[[_Operation], list[Change]]:
    def read(operation: _Operation) -> list[Change]:
        table = operation.table(index, name)
        return [operation.own(breaking(f"adds a constraint to `{table}`"), table)]

    return read


Reader = Callable[[_Operation], list[Change]]
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
