from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from alembic import command
from alembic.config import Config
from fastapi.testclient import TestClient
from sqlalchemy import URL, NullPool, create_engine, text

from assistant.app import create_app
from assistant.settings import Settings, read_database_url
from tests.service import ROOT, Service, as_text, required, running_service


@contextmanager
def new_database() -> Iterator[URL]:
    """An empty database on the server of DATABASE_URL, so that suites may run side by side."""
    server = read_database_url({"DATABASE_URL": required("DATABASE_URL")})
    name = f"assistant_test_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    try:
        yield server.set(database=name)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"drop database {name} with (force)"))


@pytest.fixture
def alembic() -> Config:
    return Config(ROOT / "alembic.ini")


@pytest.fixture
def empty_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[URL]:
    with new_database() as url:
        monkeypatch.setenv("DATABASE_URL", as_text(url))
        yield url


@pytest.fixture(scope="session")
def database() -> Iterator[URL]:
    with new_database() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", as_text(url))
        command.upgrade(Config(ROOT / "alembic.ini"), "head")
        patch.undo()
        yield url


@pytest.fixture
def settings(database: URL) -> Settings:
    return Settings(database_url=database, redis_url=required("REDIS_URL"), release="test-release")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture(scope="module")
def service(database: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(database, tmp_path_factory.mktemp("service") / "log") as service:
        yield service
