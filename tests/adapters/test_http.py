"""Probes against applications that answer badly, over real sockets."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cicd.adapters.http import MOST, probe

pytestmark = pytest.mark.real
HEADERS = b"HTTP/1.1 200 OK\r\nX-Release: r1\r\n"


@contextlib.contextmanager
def application(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """An application that does `answer` with one connection; gives its address."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/health"
    thread.join(5)


def for_ever(connection: socket.socket, piece: bytes, pause: float = 0.0) -> None:
    while True:
        connection.sendall(piece)
        time.sleep(pause)


@pytest.mark.parametrize(
    "sent",
    [
        HEADERS + b"Content-Length: 2\r\n\r\nok",
        HEADERS + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        HEADERS + b"\r\nuntil the end",
        HEADERS + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        HEADERS + b"Content-Length: 1048576\r\n\r\n" + b"x" * 1048576,
        HEADERS + b"Transfer-Encoding: chunked\r\n\r\n" + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 40 + b"0\r\n\r\n",
        HEADERS + b"\r\n" + b"x" * (MOST - 1000),
    ],
)
def test_status_and_release_are_told(sent: bytes) -> None:
    with application(lambda connection: connection.sendall(sent)) as url:
        told = probe(url, release_header="x-release")
    assert (told.status, told.release, told.error) == (200, "r1", "")


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (HEADERS + b"\r\n", b"x" * 65536),
        (HEADERS + b"Content-Length: 99999999999\r\n\r\n", b"x" * 65536),
        (HEADERS + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ],
)
def test_an_answer_without_an_end_is_none(head: bytes, piece: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        for_ever(connection, piece)

    with application(answer) as url:
        told = probe(url, timeout=20)
    assert (told.status, told.error) == (0, "the answer has no end within 8 MiB")


@pytest.mark.parametrize(
    ("first", "piece"),
    [(b"", b"H"), (HEADERS, b"X"), (HEADERS + b"\r\n", b"x"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
)
def test_an_answer_that_trickles_is_none(first: bytes, piece: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(first)
        for_ever(connection, piece, 0.05)

    with application(answer) as url:
        told = probe(url, timeout=0.5)
    assert (told.status, told.error) == (0, "no answer in time")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"hello\r\n\r\n",
        HEADERS + b"Content-Length: 50\r\n\r\nok",
        HEADERS + b"Transfer-Encoding: chunked\r\n\r\n9\r\nx",
    ],
)
def test_what_is_no_whole_answer_is_none(sent: bytes) -> None:
    with application(lambda connection: connection.sendall(sent)) as url:
        told = probe(url)
    assert told.status == 0
    assert told.error


def test_headers_without_an_end_are_no_answer() -> None:
    with application(lambda connection: for_ever(connection, b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000)) as url:
        assert probe(url).status == 0


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert probe(f"http://127.0.0.1:{port}/").error == "the connection was refused"


def test_a_path_is_sent_in_one_line() -> None:
    asked: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        connection.sendall(HEADERS + b"Content-Length: 0\r\n\r\n")

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            asked.append(connection.recv(65536))
            answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        assert probe(f"http://127.0.0.1:{server.getsockname()[1]}/he alth\u202e%20?x=ü&y=1").status == 200
    assert asked[0].splitlines()[0] == b"GET /he%20alth%E2%80%AE%20?x=%C3%BC&y=1 HTTP/1.1"
