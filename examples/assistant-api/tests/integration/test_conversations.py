from __future__ import annotations

import uuid

import pytest
from fastapi.testclient import TestClient

PATH = "/api/v1/conversations"


def start(client: TestClient) -> str:
    answer = client.post(PATH)
    assert answer.status_code == 201
    return str(answer.json()["id"])


def test_a_new_conversation_is_first_in_the_list(client: TestClient) -> None:
    start(client)
    newest = start(client)
    listed = client.get(PATH, params={"limit": 2}).json()
    assert len(listed) == 2
    assert listed[0]["id"] == newest


def test_a_message_is_stored_with_its_reply(client: TestClient) -> None:
    conversation = start(client)
    answer = client.post(f"{PATH}/{conversation}/messages", json={"content": "  hello "})
    assert answer.status_code == 201
    assert answer.json()["message"]["content"] == "hello"
    assert answer.json()["reply"]["content"] == "Hello! How can I help?"
    stored = client.get(f"{PATH}/{conversation}").json()["messages"]
    assert stored == [answer.json()["message"], answer.json()["reply"]]


def test_only_the_newest_messages_are_shown_oldest_first(client: TestClient) -> None:
    conversation = start(client)
    for number in range(3):
        client.post(f"{PATH}/{conversation}/messages", json={"content": f"note {number}"})
    shown = client.get(f"{PATH}/{conversation}", params={"limit": 4}).json()["messages"]
    assert [(one["role"], one["content"]) for one in shown if one["role"] == "user"] == [
        ("user", "note 1"),
        ("user", "note 2"),
    ]


@pytest.mark.parametrize("body", [{}, {"content": ""}, {"content": "   "}, {"content": "x" * 4001}])
def test_an_unfit_message_is_refused(client: TestClient, body: dict[str, str]) -> None:
    assert client.post(f"{PATH}/{uuid.uuid4()}/messages", json=body).status_code == 422


def test_an_unknown_conversation_is_not_found(client: TestClient) -> None:
    unknown = f"{PATH}/{uuid.uuid4()}"
    assert client.get(unknown).status_code == 404
    assert client.post(f"{unknown}/messages", json={"content": "hello"}).status_code == 404
