from __future__ import annotations

import json
import signal

import httpx2

from tests.service import Service


def test_a_conversation_from_start_to_end(service: Service) -> None:
    with httpx2.Client(base_url=service.url, headers={"X-Request-ID": "e2e-1"}) as client:
        assert client.get("/").json()["greeting"] == "Welcome back!"
        path = f"/api/v1/conversations/{client.post('/api/v1/conversations').json()['id']}"
        for content in ("hello", "what is the time?"):
            assert client.post(f"{path}/messages", json={"content": content}).status_code == 201
        answer = client.get(path)
    assert answer.headers["X-Request-ID"] == "e2e-1"
    assert answer.headers["X-Release"] == "test-release"
    assert [(one["role"], one["content"]) for one in answer.json()["messages"]] == [
        ("user", "hello"),
        ("assistant", "Welcome back!"),
        ("user", "what is the time?"),
        ("assistant", "Good question. I have written it down and will look for an answer."),
    ]


def test_it_stops_when_told_and_logs_only_json(service: Service) -> None:
    httpx2.get(f"{service.url}/health", headers={"X-Request-ID": "e2e-last"})
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(timeout=5)
    # uvicorn's own first lines come before our settings are read
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    assert "e2e-last" in {line.get("request_id") for line in lines}
    assert lines[-1]["message"].startswith("Finished server process")
