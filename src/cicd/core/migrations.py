"""What the migrations of a release are, read from their source: order, head, and whether each can be taken back."""

import ast
import configparser
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from cicd.errors import ConfigError

Class = Literal["expand", "reversible", "irreversible"]
EXPANDING = {"add_column", "create_table", "create_index"}


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One migration.

    Attributes:
        revision: its name.
        down: the revision before it; empty for the first.
        kind: `expand` only adds, so that the code before it goes on working; `reversible` has a way down;
            `irreversible` has none.
        title: the first line of its docstring.
    """

    revision: str
    down: str
    kind: Class
    title: str = ""


def script_folder(alembic_ini: str) -> str:
    """Where alembic.ini says the migrations are, relative to it."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(alembic_ini)
    except configparser.Error as error:
        raise ConfigError(f"alembic.ini cannot be read: {error}", next_step="mend the file") from error
    location = parser.get("alembic", "script_location", fallback="migrations")
    return re.sub(r"^%\(here\)s/?", "", location).strip("/")


def read_migrations(files: Mapping[str, str]) -> list[Migration]:
    """The migrations of a release, first to last.

    Args:
        files: path → text of everything in the image that may matter: alembic.ini and Python files.

    Raises:
        ConfigError: no alembic.ini, a migration that cannot be read, or more than one head.
    """
    if "alembic.ini" not in files:
        raise ConfigError(
            "deploy.migrate is alembic, but the image has no alembic.ini", next_step="add it to deploy.files"
        )
    folder = f"{script_folder(files['alembic.ini'])}/versions/"
    found = [
        migration
        for path, text in sorted(files.items())
        if path.startswith(folder) and path.endswith(".py") and (migration := read_migration(text, path))
    ]
    return in_order(found)


def read_migration(text: str, path: str) -> Migration | None:
    """One migration from its source; None for a Python file that is none."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ConfigError(f"{path}:{error.lineno}: this is not valid Python", next_step="mend the migration") from error
    values = dict(_assignments(tree))
    if not isinstance(values.get("revision"), str):
        return None
    down = values.get("down_revision")
    if down is not None and not isinstance(down, str):
        raise ConfigError(f"{path}: merge migrations are not supported yet", next_step="keep one line of migrations")
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    doc = (ast.get_docstring(tree) or "").strip().splitlines()
    return Migration(
        revision=str(values["revision"]), down=down or "", kind=classify(functions), title=doc[0] if doc else ""
    )


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


def classify(functions: Mapping[str, ast.FunctionDef]) -> Class:
    """Whether a migration only adds, can be taken back, or cannot. Unknown calls count as changes, not additions."""
    down = functions.get("downgrade")
    if down is None or not _calls(down):
        return "irreversible"
    up = functions.get("upgrade")
    calls = _calls(up) if up else []
    return "expand" if calls and all(name in EXPANDING for name in calls) else "reversible"


def _calls(function: ast.FunctionDef) -> list[str]:
    """Names of the `op.…` calls in a function."""
    return [
        node.func.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("op", "batch_op")
    ]


def in_order(migrations: Sequence[Migration]) -> list[Migration]:
    """First to last. Raises ConfigError when they are not one unbroken line."""
    after: dict[str, list[Migration]] = {}
    for migration in migrations:
        after.setdefault(migration.down, []).append(migration)
    ordered: list[Migration] = []
    at = ""
    while at in after and len(ordered) <= len(migrations):
        if len(after[at]) > 1:
            names = ", ".join(migration.revision for migration in after[at])
            raise ConfigError(f"two migrations follow `{at or 'nothing'}`: {names}", next_step="give them one order")
        ordered.append(after[at][0])
        at = ordered[-1].revision
    if len(ordered) != len(migrations):
        lost = {migration.revision for migration in migrations} - {migration.revision for migration in ordered}
        raise ConfigError(f"these migrations follow none: {', '.join(sorted(lost))}", next_step="mend down_revision")
    return ordered


def head(migrations: Sequence[Migration]) -> str:
    """The revision that a release wants; empty without migrations."""
    return migrations[-1].revision if migrations else ""


def between(migrations: Sequence[Migration], low: str, high: str) -> list[Migration]:
    """The migrations after `low` up to and with `high`, first to last; empty if `high` is not after `low`."""
    names = [migration.revision for migration in migrations]
    start = names.index(low) + 1 if low in names else 0
    end = names.index(high) + 1 if high in names else 0
    return list(migrations[start:end])
