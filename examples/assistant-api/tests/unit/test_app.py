from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import make_url

from assistant import __version__
from assistant.app import create_app
from assistant.context import correlation_id
from assistant.settings import Settings

NOBODY = Settings(
    # Ports that nobody may listen on: no answer comes, at once.
    database_url=make_url("postgresql+psycopg://nobody@127.0.0.1:1/none"),
    redis_url="redis://127.0.0.1:1/0",
    release="r1",
    greeting="Welcome!",
)


@pytest.fixture
def alone() -> Iterator[TestClient]:
    """The service without its database and Redis."""
    with TestClient(create_app(NOBODY)) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/api/v1/about"])
def test_about(alone: TestClient, path: str) -> None:
    about = {"name": "assistant-api", "version": __version__, "release": "r1", "greeting": "Welcome!"}
    assert alone.get(path).json() == about


def test_health_is_503_and_names_what_does_not_answer(alone: TestClient) -> None:
    answer = alone.get("/health")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "release": "r1",
        "schema": None,
        "checks": {"database": "OperationalError", "redis": "ConnectionError"},
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 200), ("GET", "/nowhere", 404), ("PUT", "/", 405), ("GET", "/api/v1/conversations/x", 422)],
)
def test_every_answer_names_its_release(alone: TestClient, method: str, path: str, status: int) -> None:
    answer = alone.request(method, path)
    assert answer.status_code == status
    assert answer.headers["X-Release"] == "r1"


def test_an_unforeseen_error_is_a_500_that_can_be_found_in_the_log(
    alone: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = alone.get("/api/v1/conversations", headers={"X-Request-ID": "find-me"})
    assert answer.status_code == 500
    assert answer.json() == {"detail": "internal error", "request_id": "find-me"}
    assert answer.headers["X-Release"] == "r1"
    (record,) = [one for one in caplog.records if one.message == "unforeseen error"]
    assert "OperationalError" in vars(record)["error"]


def test_each_request_is_logged_once(alone: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "assistant.requests")
    alone.get("/api/v1/about")
    (record,) = [one for one in caplog.records if one.message == "request"]
    assert (vars(record)["method"], vars(record)["path"], vars(record)["status"]) == (
        "GET",
        "/api/v1/about",
        200,
    )


def test_a_correlation_id_comes_back(alone: TestClient) -> None:
    assert alone.get("/", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"


@pytest.mark.parametrize("given", [None, "", "two words", "line\nbreak", "x" * 129])
def test_an_unfit_correlation_id_is_replaced(given: str | None) -> None:
    assert correlation_id(given) not in {given, ""}
