"""A session of our own with the PostgreSQL that is migrated: its advisory lock, and what others do there.

The only user of pg8000, which is imported when a session is opened. The password goes from the URL into the
connection and nowhere else.
"""

import contextlib
import hashlib
import os
import pwd
import random
import re
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from cicd.errors import DatabaseUnavailable

MIGRATION = "cicd migration"  # application_name of sessions of migrations, where their driver reads PGAPPNAME
KEY = int.from_bytes(hashlib.sha256(MIGRATION.encode()).digest()[:8], "big", signed=True)  # of the lock, per database
PATIENCE = 10.0  # seconds for the server to answer, and for ended sessions to be gone
SCHEME = re.compile(r"^postgres(ql)?(\+\w+)?$")

Address = tuple[str, int]
"""IP and port of a client."""


@dataclass(frozen=True)
class Backend:
    """A session on the server, as the server sees it.

    Attributes:
        client: its client's address; ("", -1) over a Unix socket.
        waits: whether its statement waits for a lock.
        seconds: that its statement has run, waiting included.
    """

    pid: int
    name: str
    client: Address
    waits: bool
    active: bool
    seconds: float


def is_postgres(url: str) -> bool:
    return bool(SCHEME.match(urlsplit(url).scheme))


def version_of(url: str) -> tuple[int, ...] | None:
    """The version of the server that answers a query at this URL, without TLS; None: none does, or it refuses us."""
    from pg8000.exceptions import Error
    from pg8000.native import Connection

    given = {**arguments(url), "ssl_context": False}
    try:
        with socket.create_connection((given["host"], given["port"]), timeout=2) as own:  # pg8000 leaves its own open
            connection = Connection(**{**given, "host": None}, sock=own)
            try:
                ((told,),) = connection.run("SHOW server_version") or [("",)]
            finally:
                connection.close()
    except (Error, OSError, ValueError):
        return None
    return tuple(int(part) for part in re.findall(r"\d+", str(told).split()[0]))


class Session:
    """One session. Whoever uses it in a thread has it alone meanwhile."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    @contextlib.contextmanager
    def opened(cls, url: str, reach: Callable[[str, int], tuple[str, int]] | None = None) -> "Iterator[Session]":
        """A session with the database of a URL.

        Args:
            reach: gives the address at which we find a host and port of the URL.

        Raises:
            DatabaseUnavailable: its text has no part of the URL but host and port.
        """
        from pg8000.exceptions import Error
        from pg8000.native import Connection

        try:
            given = arguments(url)
            if reach and given["host"]:
                given["host"], given["port"] = reach(given["host"], given["port"])
            connection = Connection(**given, application_name=f"{MIGRATION} lock", timeout=PATIENCE)
        except (Error, OSError, ValueError) as error:
            raise DatabaseUnavailable(
                f"The database that is to be migrated cannot be reached: {_words(error)}",
                next_step="check the setting that deploy.migrations.url names; `url: ''` migrates without a lock",
            ) from error
        try:
            yield cls(connection)
        finally:
            with contextlib.suppress(Error, OSError):
                connection.close()  # which lets go of the lock

    def _rows(self, query: str, **values: Any) -> list[list[Any]]:
        from pg8000.exceptions import Error

        try:
            return list(self._connection.run(query, **values) or [])
        except (Error, OSError) as error:
            raise DatabaseUnavailable(
                f"The database refused, or the session that holds the migration's lock was lost: {_words(error)}",
                next_step="see that the database is up and lets this role end its own sessions, then run this again",
            ) from error

    def tell(self, statement: str) -> None:
        self._rows(statement)

    def lock(self, wait: float) -> None:
        """Take the lock that every migration of this database takes; it is gone when the session is.

        Raises:
            DatabaseUnavailable: another held it for `wait` seconds.
        """
        deadline = time.monotonic() + wait
        while not self._rows("select pg_try_advisory_lock(:key)", key=KEY)[0][0]:
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"Another migration of this database was under way for more than {wait:g} s",
                    cause="another environment or application uses the same database, or a run on another machine",
                    next_step="wait until it has ended, then run this again",
                )
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - so that several do not ask in step

    def backends(self) -> list[Backend]:
        """The other sessions with this database."""
        rows = self._rows(
            "select pid, application_name, coalesce(host(client_addr), ''), coalesce(client_port, -1),"
            " wait_event_type = 'Lock' is true, state = 'active' is true,"
            " extract(epoch from clock_timestamp() - query_start)"
            " from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        )
        return [Backend(row[0], row[1], (row[2], row[3]), row[4], row[5], float(row[6] or 0)) for row in rows]

    def blockers(self, pid: int) -> str:
        """Who holds what a session waits for: `process 123 (psql, idle in transaction for 65 s)`. No query's text."""
        rows = self._rows(
            "select pid, application_name, state, extract(epoch from clock_timestamp() - state_change)::int"
            " from pg_stat_activity where pid = any(pg_blocking_pids(:pid))",
            pid=pid,
        )
        return ", ".join(
            f"process {one} ({', '.join(filter(None, [name, f'{state} for {age} s']))})"
            for one, name, state, age in rows
        )

    def cancel(self, pid: int) -> None:
        """End the statement of a session."""
        self._rows("select pg_cancel_backend(:pid)", pid=pid)

    def end(self, pids: Collection[int]) -> None:
        """End sessions: what they have not committed is undone. Raises DatabaseUnavailable if they do not go."""
        deadline, left = time.monotonic() + PATIENCE, set(pids)
        while left := left & {one.pid for one in self.backends()}:
            for pid in left:
                self._rows("select pg_terminate_backend(:pid)", pid=pid)
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"A killed run's migration still works in the database: process {min(left)}",
                    cause="the server has not ended it within 10 s",
                    next_step=f"`select pg_terminate_backend({min(left)})` as an administrator, then run this again",
                )
            time.sleep(0.05)


