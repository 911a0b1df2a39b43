from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from fastapi.testclient import TestClient
from sqlalchemy import URL

from assistant.app import create_app
from assistant.settings import Settings


def test_health_tells_release_and_schema(client: TestClient, alembic: Config) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "release": "test-release",
        "schema": ScriptDirectory.from_config(alembic).get_current_head(),
        "checks": {"database": "ok", "redis": "ok"},
    }


def test_health_is_503_before_the_first_migration(empty_database: URL, settings: Settings) -> None:
    with TestClient(create_app(replace(settings, database_url=empty_database))) as client:
        answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": "no migration was applied", "redis": "ok"}


def test_health_does_not_wait_for_a_slow_service(settings: Settings) -> None:
    with TestClient(create_app(replace(settings, health_timeout=0.0001))) as client:
        answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "no answer in 0.0001 s"


@pytest.mark.parametrize(("limit", "expected"), [(2, [201, 201, 429]), (0, [201, 201, 201])])
def test_the_limit_holds_for_each_client(settings: Settings, limit: int, expected: list[int]) -> None:
    app = create_app(replace(settings, messages_per_minute=limit))
    with TestClient(app, client=(uuid.uuid4().hex, 1)) as client:
        conversation = client.post("/api/v1/conversations").json()["id"]
        path = f"/api/v1/conversations/{conversation}/messages"
        answers = [client.post(path, json={"content": "hello"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == expected
    with TestClient(app, client=(uuid.uuid4().hex, 1)) as other:
        assert other.get("/").status_code == 200
