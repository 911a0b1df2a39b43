from __future__ import annotations

import uuid

from fastapi.testclient import TestClient
from sqlalchemy import URL, NullPool, create_engine, text

PATH = "/api/v1/conversations"


def test_the_first_message_becomes_the_title(client: TestClient) -> None:
    started = client.post(PATH).json()
    assert started["title"] is None
    for content in ("Plan a week in Lisbon", "With two children"):
        client.post(f"{PATH}/{started['id']}/messages", json={"content": content})
    assert client.get(f"{PATH}/{started['id']}").json()["title"] == "Plan a week in Lisbon"


def test_conversations_are_found_by_how_their_title_begins(client: TestClient) -> None:
    mark = uuid.uuid4().hex[:8]
    started = client.post(PATH).json()["id"]
    client.post(f"{PATH}/{started}/messages", json={"content": f"{mark} 100%"})
    assert [one["id"] for one in client.get(PATH, params={"title": f"{mark} 1"}).json()] == [started]
    assert client.get(PATH, params={"title": f"%{mark}"}).json() == []


def test_a_conversation_of_the_release_before_has_no_title(client: TestClient, database: URL) -> None:
    old = uuid.uuid4()
    with create_engine(database, poolclass=NullPool).begin() as connection:
        connection.execute(text("insert into conversations (id) values (:id)"), {"id": old})
    assert client.get(f"{PATH}/{old}").json()["title"] is None
