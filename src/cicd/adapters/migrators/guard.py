"""Looks after a migration while it runs: what waits too long for a lock, or works too long, is cancelled.

PGOPTIONS sets both times for drivers that read it (libpq, psycopg, dbmate's); pg8000 and asyncpg do not. Their sessions
are known by the client's address, which is a socket of the migration's process.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cicd.adapters.engines.protocol import Programs
from cicd.adapters.migrators.session import MIGRATION, Address, Backend, Session
from cicd.core.config import Migrations
from cicd.errors import DatabaseUnavailable

INTERVAL = 0.25  # seconds between two looks


@dataclass
class Guard:
    """What was seen and done.

    Attributes:
        programs: the migration's, found anew at each look.
        waited: whether it waited for a lock until it was cancelled by us.
        blockers: who held the lock that it last waited for.
        lost: why the session with the lock is gone, if it is; the migration was ended then.
    """

    session: Session
    settings: Migrations
    programs: Callable[[], Programs]
    waited: bool = False
    blockers: str = ""
    lost: DatabaseUnavailable | None = None
    _since: dict[int, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Look once. Raises DatabaseUnavailable."""
        own = self.programs().clients()
        waiting = dict[int, float]()
        for backend in belonging(self.session.backends(), own):
            if backend.waits:
                waiting[backend.pid] = self._since.get(backend.pid, 0.0) + INTERVAL
                self.blockers = self.session.blockers(backend.pid) or self.blockers
            if backend.name != MIGRATION:  # that one has read PGOPTIONS, and its author may have set it otherwise
                self._limit(backend, waiting.get(backend.pid, 0.0))
        self._since = waiting

    def _limit(self, backend: Backend, waiting: float) -> None:
        if waiting > self.settings.lock_timeout:
            self.waited = True
            self.session.cancel(backend.pid)
        elif backend.active and backend.seconds > self.settings.statement_timeout:
            self.session.cancel(backend.pid)

    def run(self) -> None:
        while not self._stop.wait(INTERVAL):
            try:
                self.look()
            except DatabaseUnavailable as error:
                self.lost = error
                self.programs().end()  # without the lock another one may run at the same time
                return

    @contextlib.contextmanager
    def watching(self) -> "Iterator[Guard]":
        """Look from time to time until the end of the block."""
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()


def belonging(backends: list[Backend], own: set[Address]) -> list[Backend]:
    """Those of migrations: by their name, or by the address of their client."""
    return [
        backend for backend in backends if backend.name == MIGRATION or {backend.client, (backend.client[0], 0)} & own
    ]
