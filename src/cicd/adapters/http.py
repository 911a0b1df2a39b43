"""Asking an application how it is: one request, one Probe. The only user of requests."""

import http.client
import io
import socket
import time
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from cicd.core.health import PROBE_AGENT, Probe

ROUTER_RELEASE = "X-Cicd-Release"
MOST = 8 * 1024 * 1024  # bytes that an answer may have; what sends more may never end, and holds up its clients
PIECE = 64 * 1024  # bytes that are read at a time, and forgotten


def probe(url: str, *, release_header: str = ROUTER_RELEASE, timeout: float = 2.0) -> Probe:
    """Ask once, on a connection of its own, without following redirects.

    Not with requests: its timeout is for each piece of an answer, and an application may send pieces for ever.

    Args:
        url: what to ask, `http://…`.
        release_header: the header that tells the release.
        timeout: seconds for all of it: the connection, the headers, and the whole body, which has MOST bytes at most.
    """
    started = time.monotonic()
    try:
        status, release = _ask(url, release_header, started + timeout)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Probe(0, seconds=time.monotonic() - started, error=_short(error))
    return Probe(status, release, time.monotonic() - started)


def _ask(url: str, release_header: str, deadline: float) -> tuple[int, str]:
    """Status, and the header's value, of an answer that came to its end. Raises OSError, ValueError, HTTPException."""
    parts = urlsplit(url)
    query = f"?{quote(parts.query, safe=MEANT + '?')}" if parts.query else ""
    target = f"{quote(parts.path, safe=MEANT) or '/'}{query}"
    host = parts.hostname or ""
    asked = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: {PROBE_AGENT}\r\nAccept: */*\r\n"
    with socket.create_connection((host, parts.port or 80), timeout=_left(deadline)) as connection:
        connection.sendall(f"{asked}Connection: close\r\n\r\n".encode("ascii"))
        stream = _Bounded(connection, deadline)
        answer = http.client.HTTPResponse(stream)  # type: ignore[arg-type]  # it wants makefile() alone
        answer.begin()
        release = answer.headers.get(release_header, "")
        while answer.read(PIECE):
            pass
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)
        return answer.status, release


MEANT = "/%:@!$&'()*+,;=~"  # what stands in a path or query as it is: RFC 3986, 3.3


class Endless(ValueError):
    """An answer has more than MOST bytes."""


class _Bounded(io.RawIOBase):
    """What a connection still has to say, up to MOST bytes and a moment. Reading raises Endless, OSError."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._room = MOST
        self._connection = connection
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        size = self._connection.recv_into(buffer)
        self._room -= size
        if self._room < 0:
            raise Endless
        return size


def _left(deadline: float) -> float:
    """Seconds until then. Raises TimeoutError when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def _short(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, Endless):
        return f"the answer has no end within {MOST // 1024 // 1024} MiB"
    return "the connection was refused" if isinstance(error, ConnectionRefusedError) else type(error).__name__


def json_request(
    method: str, url: str, token: str, body: object = None, timeout: float = 10.0
) -> tuple[int, dict[str, str], object]:
    """One JSON request with a bearer token; gives status, headers (lower case) and the decoded answer.

    Raises:
        OSError: no answer.
    """
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    answer = requests.request(method, url, json=body, headers=headers, timeout=timeout)
    told = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status_code, told, answer.json() if answer.content else None


def text_request(url: str, timeout: float = 10.0) -> str:
    """The text of a page. Raises OSError."""
    answer = requests.get(url, timeout=timeout, headers={"Accept": "text/html"})
    answer.raise_for_status()
    return answer.text
