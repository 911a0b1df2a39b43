"""One test for each defect that reached users, named by its ticket."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

from fastapi.testclient import TestClient

from assistant.settings import read_database_url


def test_12_addresses_of_the_old_scheme_are_understood() -> None:
    url = read_database_url({"DATABASE_URL": "postgres://me@db/assistant?sslmode=require"})
    assert url.drivername == "postgresql+psycopg"
    assert url.query["sslmode"] == "require"


def test_19_a_forged_log_line_does_not_come_back_as_a_header(client: TestClient) -> None:
    answer = client.get("/", headers={"X-Request-ID": 'x","level":"error'})
    assert uuid.UUID(answer.headers["X-Request-ID"])


def test_27_each_reply_follows_its_own_message(client: TestClient) -> None:
    path = f"/api/v1/conversations/{client.post('/api/v1/conversations').json()['id']}"

    def send(number: int) -> dict[str, dict[str, object]]:
        return dict(client.post(f"{path}/messages", json={"content": "word " * (number + 2)}).json())

    with ThreadPoolExecutor(4) as threads:
        exchanges = list(threads.map(send, range(8)))
    for number, exchange in enumerate(exchanges):
        assert exchange["reply"]["content"] == f"Noted: {number + 2} words."
        assert int(str(exchange["message"]["id"])) < int(str(exchange["reply"]["id"]))
