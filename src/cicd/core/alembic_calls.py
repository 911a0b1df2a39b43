"""What the functions of a migration call, read without running them.

Whatever is not known to be harmless may do anything: an operation under another name, a helper of another module, SQL
that is put together. So it is said that it cannot be read, with file and line, and counts as a break and a loss.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cicd.core.alembic_names import BUILDS, EXECUTES, REACHING, Names, is_inner, is_type, last_of, name_of, root_of
from cicd.core.alembic_operations import NEUTRAL, OPERATIONS, Operation, attribute_of
from cicd.core.alembic_statements import executed
from cicd.core.schema_changes import Change, unreadable

BRANCHES = (ast.If, ast.For, ast.While, ast.Try, ast.IfExp, ast.Match, ast.Lambda, ast.FunctionDef, ast.comprehension)
# Python that hides what it does: a name of all functions, a function that begins without running.
HIDES = (ast.Global, ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFunctionDef)


@dataclass
class Scope:
    """Where in the source something stands.

    Attributes:
        names: what they mean here.
        tables: names that operations are called on → the table that they are about; empty for `op` itself.
        made: what the migration has made for certain; in a branch nothing is.
        seen: functions that it is in.
        arguments: whether it is among the arguments of an operation, where types are named.
        building: whether it is a statement that is read as a whole.
    """

    names: Names
    tables: dict[str, str]
    made: set[str]
    seen: frozenset[str] = frozenset()
    arguments: bool = False
    building: bool = False


class Source:
    """One migration's Python. `path`: of its file, for people."""

    def __init__(self, tree: ast.Module, path: str) -> None:
        self._path, self._names = path, Names()
        self._functions: dict[str, ast.FunctionDef] = {}
        self._texts: dict[str, ast.Constant] = {}
        self._bound: dict[str, ast.stmt] = {}
        for node in tree.body:
            self._take(node)
        self._around = [change for node in tree.body for change in self._outside(node)]

    def has(self, name: str) -> bool:
        """Whether anything is called so."""
        return name in self._bound

    def changes(self, name: str) -> list[Change]:
        """What a function does, those of the same file that it calls, and what surrounds it."""
        if name not in self._functions:
            bound, lacks = self._bound.get(name), unreadable(f"an `{name}()` that is not in it", f"{self._path}:1")
            return [self._unknown(bound)] if bound else [lacks] if name == "upgrade" else []
        return [*(self._around if name == "upgrade" else []), *self._of(name, frozenset())]

    def may_have(self, name: str) -> bool:
        """Whether anything is called so, or another module may bring it."""
        return self.has(name) or self.has("*")

    def gives_up(self, name: str) -> bool:
        """Whether a function only raises an error, whatever it does before."""
        body = self._functions[name].body if name in self._functions else []
        return any(isinstance(node, ast.Raise) for node in body)

    def _unknown(self, node: ast.AST, what: str = "") -> Change:
        line = getattr(node, "lineno", 1)
        return unreadable(what or f"`{ast.unparse(node).splitlines()[0][:60]}`", f"{self._path}:{line}")

    def _take(self, node: ast.stmt) -> None:
        """Remember what a statement outside of all functions gives a meaning."""
        names, known = set(_bound_by(node)), self._names.ops | self._names.roots
        twice = names & self._bound.keys() if not isinstance(node, ast.FunctionDef) else set()
        for name in names:
            again = name in self._bound
            self._bound[name] = node
            self._functions.pop(name, None)
            self._texts.pop(name, None)
            self._names.forget({name})
            self._names.other.add(name)
            value = getattr(node, "value", None)
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Constant) and not again:
                self._texts[name] = value
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            self._functions[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._names.take(node)
        # What has two meanings has none that is certain; of functions the last one counts, as in Python.
        uncertain = twice - (known & (self._names.ops | self._names.roots))
        self._names.forget(uncertain)
        self._names.foreign |= uncertain

    def _outside(self, node: ast.stmt) -> Iterator[Change]:
        """What a statement outside of all functions does by itself."""
        scope = Scope(self._names, dict.fromkeys(self._names.ops, ""), set())
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            for part in (*node.args.defaults, *node.args.kw_defaults, *_annotations(node)):
                yield from self._walk(part, scope) if part is not None else ()
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (self._unknown(node) for one in node.names if one.name == "*")
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.ClassDef):
            targets = node.targets if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if any(isinstance(one, ast.Attribute | ast.Subscript) for one in _listed(targets)):
                yield self._unknown(node)
            yield from self._walk(node, scope)
        elif not self._is_idle(node):
            yield self._unknown(node)

    def _is_idle(self, node: ast.stmt) -> bool:
        if isinstance(node, ast.If):  # what only type checkers read
            return name_of(node.test) == "TYPE_CHECKING" and "TYPE_CHECKING" in self._names.roots and not node.orelse
        return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))

    def _of(self, name: str, seen: frozenset[str]) -> Iterator[Change]:
        if name in seen:
            return
        function = self._functions[name]
        names = self._names.within(function)
        scope = Scope(names, dict.fromkeys(names.ops, ""), set(), seen | {name})
        for statement in _reached(function.body) if name == "downgrade" else function.body:
            yield from self._walk(statement, scope)

    def _walk(self, node: ast.AST, scope: Scope) -> Iterator[Change]:
        """What is done below a node, in the order of the source."""
        if isinstance(node, ast.Call):
            yield from self._call(node, scope)
        elif isinstance(node, ast.Name):
            yield from self._named(node, scope)
        elif isinstance(node, ast.With):
            yield from self._with(node, scope)
        elif isinstance(node, HIDES):
            yield self._unknown(node)
        else:
            if isinstance(node, ast.Attribute):
                yield from self._attribute(node, scope)
            inner = replace(scope, made=set()) if isinstance(node, BRANCHES) else scope
            for child in ast.iter_child_nodes(node):
                yield from self._walk(child, inner)

    def _named(self, node: ast.Name, scope: Scope) -> Iterator[Change]:
        """A name that is not called: what has it may do with it what it likes."""
        if node.id in scope.tables:
            yield self._unknown(node, f"`{node.id}` handed on")
        elif node.id in scope.names.foreign | scope.names.context:
            if not (scope.arguments and is_type(node)):
                yield self._unknown(node)
        elif self._follows(node.id, scope):
            yield from self._of(node.id, scope.seen)

    def _follows(self, name: str, scope: Scope) -> bool:
        return name in self._functions and name not in scope.names.local

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Iterator[Change]:
        """An attribute that is not called."""
        stored = not isinstance(node.ctx, ast.Load) and root_of(node) in scope.names.roots
        if stored or node.attr in REACHING or is_inner(node.attr):
            yield self._unknown(node)

    def _with(self, node: ast.With, scope: Scope) -> Iterator[Change]:
        for item in node.items:
            call, name = item.context_expr, name_of(item.optional_vars) if item.optional_vars else ""
            yield from self._walk(call, scope)
            if isinstance(call, ast.Call) and attribute_of(call) == "batch_alter_table" and self._operates(call, scope):
                scope.tables.update({name: Operation(call, "", set()).table()} if name else {})
            elif name in scope.tables:
                yield self._unknown(node)
        for statement in node.body:
            yield from self._walk(statement, scope)

    def _operates(self, call: ast.Call, scope: Scope) -> bool:
        return isinstance(call.func, ast.Attribute) and name_of(call.func.value) in scope.tables

    def _call(self, call: ast.Call, scope: Scope) -> Iterator[Change]:
        function, operates, runs = call.func, self._operates(call, scope), attribute_of(call) in EXECUTES
        type_ = scope.arguments and is_type(function)
        done = executed(call, scope.names, self._texts, scope.made, self._path) if runs else []
        yield from self._owner(call, scope, passed_over=operates or type_)
        types = operates or (
            is_type(function) and root_of(function) in scope.names.roots and last_of(function).upper() == "ENUM"
        )
        inner = replace(scope, arguments=scope.arguments or types, building=scope.building or bool(done))
        for argument in (*call.args, *call.keywords):
            yield from self._walk(argument, inner)
        if isinstance(function, ast.Name) and self._follows(function.id, scope):
            yield from self._of(function.id, scope.seen)
        elif runs:
            yield from done or [self._unknown(call)]
        elif operates:
            yield from self._operation(call, scope)
        elif _is_by_database(call):
            yield from self._by_database(call, scope)
        elif not (type_ or scope.names.harmless(function) or (scope.building and attribute_of(call) in BUILDS)):
            yield self._unknown(call)

    def _owner(self, call: ast.Call, scope: Scope, *, passed_over: bool) -> Iterator[Change]:
        """What is done to get at what is called."""
        function = call.func
        told = isinstance(function, ast.Attribute) and name_of(function.value) in scope.names.context
        if passed_over or told or isinstance(function, ast.Name) or _is_by_database(call):
            return
        yield from self._walk(function.value if isinstance(function, ast.Attribute) else function, scope)

    def _operation(self, call: ast.Call, scope: Scope) -> list[Change]:
        name = attribute_of(call)
        operation = Operation(call, scope.tables[root_of(call.func)], scope.made)
        if name in NEUTRAL:
            return []
        found = OPERATIONS[name](operation) if name in OPERATIONS and operation.written_out(name) else None
        return [self._unknown(call)] if found is None else found

    def _by_database(self, call: ast.Call, scope: Scope) -> list[Change]:
        """Alembic's template `multidb`: one function for each database."""
        begin = _format_of(call).partition("%s")[0]
        names = [name for name in self._functions if begin and name.startswith(begin)]
        return [change for name in names for change in self._of(name, scope.seen)] or [self._unknown(call)]


def _is_by_database(call: ast.Call) -> bool:
    """`globals()["upgrade_%s" % engine_name]()`."""
    return _format_of(call) in ("upgrade_%s", "downgrade_%s") and not call.args and not call.keywords


def _format_of(call: ast.Call) -> str:
    if not isinstance(call.func, ast.Subscript) or not isinstance(call.func.slice, ast.BinOp):
        return ""
    within, text = call.func.value, call.func.slice.left
    is_globals = isinstance(within, ast.Call) and name_of(within.func) == "globals"
    return text.value if is_globals and isinstance(text, ast.Constant) and isinstance(text.value, str) else ""


def _bound_by(node: ast.stmt) -> Iterator[str]:
    """Names that a statement gives a meaning."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    for child in ast.walk(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield from (one.asname or one.name.partition(".")[0] for one in child.names)
        elif isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load):
            yield child.id
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield child.name


def _annotations(function: ast.FunctionDef) -> Iterator[ast.expr]:
    arguments = function.args
    for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if one and one.annotation:
            yield one.annotation
    if function.returns:
        yield function.returns


def _listed(targets: object) -> list[object]:
    return targets if isinstance(targets, list) else [targets]


def _reached(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements up to the one that leaves the function."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.Return | ast.Raise):
            return
