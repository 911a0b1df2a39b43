"""The connection to what answers as GitHub, over real sockets."""

import contextlib
import gzip
import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from cicd.adapters import github_connection
from cicd.adapters.github import GitHub
from cicd.adapters.http import MOST, json_request, text_request
from cicd.errors import GitHubUnavailable
from tests.fakes import runner

pytestmark = pytest.mark.real
ANSWER = json.dumps([{"id": 1, "state": "approved", "environments": [], "user": {"login": "rita"}}]).encode()


class Server(http.server.ThreadingHTTPServer):
    """Answers as its paths say; `connections` that were opened, `sent` bytes of answers without an end."""

    daemon_threads = True
    connections = 0
    sent = 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if "/runs/7/" in self.path:
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)
            return
        if "/runs/9/" in self.path:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        piece = gzip.compress(b" " * 1_000_000) if "/runs/9/" in self.path else b" " * 65536
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.server.sent += len(piece)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def at(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def hub(server: Server) -> GitHub:
    env = {"GITHUB_API_URL": at(server), "GITHUB_REPOSITORY": "acme/app", "CICD_GITHUB_PATIENCE": "0.01"}
    return GitHub(runner(env), "token")


def test_one_connection_is_kept_from_call_to_call(server: Server) -> None:
    github = hub(server)
    for _ in range(5):
        assert [review.by for review in github.reviews("7")] == ["rita"]
    assert (github.calls, server.connections) == (5, 1)


@pytest.mark.parametrize("run", ["8", "9"], ids=["plain", "packed"])
def test_an_answer_without_an_end_is_not_held_in_memory(
    server: Server, monkeypatch: pytest.MonkeyPatch, run: str
) -> None:
    monkeypatch.setattr(github_connection, "MOST", 3 * MOST)
    github = hub(server)
    with pytest.raises(GitHubUnavailable, match=r"is not GitHub: the answer has no end within 24 MiB.*a proxy"):
        github.reviews(run)
    assert server.sent < 10 * MOST, "beside the limit there is what the kernel holds"


@pytest.mark.parametrize("ask", [lambda url: json_request("GET", url, "t"), text_request])
def test_nor_is_one_of_another_server(server: Server, ask: object) -> None:
    assert callable(ask)
    with pytest.raises(OSError, match="no end within 8 MiB"):
        ask(f"{at(server)}/runs/8/")
