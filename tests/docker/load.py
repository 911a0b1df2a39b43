"""Users of a service behind an edge, of all kinds at once. What they lose is counted; they try nothing again.

- http1: keep-alive connections; every eighth request is a POST, which no proxy may repeat.
- http2: connections with several requests at once.
- websocket: says something every 50 ms, and hears it back. A connection lasts until the service says goodbye (a Close
  frame, RFC 6455, 1.4): then the user comes again, and what was not answered yet counts as lost to nobody, for the
  protocol told him so. One that ends without a Close frame was cut, and is lost.
- upload: half a megabyte in three seconds, and the checksum comes back.

httpx takes a request for failed that is under way when a server ends a connection in peace (GOAWAY), which nginx does
after 1,000 requests: so an http2 user takes a new connection after 400.
"""

import asyncio
import contextlib
import hashlib
import itertools
import ssl
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

HTTP1, HTTP2, STREAMS, SOCKETS, UPLOADS = 4, 2, 3, 3, 2  # users of each kind; requests at once of one of http2
PAUSE, SAID_EVERY = 0.02, 0.05  # seconds
PIECE, PIECES, PIECE_EVERY = 16 * 1024, 32, 0.1
PATIENCE = 15.0  # seconds that a user waits for an answer
User = Callable[[], Coroutine[Any, Any, None]]


@dataclass
class Load:
    """The users. `port`: the edge's; `trusted`: its certificate.

    Attributes:
        sent: requests, messages and uploads, by kind.
        lost: what was wrong, by kind and in words, and how often.
        goodbyes: Close frames that the service sent.
        longest: switches that a WebSocket has lived through, at most; see `switched`.
    """

    port: int
    trusted: Path
    sent: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    goodbyes: int = 0
    longest: int = 0
    _switches: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _failed: list[BaseException] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        """They come, and stay until this ends. Raises what went wrong with themselves."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
        if self._failed:
            raise self._failed[0]

    def switched(self) -> None:
        """Tell that the traffic has changed over to another release."""
        self._switches += 1

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """TLS of a user who trusts the edge's certificate."""
        made = ssl.create_default_context(cafile=str(self.trusted))
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        return made

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as error:
            self._failed.append(error)

    def users(self) -> list[tuple[int, User]]:
        """How many there are of each kind, and what one does."""
        return [
            (HTTP1, self._http1),
            (HTTP2, self._http2),
            (SOCKETS, self._websocket),
            (UPLOADS, self._upload),
        ]

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for count, user in self.users():
                for _ in range(count):
                    group.create_task(self._again(user))

    async def _again(self, user: User) -> None:
        while not self._stop.is_set():
            await user()
            await asyncio.sleep(PAUSE)

    def _client(self, *, http2: bool) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        return httpx.AsyncClient(
            base_url=self.url, verify=self.trust, http1=not http2, http2=http2, limits=limits, timeout=PATIENCE
        )

    async def _http1(self) -> None:
        async with self._client(http2=False) as client:
            for number in itertools.count():
                if self._stop.is_set():
                    return
                await self._ask(client, "http1", post=number % 8 == 7)
                await asyncio.sleep(PAUSE)

    async def _http2(self) -> None:
        async with self._client(http2=True) as client:
            for _ in range(400 // STREAMS):
                if self._stop.is_set():
                    return
                await asyncio.gather(*(self._ask(client, "http2") for _ in range(STREAMS)))
                await asyncio.sleep(PAUSE)

    async def _ask(self, client: httpx.AsyncClient, kind: str, *, post: bool = False) -> None:
        try:
            answer = await (client.post("/", content=b"as it is") if post else client.get("/"))
        except httpx.HTTPError as error:
            self._lose(kind, type(error).__name__)
            return
        wanted = "HTTP/2" if kind == "http2" else "HTTP/1.1"
        self._count(kind, answer.status_code == 200 and answer.http_version == wanted, f"{answer.status_code}")

    async def _upload(self) -> None:
        body = [bytes([number]) * PIECE for number in range(PIECES)]

        async def slowly() -> AsyncIterator[bytes]:
            for piece in body:
                yield piece
                await asyncio.sleep(0 if self._stop.is_set() else PIECE_EVERY)

        async with self._client(http2=False) as client:
            headers = {"Content-Length": str(PIECE * PIECES)}
            try:
                answer = await client.post("/upload", content=slowly(), headers=headers)
            except httpx.HTTPError as error:
                self._lose("upload", type(error).__name__)
                return
        right = answer.status_code == 200 and answer.json()["sha256"] == hashlib.sha256(b"".join(body)).hexdigest()
        self._count("upload", right, f"{answer.status_code}")

    async def _websocket(self) -> None:
        since = self._switches
        try:
            async with connect(f"wss://localhost:{self.port}/ws", ssl=self.trust, open_timeout=PATIENCE) as socket:
                await self._talk(socket, since)
        except ConnectionClosed as closed:
            self._part(closed)
        except (OSError, TimeoutError, WebSocketException) as error:
            self._lose("websocket", str(error)[:60] or type(error).__name__)

    async def _talk(self, socket: ClientConnection, since: int) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            await socket.send(f"message {number}")
            heard = await asyncio.wait_for(socket.recv(), PATIENCE)
            self._count("websocket", heard == f"message {number}", "another word")
            self.longest = max(self.longest, self._switches - since)
            await asyncio.sleep(SAID_EVERY)

    def _part(self, closed: ConnectionClosed) -> None:
        if closed.rcvd is None:
            self._lose("websocket", "cut")
        else:
            self.goodbyes += 1

    def _count(self, kind: str, right: bool, otherwise: str) -> None:
        self.sent[kind] += 1
        if not right:
            self.lost[f"{kind}: {otherwise}"] += 1

    def _lose(self, kind: str, how: str) -> None:
        self._count(kind, False, how)


@dataclass
class Seen:
    """What someone sees who asks all the time, each time on a new connection."""

    port: int
    trusted: Path

    def now(self) -> str:
        """The release that answers; empty if none does."""
        trust = ssl.create_default_context(cafile=str(self.trusted))
        with contextlib.suppress(httpx.HTTPError, ValueError):
            answer = httpx.get(f"https://localhost:{self.port}/", verify=trust, timeout=2)
            return str(answer.json()["release"]) if answer.status_code == 200 else ""
        return ""

    def change(
        self, gone: Callable[[str], bool], within: float, stop: Callable[[], bool] = lambda: False, in_a_row: int = 10
    ) -> float:
        """When the traffic had changed over: the first of so many answers in a row of a release that is not `gone`.

        Raises:
            TimeoutError: it does not, or we were told to stop.
        """
        deadline, first, count = time.monotonic() + within, 0.0, 0
        while time.monotonic() < deadline and not stop():
            release = self.now()
            if not release or gone(release):
                count = 0
            elif count == 0:
                first, count = time.monotonic(), 1
            elif (count := count + 1) == in_a_row:
                return first
            time.sleep(0.01)
        raise TimeoutError(f"the traffic does not change over within {within:g} s")
