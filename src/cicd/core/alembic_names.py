"""What names mean in a migration's Python: which are known, and which may be anything."""

import ast
from collections.abc import Iterator, Set
from dataclasses import dataclass, field

# Packages of which nothing touches a database by being called; what a session or connection does goes by its methods.
HARMLESS = set(
    """sqlalchemy sqlmodel geoalchemy2 pgvector sqlalchemy_utils datetime uuid json decimal enum typing collections
    itertools functools re math textwrap logging warnings secrets hashlib string time random""".split()  # noqa: SIM905
)
COMPUTES = set(
    """abs all any bool bytes dict divmod enumerate filter float format frozenset hash hex int isinstance issubclass len
    list map max min next oct ord pow print range repr reversed round set slice sorted str sum tuple zip Exception
    LookupError KeyError NotImplementedError RuntimeError TypeError ValueError""".split()  # noqa: SIM905
)
# Methods that read, build or print, whatever of a known package they are called on.
METHODS = set(
    """all and_ alias append asc as_scalar autocommit_block begin begin_nested bindparams cast close columns commit copy
    count create create_all debug decode desc dict distinct encode endswith extend fetchall fetchmany fetchone filter
    filter_by first flush format get get_columns get_foreign_keys get_indexes get_pk_constraint get_schema_names
    get_table_names get_unique_constraints group_by has_table having hex in_ info insert insert_values is_ is_not isnot
    isoformat items join keys label like limit lower lstrip mappings name not_in notin_ now offset one one_or_none
    options or_ order_by partition query replace returning rowcount rstrip scalar_one scalar_one_or_none scalar_subquery
    select select_from sort split splitlines startswith strftime strip subquery title tuples union union_all unique
    upper utcnow values warning where with_only_columns with_variant yield_per zfill""".split()  # noqa: SIM905
)
EXECUTES = {"execute", "exec_driver_sql", "scalar", "scalars"}
# Methods that change a database, or run what they are given: nobody may have them under another name.
REACHING = EXECUTES | set(
    """add add_all bulk_insert_mappings bulk_save_objects bulk_update_mappings callproc connect cursor delete drop
    drop_all executemany executescript invoke listen listens_for merge raw_connection run run_async run_callable
    run_sync stream stream_scalars update""".split()  # noqa: SIM905
)
BUILDS = {"update", "delete"}  # of a package: statements, which do nothing until they are executed
TOLD = {"__table__", "__tablename__", "__name__", "__doc__", "__file__"}
NAMING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
OFFLINE = {"is_offline_mode", "get_x_argument", "is_transactional_ddl"}  # of alembic.context


@dataclass
class Names:
    """What names mean, in the module or in one function.

    Attributes:
        ops: `op` of Alembic, under each of its names.
        context: `context` of Alembic, likewise.
        roots: what comes from HARMLESS packages.
        foreign: what comes from elsewhere, and may do anything when it is so much as named.
        other: everything else that is given a meaning here.
        local: what this function gives a meaning.
    """

    ops: set[str] = field(default_factory=set)
    context: set[str] = field(default_factory=set)
    roots: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    other: set[str] = field(default_factory=set)
    local: set[str] = field(default_factory=set)

    def within(self, function: ast.AST) -> "Names":
        """What they mean in a function, which may give them another meaning."""
        inner = Names(*(set(names) for names in (self.ops, self.context, self.roots, self.foreign, self.other)))
        imports = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
        stored = set(_stored(function))
        for node in imports:
            inner.take(node)
        inner.forget(stored)
        inner.other |= stored
        inner.local = stored
        return inner

    def forget(self, names: Set[str]) -> None:
        """They mean something else from here on."""
        for known in (self.ops, self.context, self.roots, self.foreign):
            known -= names

    def take(self, node: ast.Import | ast.ImportFrom) -> None:
        """What an import gives a meaning."""
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        relative = isinstance(node, ast.ImportFrom) and node.level
        for one in node.names:
            bound = one.asname or one.name.partition(".")[0]
            known = not relative and (module or one.name).partition(".")[0] in HARMLESS and not _reaches(one.name)
            self.forget({bound})
            own = {("alembic", "op"): self.ops, ("alembic", "context"): self.context}.get((module, one.name))
            (own if own is not None else self.roots if known else self.foreign).add(bound)

    def harmless(self, function: ast.expr) -> bool:
        """Whether to call this changes nothing."""
        if isinstance(function, ast.Name):
            name = function.id
            return name in self.roots or (name in COMPUTES and name not in self.foreign | self.other)
        if not isinstance(function, ast.Attribute) or is_inner(function.attr):
            return False
        root, owner = root_of(function), function.value
        if root in self.context:
            return isinstance(owner, ast.Name) and function.attr in OFFLINE
        if root in self.roots:
            last = owner.attr if isinstance(owner, ast.Attribute) else root
            return not _reaches(function.attr) and (function.attr not in BUILDS or last.islower())
        return function.attr in METHODS


def _reaches(name: str) -> bool:
    return name.startswith("drop") or (name in REACHING and name not in BUILDS)


def _stored(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, NAMING) and node.name and node is not function:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest


def is_inner(attribute: str) -> bool:
    """Whether an attribute leads into Python's own machinery."""
    return attribute.startswith("__") and attribute not in TOLD


def name_of(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def root_of(node: ast.expr) -> str:
    """`a` of `a.b.c`; empty where anything else than names stands in it."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return name_of(node)


def is_type(function: ast.expr) -> bool:
    """Whether it is named as classes are, such as a column's type of the application's own: `app.types.Money`."""
    return bool(root_of(function)) and last_of(function)[:1].isupper()


def last_of(function: ast.expr) -> str:
    """`c` of `a.b.c`, whatever `a.b` is."""
    return function.attr if isinstance(function, ast.Attribute) else name_of(function)
