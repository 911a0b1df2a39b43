from __future__ import annotations

from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.orm import Session, close_all_sessions, scoped_session, sessionmaker

from assistant.logs import request_id
from assistant.settings import Settings


class Database:
    """The connections of one process: a pool for requests, none for health, which is to see the server."""

    def __init__(self, settings: Settings) -> None:
        self.engine: Engine = create_engine(
            settings.database_url,
            pool_size=settings.database_pool,
            max_overflow=0,
            pool_timeout=settings.database_pool_timeout,
            connect_args={"connect_timeout": 2, "application_name": f"assistant-api {settings.release}"[:63]},
        )
        self.probe: Engine = create_engine(
            settings.database_url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={
                "connect_timeout": 2,
                "application_name": "assistant-api health",
                "options": "-c statement_timeout=1000",
            },
        )
        self.sessions: sessionmaker[Session] = sessionmaker(self.engine, expire_on_commit=False)
        # All reads of a request share a session, and what it has loaded. They need no transaction.
        self.reads: scoped_session[Session] = scoped_session(
            sessionmaker(self.engine.execution_options(isolation_level="AUTOCOMMIT")),
            scopefunc=request_id.get,
        )

    def close(self) -> None:
        close_all_sessions()
        self.engine.dispose()
        self.probe.dispose()
