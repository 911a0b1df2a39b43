"""GitHub, or what is in its place, answers with what is no answer: over real sockets, with the real PyGithub."""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cicd.adapters.github import GitHub
from cicd.adapters.github_calls import Calls, Unanswered
from cicd.errors import GitHubUnavailable
from tests.fakes import runner

pytestmark = pytest.mark.real


@contextmanager
def server(body: bytes, *, status: int = 200, kind: str = "application/json", trickle: bool = False) -> Iterator[str]:
    """Answers every request so; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", str(len(body) + 1000 * trickle))
            self.end_headers()
            while trickle and not over.wait(0.1):
                self.wfile.write(b" ")
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing."""

    over = threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.daemon_threads = True
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        over.set()
        made.shutdown()


def hub(url: str) -> GitHub:
    return GitHub(runner({"GITHUB_REPOSITORY": "acme/app", "GITHUB_API_URL": url, "CICD_GITHUB_PATIENCE": "0.1"}), "t")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>hi</html>",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"data": {"repository": {"x": 1}}}',
        b'{"data": {"repository": "x"}}',
        b'{"data": {"repository": {"e0": {"nodes": [null]}}}}',
    ],
)
def test_what_is_no_answer_of_github_is_said(body: bytes) -> None:
    kind = "text/html" if b"html" in body else "application/json"
    with server(body, kind=kind) as url, pytest.raises(GitHubUnavailable) as caught:
        hub(url).standing(["staging"])
    assert "Next: " in str(caught.value)


def test_a_redirect_to_elsewhere_is_no_answer() -> None:
    with server(b"", status=302) as url, pytest.raises(GitHubUnavailable):
        hub(url).standing(["staging"])


def test_an_answer_that_trickles_does_not_hold_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicd.adapters.github_calls.SHORTEST", 0.5)
    with server(b"{}", trickle=True) as url, pytest.raises(GitHubUnavailable, match="no whole answer within"):
        hub(url).standing(["staging"])


def test_a_write_that_is_left_behind_is_looked_up_before_it_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicd.adapters.github_calls.SHORTEST", 0.1)
    made: list[int] = []

    def post() -> int:
        made.append(1)
        time.sleep(30)
        return 0

    calls = Calls(2)
    assert calls.write(post, lambda: 7 if made else None, "a deployment") == 7
    assert len(made) == 1


def test_what_is_raised_in_a_call_comes_out_of_it() -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Calls(1).read(interrupted, "x")
    assert issubclass(Unanswered, OSError)
