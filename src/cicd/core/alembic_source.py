"""Alembic's migrations, read from their Python source, which is not run."""

import ast
import configparser
import posixpath
import re

from cicd.core.alembic_calls import Source
from cicd.core.migrations import Files, Migration, in_order, judged
from cicd.core.schema_changes import is_idle
from cicd.errors import ConfigError


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
    """One migration from its source; None for a Python file that is none. Raises ConfigError."""
    try:
        return _read(ast.parse(text), text, path)
    except SyntaxError as error:
        where = f"{path}:{error.lineno}" if error.lineno else path
        raise ConfigError(f"{where}: this is not valid Python", next_step="mend the migration") from error
    except (RecursionError, MemoryError, ValueError) as error:
        raise ConfigError(
            f"{path}: it cannot be read: {error or 'it is nested too deeply'}",
            cause="expressions in it are nested hundreds deep, or it holds a NUL",
            next_step="write it plainer, such as a long sum of texts as one text",
        ) from error


def _read(tree: ast.Module, text: str, path: str) -> Migration | None:
    values = dict(_assignments(tree))
    source = Source(tree, path)
    if not isinstance(values.get("revision"), str):
        if not source.may_have("upgrade") and not source.has("revision"):
            return None
        raise ConfigError(
            f'{path}: it has an upgrade(), or imports what has, but no `revision = "…"` that can be read',
            next_step="assign `revision` and `down_revision` plain strings, each on its own line",
        )
    before = values.get("down_revision")
    if before is not None and not isinstance(before, str):
        raise ConfigError(f"{path}: merge migrations are not supported yet", next_step="keep one line of migrations")
    doc = (ast.get_docstring(tree) or "").strip().splitlines()
    up, down = source.changes("upgrade"), source.changes("downgrade")
    title = doc[0] if doc else ""
    # A way down that does nothing is one only for a way up that does nothing.
    back = None if source.gives_up("downgrade") or (is_idle(down) and not is_idle(up)) else down
    return judged(str(values["revision"]), before or "", title, up, back, text, path)


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
