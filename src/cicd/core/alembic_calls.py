"""What the functions of a migration call, read without running them.

Whatever is not known to be harmless may do anything: an operation under another name, a helper of another module, SQL
that is put together. So it is said that it cannot be read, and counts as a loss.
"""

import ast
import builtins
from collections.abc import Iterator, Mapping

from cicd.core.alembic_operations import OPERATIONS, Operation, attribute_of, unknown_call, word_of
from cicd.core.schema_changes import Change, unreadable
from cicd.core.sql_source import read_sql

# Operations that change nothing by themselves.
NEUTRAL = {"f", "get_bind", "get_context", "batch_alter_table", "inline_literal", "create_table_comment"}
NEUTRAL |= {"drop_table_comment"}
EXECUTES = {"execute", "exec_driver_sql", "scalar", "scalars"}
TEXTS = {"text", "DDL"}  # of SQLAlchemy: SQL as it is
# Packages of which nothing touches a database by being called; what a session or connection does goes by its methods.
HARMLESS = {
    "sqlalchemy",
    "sqlmodel",
    "geoalchemy2",
    "pgvector",
    "sqlalchemy_utils",
    "datetime",
    "uuid",
    "json",
    "decimal",
}
HARMLESS |= {"enum", "typing", "collections", "itertools", "functools", "re", "math", "textwrap", "logging", "warnings"}
HARMLESS |= {"secrets", "hashlib", "string", "time", "random"}
REACHES = {
    "getattr",
    "setattr",
    "delattr",
    "exec",
    "eval",
    "compile",
    "globals",
    "locals",
    "vars",
    "open",
    "__import__",
}
COMPUTES = {name for name in dir(builtins) if name not in REACHES}
# Methods that read, build or print, whatever they are called on.
METHODS = set(
    """all and_ alias append asc as_scalar autocommit_block begin begin_nested bindparams cast close columns commit copy
    count create create_all debug decode desc dict distinct encode endswith extend fetchall fetchmany fetchone filter
    filter_by first flush format get get_columns get_foreign_keys get_indexes get_pk_constraint get_schema_names
    get_table_names get_unique_constraints group_by has_table having hex in_ info insert_values is_ is_not isnot
    isoformat items join keys label like limit lower lstrip mappings name not_in notin_ now offset one one_or_none
    options or_ order_by partition query replace returning rowcount rstrip scalar_one scalar_one_or_none scalar_subquery
    select select_from sort split splitlines startswith strftime strip subquery title tuples union union_all unique
    upper utcnow values warning where with_only_columns with_variant yield_per zfill""".split()  # noqa: SIM905
)
BRANCHES = (ast.If, ast.For, ast.While, ast.Try, ast.IfExp, ast.Match, ast.Lambda, ast.FunctionDef, ast.comprehension)


