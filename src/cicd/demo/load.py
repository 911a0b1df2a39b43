"""Load on a service through its router: keep-alive connections that ask all the time, and count what is lost."""

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

CONNECTIONS = 8


@dataclass
class Count:
    """What came back.

    Attributes:
        sent: requests.
        lost: without an answer, or answered with an error that the router made.
        errors: 5xx that the application made itself, by release.
        answered: by release.
        reasons: of what was lost.
    """

    sent: int = 0
    lost: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


class Load:
    """Threads that talk to the service like its users do: read, open a conversation, write into it, read it."""

    def __init__(self, port: int, rate: float) -> None:
        """`rate`: requests per second, all connections together."""
        self.count = Count()
        self._port = port
        self._pause = CONNECTIONS / rate
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._talk, daemon=True) for _ in range(CONNECTIONS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> Count:
        """Let every request under way end, then give the count."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.count

    def _talk(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        next_at, turn, conversation = time.monotonic(), 0, ""
        while not self._stop.is_set():
            method, path, body = self._request(turn, conversation)
            answer = self._ask(connection, method, path, body)
            if method == "POST" and path.endswith("/conversations"):
                conversation = str(answer.get("id", ""))
            turn += 1
            next_at = max(next_at + self._pause, time.monotonic() - 1)
            self._stop.wait(max(0.0, next_at - time.monotonic()))
        connection.close()

    def _request(self, turn: int, conversation: str) -> tuple[str, str, dict[str, str] | None]:
        step = turn % 6
        if step == 0:
            return "POST", "/api/v1/conversations", {"title": "load"}
        if conversation and step in (1, 3):
            return "POST", f"/api/v1/conversations/{conversation}/messages", {"content": "Hello?"}
        if conversation and step in (2, 4):
            return "GET", f"/api/v1/conversations/{conversation}", None
        return "GET", "/api/v1/about", None

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: dict[str, str] | None
    ) -> dict[str, object]:
        data = json.dumps(body).encode() if body is not None else None
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._lose(f"{method}: {type(error).__name__}")
            return {}
        release = response.headers.get("X-Release", "")
        if response.status >= 500 and not release:
            self._lose(f"{method}: router answered {response.status}")
            return {}
        with self._lock:
            self.count.sent += 1
            self.count.answered[release] += 1
            self.count.errors[release] += response.status >= 500
        with contextlib.suppress(ValueError):
            value = json.loads(text)
            return value if isinstance(value, dict) else {}
        return {}

    def _lose(self, reason: str) -> None:
        with self._lock:
            self.count.sent += 1
            self.count.lost += 1
            self.count.reasons[reason] += 1
