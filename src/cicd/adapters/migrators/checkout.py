"""The migrations of a project that lies in a folder, and those that it had at another commit."""

import tempfile
from pathlib import Path

from cicd.adapters.process import run
from cicd.adapters.store import read_texts
from cicd.core.config import Deploy
from cicd.core.migration_sources import folder_of, read_migrations, suffixes
from cicd.core.migrations import Migration
from cicd.errors import ConfigError, UsageError


def in_folder(deploy: Deploy, folder: Path) -> list[Migration]:
    """The migrations as they lie there, first to last. Raises ConfigError."""
    ini = folder / "alembic.ini"
    found = [ini] if ini.is_file() else []
    text = ini.read_text(encoding="utf-8") if found else ""
    migrations = folder / folder_of(deploy, text)
    found += [path for path in migrations.rglob("*") if path.name.endswith(suffixes(deploy))]
    env = migrations.with_name("env.py")  # Alembic's own, there before the first migration is
    found += [env] if deploy.migrate == "alembic" and env.is_file() else []
    files = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace") for path in found}
    return read_migrations(deploy, files)


def at_commit(deploy: Deploy, folder: Path, ref: str) -> list[Migration]:
    """The migrations at a commit, first to last; none if it had none yet. Raises UsageError if it is not here."""
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / "commit.tar"
        argv = ["git", "-C", str(folder), "archive", "--format=tar", "-o", str(packed), ref]
        done = run(argv, check=False) if not ref.startswith("-") else None
        if done is None or done.code:
            raise UsageError(
                f"migrate-check: there is no commit `{ref}` in this checkout",
                cause="the checkout holds the newest commit alone",
                next_step="check out with `fetch-depth: 0`, or check `all`",
            )
        files = read_texts(packed, suffixes(deploy))
    try:
        return read_migrations(deploy, files)
    except ConfigError:
        return []
