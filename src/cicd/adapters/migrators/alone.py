"""A migration that runs alone: what killed runs left is ended, a lock is held, no wait for a lock is long."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from cicd.adapters.engines.protocol import Engine
from cicd.adapters.migrators.alembic import Run
from cicd.adapters.migrators.guard import Guard, belonging
from cicd.adapters.migrators.session import MIGRATION, Session, is_postgres
from cicd.adapters.process import Completed
from cicd.core.config import Migrations
from cicd.core.release import Record
from cicd.errors import DatabaseUnavailable, MigrationFailed

T = TypeVar("T")
# In the server's words, or by SQLSTATE 55P03 or its name in drivers where the server speaks another language.
NOT_HAD = re.compile(r"canceling statement due to lock timeout|could not obtain lock|55P03|LockNotAvailable")
PAUSE = wait_random_exponential(multiplier=1, max=20)  # seconds in which the traffic that queued up flows


class _LockNotHad(Exception):
    """The migration waited for a lock in vain; `args[0]` is how it ended."""


def run_alone(
    engine: Engine, record: Record, act: Callable[[Run], T], pause: Callable[[float], None] = time.sleep
) -> T:
    """Do something with a release's schema: migrations in this database never run at once.

    Args:
        act: what to do, with what runs programs; may be called again.
        pause: waits between two tries, in seconds.

    Raises:
        MigrationFailed: as `act`. DatabaseUnavailable: a lock was not to be had.
    """
    settings = record.deploy.migrations
    with cleared(engine, record) as session:
        run = running(engine, record)
        if session is None:
            return act(run)
        tries = Retrying(
            retry=retry_if_exception_type(_LockNotHad),
            stop=stop_after_attempt(settings.attempts),
            wait=PAUSE,
            sleep=pause,
            reraise=True,
        )
        try:
            done: T = tries(once, session, settings, engine, lambda: act(run))
        except _LockNotHad as error:
            guard, failure = error.args
            raise DatabaseUnavailable(
                f"A lock that the migration needs was not to be had in {settings.attempts} tries of"
                f" {settings.lock_timeout:g} s: {failure.what}",
                cause=f"it is held by {guard.blockers or 'another session'}",
                next_step="end that transaction, or try again when there is less traffic",
            ) from failure
        return done


def once(session: Session, settings: Migrations, engine: Engine, act: Callable[[], T]) -> T:
    """Do it under the guard. Raises _LockNotHad, DatabaseUnavailable when the lock's session was lost, and as `act`."""
    failure: MigrationFailed | None = None
    with Guard(session, settings, engine.left_behind).watching() as guard:
        try:
            done = act()
        except MigrationFailed as error:
            failure = error
    if guard.lost:  # whatever the migration's end: who ended it may have taken its exit code
        raise guard.lost from failure
    if failure is None:
        return done
    if guard.waited or NOT_HAD.search(failure.what):
        raise _LockNotHad(guard, failure) from failure
    raise failure


@contextmanager
def cleared(engine: Engine, record: Record) -> Iterator[Session | None]:
    """Hold the database's lock, with nothing of a killed run at work; None for what is no PostgreSQL.

    Whoever calls it holds the environment, so each migration's process of this target is a killed run's. Whoever has
    the lock is alone in the database, so each session of a migration there is a killed run's, even one whose process
    is gone: a server notices late that its client has died.
    """
    settings = record.deploy.migrations
    url = engine.setting(record, settings.url) if settings.url else ""
    left = engine.left_behind()
    addresses = left.clients()
    left.end()
    with Session.opened(url, engine.reach) if is_postgres(url) else nullcontext() as session:
        if session:
            session.lock(settings.within)
            session.end([backend.pid for backend in belonging(session.backends(), addresses)])
        yield session


def running(engine: Engine, record: Record) -> Run:
    """What runs programs with the release's settings, and with the times that drivers read from PGOPTIONS."""
    settings = record.deploy.migrations
    extra = environment(settings, engine.setting(record, "PGOPTIONS"))

    def run(argv: Sequence[str]) -> Completed:
        return engine.run_in(record, argv, extra, settings.within)

    return run


def environment(settings: Migrations, options: str = "") -> Mapping[str, str]:
    """Variables for a migration. `options`: PGOPTIONS as the user has set it, which goes before ours."""
    times = {"lock_timeout": settings.lock_timeout, "statement_timeout": settings.statement_timeout}
    ours = " ".join(f"-c {name}={round(seconds * 1000)}" for name, seconds in times.items())
    return {"PGOPTIONS": f"{ours} {options}".strip(), "PGAPPNAME": MIGRATION}
