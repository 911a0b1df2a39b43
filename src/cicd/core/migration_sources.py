"""How the migrations of an image are written, by `deploy.migrate`."""

from cicd.core import alembic_source, sql_migrations
from cicd.core.config import Deploy
from cicd.core.migrations import Files, Migration

SUFFIXES = {"alembic": (".py", "alembic.ini"), "command": (".sql",), "none": ()}


def suffixes(deploy: Deploy) -> tuple[str, ...]:
    """Ends of the names of files that may matter; none when there is nothing to read."""
    return SUFFIXES[deploy.migrate]


def read_migrations(deploy: Deploy, files: Files) -> list[Migration]:
    """The migrations of a release, first to last. Raises ConfigError."""
    if deploy.migrate == "alembic":
        return alembic_source.read_migrations(files)
    return sql_migrations.read_migrations(files, deploy.migrations.folder) if deploy.migrate == "command" else []


def folder_of(deploy: Deploy, alembic_ini: str) -> str:
    """The folder that holds the migrations' files. `alembic_ini`: its text, if there is one."""
    if deploy.migrate == "alembic":
        return f"{alembic_source.script_folder(alembic_ini)}/versions".removeprefix("/")
    return deploy.migrations.folder
