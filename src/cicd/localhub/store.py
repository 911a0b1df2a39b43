"""The SQLite file behind LocalHub."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Db = sqlite3.Connection


def now() -> str:
    """The time as GitHub writes it: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_dict(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


class Store:
    """One file in WAL mode with a connection for each thread. Every write is a transaction."""

    def __init__(self, path: Path) -> None:
        """Open the file, making its tables if it is new.

        Raises sqlite3.DatabaseError when the file is not a database of ours.
        """
        self._path = path
        self._local = threading.local()
        self._all: list[Db] = []
        self._lock = threading.Lock()
        db = self._connection()
        version = db.execute("PRAGMA user_version").fetchone()["user_version"]
        if version == 0:
            self._make(db, "tables.sql")
        elif version != 1:
            raise sqlite3.DatabaseError(f"{path} was written by another version of LocalHub ({version})")
        for script in ("attestations.sql", "pulls.sql"):
            self._make(db, script)

    def _make(self, db: Db, script: str) -> None:
        db.executescript(resources.files(__package__).joinpath(script).read_text())

    def _connection(self) -> Db:
        db: Db | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
            db.row_factory = _as_dict
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            self._local.db = db
            with self._lock:
                self._all.append(db)
        return db

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Db]:
        db = self._connection()
        db.execute(begin)
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def read(self) -> Any:
        """A context with a connection on one consistent view of the data."""
        return self._transaction("BEGIN")

    def write(self) -> Any:
        """A context with a connection that alone may write; an exception undoes everything."""
        return self._transaction("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for db in self._all:
                db.close()
            self._all.clear()


def one(db: Db, sql: str, *values: Any) -> Row | None:
    """The first row, if there is one."""
    row: Row | None = db.execute(sql, values).fetchone()
    return row


def many(db: Db, sql: str, *values: Any) -> list[Row]:
    """All rows."""
    return db.execute(sql, values).fetchall()


def count(db: Db, sql: str, *values: Any) -> int:
    """The first column of the first row, as a number."""
    return int(next(iter(db.execute(sql, values).fetchone().values())))


def insert(db: Db, table: str, **values: Any) -> Row:
    """Insert a row and give it back. Names of table and columns come from our code only, never from a caller."""
    columns, marks = ", ".join(values), ", ".join("?" * len(values))
    sql = f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING *"  # noqa: S608
    row: Row = db.execute(sql, tuple(values.values())).fetchone()
    return row


def update(db: Db, table: str, row_id: int, **values: Any) -> Row:
    """Change a row by its id and give it back. The names come from our code only."""
    pairs = ", ".join(f"{column} = ?" for column in values)
    sql = f"UPDATE {table} SET {pairs} WHERE id = ? RETURNING *"  # noqa: S608
    row: Row = db.execute(sql, (*values.values(), row_id)).fetchone()
    return row


def tell(db: Db, kind: str, repo: Row | None, **data: Any) -> None:
    """Add to the list of events, in the same transaction as what happened."""
    full_name = f"{repo['owner']}/{repo['name']}" if repo else None
    insert(db, "events", at=now(), kind=kind, repo=full_name, data=json.dumps(data))
