"""Migrators: what brings a database's schema to a revision.

A driver knows how; a migrator lets it do so with a release's code and settings, alone in the database.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from cicd.adapters.engines.protocol import Engine
from cicd.adapters.migrators import alembic, command
from cicd.adapters.migrators.alembic import Run
from cicd.adapters.migrators.alone import run_alone
from cicd.core.config import Migrations
from cicd.core.migrations import Migration
from cicd.core.release import Record
from cicd.errors import MigrationFailed

T = TypeVar("T")


class Migrator(Protocol):
    """Moves the schema of a release's database, with that release's own code and settings."""

    def current(self, engine: Engine, record: Record) -> str:
        """The revision that the database is at; empty before the first. Raises MigrationFailed."""

    def upgrade(self, engine: Engine, record: Record, revision: str) -> str:
        """Go up to a revision; gives the one that the database is at then. Raises MigrationFailed."""

    def downgrade(self, engine: Engine, record: Record, revision: str) -> str:
        """Go down to a revision; gives the one that the database is at then. Raises MigrationFailed."""


class Driver(Protocol):
    """Knows the commands that move a schema; each gives the revision after it, and raises MigrationFailed."""

    def current(self, run: Run) -> str: ...

    def upgrade(self, run: Run, revision: str) -> str: ...

    def downgrade(self, run: Run, revision: str) -> str: ...


class Alembic:
    """The project's own Alembic, run by `python`."""

    def __init__(self, settings: Migrations, known: Sequence[Migration], python: str) -> None:
        self._python = python

    def current(self, run: Run) -> str:
        return alembic.current(run, self._python)

    def upgrade(self, run: Run, revision: str) -> str:
        return alembic.upgrade(run, revision or "head", self._python)

    def downgrade(self, run: Run, revision: str) -> str:
        return alembic.downgrade(run, revision, self._python)


class Command:
    """The project's own commands."""

    def __init__(self, settings: Migrations, known: Sequence[Migration], python: str) -> None:
        self._settings, self._known = settings, known

    def current(self, run: Run) -> str:
        return command.current(run, self._settings, self._known)

    def upgrade(self, run: Run, revision: str) -> str:
        command.upgrade(run, self._settings)
        return self.current(run)

    def downgrade(self, run: Run, revision: str) -> str:
        command.downgrade(run, self._settings, self._known, revision)
        return self.current(run)


DRIVERS: dict[str, Callable[[Migrations, Sequence[Migration], str], Driver]] = {"alembic": Alembic, "command": Command}


def driver(migrate: str, settings: Migrations, known: Sequence[Migration], python: str = "python") -> Driver:
    """The driver of `deploy.migrate`. `known`: the migrations that the code has, first to last."""
    return DRIVERS[migrate](settings, known, python)


class ByDriver:
    """With the driver that the release's own record names: it knows the way that its migrations are written."""

    def current(self, engine: Engine, record: Record) -> str:
        return _alone(engine, record, _driver(record).current)

    def upgrade(self, engine: Engine, record: Record, revision: str) -> str:
        return _alone(engine, record, lambda run: _driver(record).upgrade(run, revision))

    def downgrade(self, engine: Engine, record: Record, revision: str) -> str:
        return _alone(engine, record, lambda run: _driver(record).downgrade(run, revision))


def _alone(engine: Engine, record: Record, act: Callable[[Run], T]) -> T:
    """As run_alone; a release without the database's URL is told how to get it."""
    name = record.deploy.migrations.url
    try:
        return run_alone(engine, record, act)
    except MigrationFailed as failure:
        if not name or engine.setting(record, name):
            raise
        raise alembic.without_url(
            failure, name, f"give `app-env`, the environment's secret settings, with a line {name}=…"
        ) from failure


def _driver(record: Record) -> Driver:
    return driver(record.deploy.migrate, record.deploy.migrations, record.migrations)


class NoMigrator:
    """For a release without a schema."""

    def current(self, engine: Engine, record: Record) -> str:
        return ""

    def upgrade(self, engine: Engine, record: Record, revision: str) -> str:
        return revision

    def downgrade(self, engine: Engine, record: Record, revision: str) -> str:
        return revision


MIGRATORS: dict[str, Migrator] = {"alembic": ByDriver(), "command": ByDriver(), "none": NoMigrator()}