@contextlib.contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """A new, empty database beside the one of `url`, by its URL; nothing is left of it at the end of the block."""
    name = f"scratch_{secrets.token_hex(6)}"
    with Session.opened(url) as session:
        session.tell(f'create database "{name}"')
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            session.tell(f'drop database "{name}" with (force)')


def arguments(url: str) -> dict[str, Any]:
    """What pg8000 wants, from a URL as libpq and SQLAlchemy know it. Raises ValueError for one with several hosts."""
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host, port = (
        query.get("host") or unquote(parts.hostname or "localhost"),
        int(query.get("port") or parts.port or 5432),
    )
    if "," in host:
        raise ValueError("its URL names several hosts; name the first alone")
    user = query.get("user") or unquote(parts.username or "") or pwd.getpwuid(os.geteuid()).pw_name
    found: dict[str, Any] = {
        "user": user,
        "password": query.get("password") or (unquote(parts.password) if parts.password else None),
        "database": query.get("dbname") or unquote(parts.path.removeprefix("/")) or user,
        "port": port,
    }
    if host.startswith("/"):
        return {**found, "unix_sock": f"{host}/.s.PGSQL.{port}", "host": None, "ssl_context": False}
    return {**found, "host": host, "ssl_context": _tls(query.get("sslmode", "prefer"), query.get("sslrootcert"))}


def _tls(mode: str, root: str | None) -> ssl.SSLContext | bool | None:
    """libpq's sslmode in pg8000's words: None prefers, True demands, a context verifies."""
    if mode in ("verify-ca", "verify-full"):
        context = ssl.create_default_context(cafile=root if root and root != "system" else None)
        context.check_hostname = mode == "verify-full"
        return context
    return {"disable": False, "allow": None, "prefer": None, "require": True}[mode]


def _words(error: Exception) -> str:
    """What the server or the system said, short: never the values that were given."""
    first = error.args[0] if error.args else ""
    if isinstance(first, dict):  # the server's error message by field; M is its text
        return str(first.get("M", type(error).__name__))
    return str(error.__cause__ or first or type(error).__name__)
