from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from assistant.app import create_app
from assistant.settings import Settings

PATH = "/api/v1/conversations"


@pytest.mark.parametrize(("on", "usage"), [(True, {"messages": 2, "tokens": 8}), (False, None)])
def test_usage_is_shown_when_it_is_on(settings: Settings, on: bool, usage: dict[str, int] | None) -> None:
    with TestClient(create_app(replace(settings, show_usage=on))) as client:
        started = client.post(PATH).json()["id"]
        client.post(f"{PATH}/{started}/messages", json={"content": "hello"})
        assert client.get(f"{PATH}/{started}").json()["usage"] == usage


def test_usage_of_nothing_is_nothing(settings: Settings) -> None:
    with TestClient(create_app(replace(settings, show_usage=True))) as client:
        started = client.post(PATH).json()["id"]
        assert client.get(f"{PATH}/{started}").json()["usage"] == {"messages": 0, "tokens": 0}
