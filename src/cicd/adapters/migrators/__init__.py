"""Migrators: what brings a database's schema to a revision."""

from typing import Protocol

from cicd.adapters.engines import Engine
from cicd.adapters.migrators import alembic
from cicd.core.release import Record


class Migrator(Protocol):
    """Moves the schema of a release's database, with that release's own code and settings."""

    def current(self, engine: Engine, record: Record) -> str:
        """The revision that the database is at; empty before the first. Raises MigrationFailed."""

    def upgrade(self, engine: Engine, record: Record, revision: str) -> None:
        """Go up to a revision. Raises MigrationFailed."""

    def downgrade(self, engine: Engine, record: Record, revision: str) -> None:
        """Go down to a revision. Raises MigrationFailed."""


class Alembic:
    """The release's own Alembic."""

    def current(self, engine: Engine, record: Record) -> str:
        return alembic.current(lambda argv: engine.run_in(record, argv))

    def upgrade(self, engine: Engine, record: Record, revision: str) -> None:
        alembic.upgrade(lambda argv: engine.run_in(record, argv), revision or "head")

    def downgrade(self, engine: Engine, record: Record, revision: str) -> None:
        alembic.downgrade(lambda argv: engine.run_in(record, argv), revision)


class NoMigrator:
    """For a release without a schema."""

    def current(self, engine: Engine, record: Record) -> str:
        return ""

    def upgrade(self, engine: Engine, record: Record, revision: str) -> None:
        return None

    def downgrade(self, engine: Engine, record: Record, revision: str) -> None:
        return None


MIGRATORS: dict[str, Migrator] = {"alembic": Alembic(), "none": NoMigrator()}