class Source:
    """One migration's Python."""

    def __init__(self, tree: ast.Module) -> None:
        self._functions: dict[str, ast.FunctionDef] = {}
        self._op, self._roots = "", set[str]()
        self._bound: dict[str, ast.stmt] = {}
        self._around = [change for node in tree.body for change in self._take(node)]

    def has(self, name: str) -> bool:
        """Whether anything is called so."""
        return name in self._bound

    def changes(self, name: str) -> list[Change]:
        """What a function does, those of the same file that it calls, and what surrounds it."""
        if name not in self._bound:
            return []
        if name not in self._functions:
            return [unknown_call(self._bound[name])]
        return [*(self._around if name == "upgrade" else []), *self._of(name, frozenset())]

    def _take(self, node: ast.stmt) -> Iterator[Change]:
        """Remember what a statement outside of all functions binds; gives what it may do by itself."""
        names = list(_bound_by(node))
        for name in names:
            self._bound[name] = node
            self._functions.pop(name, None)
            self._roots.discard(name)
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            self._functions[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from self._import(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and self._op not in names:
            yield from self._calls(node.value, {}, set(), frozenset())
        elif not _is_idle(node):
            yield unknown_call(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> Iterator[Change]:
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        for one in node.names:
            bound = one.asname or one.name.partition(".")[0]
            if one.name == "*":
                yield unreadable(f"`from {module} import *` (line {node.lineno})")
            elif (module, one.name) == ("alembic", "op"):
                self._op = bound
            elif (module or one.name).partition(".")[0] in HARMLESS:
                self._roots.add(bound)
            elif bound == self._op:
                self._op = ""

    def _of(self, name: str, seen: frozenset[str]) -> list[Change]:
        function = self._functions[name]
        tables = {**({self._op: ""} if self._op else {}), **_batches(function)}
        found = list(_escapes(function, tables))
        made = set[str]()
        for statement in function.body:
            found += self._calls(statement, tables, made, seen | {name})
        return found

    def _calls(
        self, node: ast.AST, tables: Mapping[str, str], made: set[str], seen: frozenset[str], *, within: bool = False
    ) -> Iterator[Change]:
        """What the calls below a node do, in the order of the source.

        Args:
            made: what the migration has made for certain; in a branch nothing is.
            within: whether these are arguments of an operation, where others than operations only build.
        """
        if isinstance(node, BRANCHES):
            made = set()
        if not isinstance(node, ast.Call):
            for child in ast.iter_child_nodes(node):
                yield from self._calls(child, tables, made, seen, within=within)
            return
        operates = isinstance(node.func, ast.Attribute) and _name(node.func.value) in tables
        for child in ast.iter_child_nodes(node):
            yield from self._calls(child, tables, made, seen, within=within or operates)
        if isinstance(node.func, ast.Name) and node.func.id in self._functions:
            yield from self._of(node.func.id, seen) if node.func.id not in seen else ()
        elif attribute_of(node) in EXECUTES:
            yield from _sql(node, made)
        elif operates:
            yield from _operation(node, tables, made)
        elif not within and not self._harmless(node.func):
            yield unknown_call(node)

    def _harmless(self, function: ast.expr) -> bool:
        if isinstance(function, ast.Name):
            return function.id in self._roots or (function.id in COMPUTES and function.id not in self._bound)
        if isinstance(function, ast.Attribute):
            return _root(function) in self._roots or function.attr in METHODS
        return False


def _bound_by(node: ast.stmt) -> Iterator[str]:
    """Names that a statement gives a meaning."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (one.asname or one.name.partition(".")[0] for one in node.names)
        return
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load):
            yield child.id


def _is_idle(node: ast.stmt) -> bool:
    """Whether a statement outside of all functions does nothing by itself."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return _name(node.test) == "TYPE_CHECKING" and not node.orelse
    return isinstance(node, ast.AnnAssign | ast.ClassDef | ast.Pass)


def _batches(function: ast.FunctionDef) -> dict[str, str]:
    """Names that a batch of operations has → the table that it is about."""
    found = {}
    for node in ast.walk(function):
        for item in node.items if isinstance(node, ast.With) else []:
            call, name = item.context_expr, item.optional_vars
            if isinstance(call, ast.Call) and isinstance(name, ast.Name) and attribute_of(call) == "batch_alter_table":
                found[name.id] = word_of(call, 0, "table_name")
    return found


def _escapes(function: ast.FunctionDef, tables: Mapping[str, str]) -> Iterator[Change]:
    """Uses of what operations are called on that are no call of one: from there on they have another name."""
    called = {
        id(node.func.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    given = {id(item.optional_vars) for node in ast.walk(function) if isinstance(node, ast.With) for item in node.items}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in tables and id(node) not in called | given:
            yield unreadable(f"`{node.id}` handed on (line {node.lineno})")


def _operation(call: ast.Call, tables: Mapping[str, str], made: set[str]) -> list[Change]:
    name = attribute_of(call)
    if name in NEUTRAL:
        return []
    owner = _name(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    return OPERATIONS[name](Operation(call, tables[owner], made)) if name in OPERATIONS else [unknown_call(call)]


def _sql(call: ast.Call, made: set[str]) -> list[Change]:
    argument = call.args[0] if call.args else None
    if isinstance(argument, ast.Call) and argument.args and (attribute_of(argument) or _name(argument.func)) in TEXTS:
        argument = argument.args[0]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return read_sql(argument.value, made)
    return [unknown_call(call)]


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _root(node: ast.expr) -> str:
    """`a` of `a.b.c`; empty where anything else than names stands in it."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return _name(node)
