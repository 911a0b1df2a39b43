"""Trying each migration up, down and up again, in a database that can be thrown away."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cicd.adapters.migrators import Driver
from cicd.adapters.migrators.alembic import Run
from cicd.core.migrations import Migration
from cicd.errors import MigrationFailed


@dataclass(frozen=True)
class Tried:
    """The revisions that went up, down and up again, and those that did not because one of them has no way down."""

    both_ways: list[str]
    up_only: list[str]


def try_migrations(driver: Driver, run: Run, known: Sequence[Migration], new: Sequence[Migration]) -> Tried:
    """All of `known` up, each of `new` (its last ones) down, last first, and all up again.

    Raises:
        MigrationFailed: names the migration, and which of the three it was.
    """
    _up(driver, run, known, "cannot be applied")
    back: list[Migration] = []
    for migration in reversed(new):
        if not migration.way_down:
            break
        _act(lambda: driver.downgrade(run, migration.down or "base"), migration, "cannot be taken back")  # noqa: B023
        _arrived(driver, run, migration)
        back.insert(0, migration)
    _up(driver, run, known, "cannot be applied again after it was taken back: its way down leaves something")
    names = [migration.revision for migration in back]
    return Tried(names, [migration.revision for migration in new if migration.revision not in names])


def _up(driver: Driver, run: Run, known: Sequence[Migration], problem: str) -> None:
    """One by one where the driver can, so that the one that fails is known."""
    done = driver.current(run)
    revisions = [migration.revision for migration in known]
    for migration in known[revisions.index(done) + 1 if done in revisions else 0 :]:
        try:
            driver.upgrade(run, migration.revision)
        except MigrationFailed as error:
            at = driver.current(run)
            failed = known[revisions.index(at) + 1 if at in revisions else 0]
            raise named(failed, problem, error) from error


def _arrived(driver: Driver, run: Run, migration: Migration) -> None:
    at = driver.current(run)
    if at != migration.down:
        error = MigrationFailed(f"the database is at {at or 'base'}, not at {migration.down or 'base'}")
        raise named(migration, "cannot be taken back", error)


def _act(act: Callable[[], object], migration: Migration, problem: str) -> None:
    try:
        act()
    except MigrationFailed as error:
        raise named(migration, problem, error) from error


def named(migration: Migration, problem: str, error: MigrationFailed) -> MigrationFailed:
    """The error with the migration's name in front."""
    title = f" ({migration.title})" if migration.title else ""
    return MigrationFailed(
        f"Migration {migration.revision}{title} {problem}: {error.what}",
        cause=error.cause,
        next_step="mend the migration; declare it `cicd: irreversible` with a reason if there is no way back",
    )
