"""HTTP: probes of an application, and single requests to other servers. The only user of requests."""

import http.client
import io
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

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


class Endless(OSError):
    """An answer has more bytes than anybody wants to hold."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the answer has no end within {most // 1024 // 1024} MiB")


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
            raise Endless(MOST)
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
        return str(error)
    return "the connection was refused" if isinstance(error, ConnectionRefusedError) else type(error).__name__


class _Counted:
    """What an answer still has to say, up to so many bytes of it, unpacked."""

    def __init__(self, raw: Any, most: int) -> None:
        self._raw, self._room, self._most = raw, most, most

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        """As urllib3's. Raises Endless."""
        for piece in self._raw.stream(*args, **kwargs):
            self._room -= len(piece)
            if self._room < 0:
                self._raw.close()
                raise Endless(self._most)
            yield piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def bounded_session(most: int = 0) -> requests.Session:
    """A session whose answers are read up to `most` bytes, 0 for MOST; reading a larger one raises Endless."""

    def bound(answer: requests.Response, **_: object) -> None:
        answer.raw = _Counted(answer.raw, most or MOST)

    session = requests.Session()
    session.hooks["response"].append(bound)
    return session


def json_request(
    method: str, url: str, token: str, body: object = None, timeout: float = 10.0
) -> tuple[int, dict[str, str], object]:
    """One JSON request with a bearer token; gives status, headers (lower case) and the decoded answer.

    Raises:
        OSError: no answer, or one without an end.
    """
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    with bounded_session() as session:
        answer = session.request(method, url, json=body, headers=headers, timeout=timeout)
    told = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status_code, told, answer.json() if answer.content else None


def text_request(url: str, timeout: float = 10.0) -> str:
    """The text of a page. Raises OSError."""
    with bounded_session() as session:
        answer = session.get(url, timeout=timeout, headers={"Accept": "text/html"})
    answer.raise_for_status()
    return answer.text


HOPS = 5  # redirects that are followed
Late = requests.Timeout  # an answer, or a piece of it, that did not come in time
DIRECTLY = {"http": "", "https": "", "all": ""}  # what requests takes for: no proxy, whatever the environment says


class Untrusted(OSError):
    """A server's certificate is not one that this machine trusts."""


@dataclass(frozen=True)
class Answer:
    """What a server answered. `headers`: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class _AsGiven(requests.auth.AuthBase):
    """The headers as they are: else requests takes a login from ~/.netrc in place of ours."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def exchange(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    form: Mapping[str, str] | None = None,
    proxied: bool = True,
    timeout: float = 10.0,
) -> Answer:
    """One request, and what it leads to; `authorization` and `form` are told to the server alone that was asked first.

    Args:
        form: what is posted.
        proxied: whether the environment's proxy is used.
        timeout: seconds for each piece of the answer, which has MOST bytes at most.

    Raises:
        Untrusted. OSError: no answer, one without an end, or one that leads from TLS to plain http.
    """
    asked, told = url, {name.lower(): value for name, value in headers.items()}
    for _ in range(HOPS):
        answer = _one(method, asked, told, form, proxied, timeout)
        to = answer.headers.get("location", "")
        if answer.status not in (301, 302, 303, 307, 308) or not to:
            return answer
        before, asked = urlsplit(asked), urljoin(asked, to)
        after = urlsplit(asked)
        if before.scheme == "https" and after.scheme != "https":
            raise OSError(f"{before.netloc} leads to {after.scheme}://{after.netloc}, which is not encrypted")
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            if form is not None:
                raise OSError(f"{before.netloc} leads to {after.netloc}, which is not to know what was posted")
            told.pop("authorization", None)
    raise OSError(f"{urlsplit(url).netloc} leads on and on")


def _one(
    method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None, proxied: bool, timeout: float
) -> Answer:
    try:
        with bounded_session() as session:
            answer = session.request(
                method,
                url,
                headers=dict(headers),
                data=form,
                auth=_AsGiven(),
                allow_redirects=False,
                proxies=None if proxied else dict(DIRECTLY),
                timeout=timeout,
            )
        told = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, told, answer.content)
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise Untrusted(f"{urlsplit(url).netloc} shows a certificate that is not trusted here") from error
        raise
