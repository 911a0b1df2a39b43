"""Users of a service: each with an address of their own and a connection that is kept, asking all the time."""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PAUSE = 0.004  # seconds between two requests of one connection
PEOPLE = 200  # addresses
CONNECTIONS = 4  # at a time; people take turns


@dataclass
class Users:
    """What they met.

    Attributes:
        releases: requests, by the release that the router named.
        errors: 5xx, by release.
        met: releases that each address met.
        lost: what came instead of an answer by a release that knows itself.
    """

    port: int
    releases: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    met: dict[str, list[str]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator["Users"]:
        threads = [threading.Thread(target=self._ask, args=[number]) for number in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def pause(self) -> None:
        """A moment, for those who wait until something has been met."""
        self._stop.wait(0.05)

    def _ask(self, number: int) -> None:
        connection, person = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10), number
        while not self._stop.wait(PAUSE):
            person = (person + CONNECTIONS) % PEOPLE
            address = f"10.0.0.{person}"
            try:
                connection.request("GET", "/", headers={"X-Forwarded-For": address})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.lost.append(repr(error))
            else:
                self._note(address, answer)
        connection.close()

    def _note(self, address: str, answer: http.client.HTTPResponse) -> None:
        routed, own = answer.headers["X-Cicd-Release"], answer.headers["X-Release"]
        with self._lock:
            if routed != own:
                self.lost.append(f"{answer.status}, sent to {routed}, answered by {own}")
            self.releases[routed] += 1
            self.errors[routed] += answer.status >= 500
            if routed not in (met := self.met.setdefault(address, [])):
                met.append(routed)
