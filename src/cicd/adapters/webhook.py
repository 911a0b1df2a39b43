"""A small server for POSTs of JSON: a webhook that somebody's own system calls."""

import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGEST = 1024 * 1024  # bytes of a message
PATIENCE = 10.0  # seconds for all of it

Handle = Callable[[bytes], tuple[int, Any]]


@contextmanager
def serving(host: str, port: int, token: str, handle: Handle) -> Iterator[int]:
    """Answer `POST /` with what `handle` makes of the body: a status and a JSON value; gives the port.

    Args:
        token: that callers must bear; empty: none.

    Raises:
        OSError: the address cannot be listened on.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE

        def do_GET(self) -> None:
            self._answer(*((200, {"status": "ok"}) if self.path == "/healthz" else (404, {"error": "POST / it is"})))

        def do_POST(self) -> None:
            size = self.headers.get("Content-Length", "")
            if token and not hmac.compare_digest(self.headers.get("Authorization", ""), f"Bearer {token}"):
                return self._answer(401, {"error": "the bearer token is another one"})
            if not size.isascii() or not size.isdigit() or int(size) > LARGEST:
                return self._answer(413, {"error": f"a message has a Content-Length, of {LARGEST} bytes at most"})
            if self.path.partition("?")[0] != "/":
                return self._answer(404, {"error": "POST / it is"})
            body = self.rfile.read(int(size))
            return self._answer(*handle(body))

        def _answer(self, status: int, value: Any) -> None:
            body = json.dumps(value).encode()
            self.close_connection = True
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Callers are told; the log has what was done."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
