"""The application that the lab deploys: stdlib only, `service.py web|worker|cron|job`, all of one image.

How it (mis)behaves is said by the environment:
PORT                8000 if not said
START_AFTER         seconds before it listens
UNHEALTHY=1         /health answers 503
FAIL=1              everything but /health answers 500
SLOW                seconds that every answer but /health takes
CRASH_AFTER         seconds after which it ends with 1; 0: at once
CRASH_ON            path that ends it with 1 when it is asked for
EAT_MEMORY          MB that it takes at the start
STUBBORN=1          it ignores SIGTERM
UPLOAD_PACE         seconds that it takes over each 64 KiB of an upload
EVERY               seconds between two rounds of a worker or cron (0.2 and 1)
JOURNAL             file to which each round of a worker or cron, and a job, appends a line of JSON
JOB_CODE            what a job ends with
"""

import base64
import hashlib
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

RELEASE = os.environ.get("CICD_RELEASE", "")
CHUNK = 65536
WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
CLOSE, PING, PONG, GOING_AWAY = 8, 9, 10, 1001

ending = threading.Event()


def setting(name: str, default: float = 0) -> float:
    return float(os.environ.get(name) or default)


def tell(**what: Any) -> None:
    line = json.dumps({"time": round(time.time(), 3), "release": RELEASE, "host": socket.gethostname(), **what})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Server(ThreadingHTTPServer):
    """Ends gracefully: what is under way is finished, connections on which nothing is asked are closed."""

    request_queue_size = 1024
    daemon_threads = False  # server_close() waits for them

    def __init__(self, port: int) -> None:
        super().__init__(("0.0.0.0", port), Handler)
        self.lock = threading.Lock()
        self.idle: set[socket.socket] = set()

    def end(self) -> None:
        with self.lock:
            ending.set()
            for connection in self.idle:
                connection.shutdown(socket.SHUT_RD)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def handle_one_request(self) -> None:
        with self.server.lock:
            if ending.is_set():
                self.close_connection = True
                return
            self.server.idle.add(self.connection)
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            with self.server.lock:
                self.server.idle.discard(self.connection)

    def parse_request(self) -> bool:
        with self.server.lock:
            self.server.idle.discard(self.connection)
        self.began = time.monotonic()
        return super().parse_request()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == os.environ.get("CRASH_ON"):
            os._exit(1)
        if url.path == "/health":
            return self.answer(503 if setting("UNHEALTHY") else 200, {"healthy": not setting("UNHEALTHY")})
        if url.path == "/ws":
            return self.talk()
        time.sleep(setting("SLOW") + float(parse_qs(url.query).get("seconds", ["0"])[0]))
        about = {"release": RELEASE, "host": socket.gethostname(), "greeting": os.environ.get("GREETING", "")}
        return self.answer(500 if setting("FAIL") else 200, about)

    def do_POST(self) -> None:
        left, digest = int(self.headers.get("Content-Length") or 0), hashlib.sha256()
        size = left
        while left and (part := self.rfile.read(min(left, CHUNK))):
            digest.update(part)
            left -= len(part)
            time.sleep(setting("UPLOAD_PACE"))
        self.answer(400 if left else 200, {"sha256": digest.hexdigest(), "size": size - left})

    do_PUT = do_POST

    def answer(self, status: int, about: object) -> None:
        body = json.dumps(about).encode()
        self.send_response(status)
        self.send_header("X-Release", RELEASE)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if ending.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        seconds = round(time.monotonic() - self.began, 4)
        tell(method=self.command, path=self.path, status=int(code), seconds=seconds)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def talk(self) -> None:
        """A WebSocket that says what it hears, until either side goes away."""
        key = self.headers.get("Sec-WebSocket-Key", "") + WEBSOCKET
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.send_header("X-Release", RELEASE)
        self.end_headers()
        self.close_connection = True
        self.connection.settimeout(None)
        while not ending.is_set():
            # What rfile has read ahead is not seen by select.
            if not select.select([self.connection], [], [], 0.1)[0]:
                continue
            if not self.echo():
                return
        self.send_frame(0x80 | CLOSE, struct.pack(">H", GOING_AWAY))

    def echo(self) -> bool:
        """Answer one frame (RFC 6455, 5.2); whether there may be another."""
        head = self.receive(2)
        if len(head) < 2:
            return False
        size = head[1] & 0x7F
        if size > 125:
            width = 2 if size == 126 else 8
            size = int.from_bytes(self.receive(width))
        mask, body = self.receive(4), self.receive(size)
        plain = bytes(byte ^ mask[place % 4] for place, byte in enumerate(body))
        opcode = head[0] & 0x0F
        if opcode == PONG:
            return True
        self.send_frame(head[0] & 0xF0 | PONG if opcode == PING else head[0], plain)
        return opcode != CLOSE

    def receive(self, size: int) -> bytes:
        """So many bytes, past rfile, which reads ahead; fewer if the other side has gone."""
        body = b""
        while len(body) < size and (part := self.connection.recv(size - len(body))):
            body += part
        return body

    def send_frame(self, first: int, body: bytes) -> None:
        size = len(body)
        length = bytes([size]) if size < 126 else struct.pack(">BH", 126, size & 0xFFFF)
        if size > 0xFFFF:
            length = struct.pack(">BQ", 127, size)
        self.wfile.write(bytes([first]) + length + body)


def web() -> None:
    server = Server(int(setting("PORT", 8000)))
    ended = threading.Thread(target=server.shutdown)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if setting("STUBBORN") else lambda *_: ended.start())
    tell(mode="web", said="listens")
    server.serve_forever(poll_interval=0.05)
    server.end()
    tell(mode="web", said="ends")


def work(mode: str, every: float) -> None:
    """A worker or a cron: does something again and again, and finishes it before it ends."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN if setting("STUBBORN") else lambda *_: ending.set())
    while not ending.wait(setting("EVERY", every)):
        journal(mode)
    tell(mode=mode, said="ends")


def journal(mode: str) -> None:
    tell(mode=mode, said="did a round")
    if path := os.environ.get("JOURNAL"):
        with open(path, "a") as file:
            file.write(json.dumps({"mode": mode, "release": RELEASE, "time": time.time()}) + "\n")


def main(mode: str = "web") -> None:
    if "CRASH_AFTER" in os.environ:
        timer = threading.Timer(setting("CRASH_AFTER"), lambda: os._exit(1))
        timer.daemon = True
        timer.start()
    held = bytearray(os.urandom(1024)) * 1024 * int(setting("EAT_MEMORY"))
    time.sleep(setting("START_AFTER"))
    if mode == "job":
        journal(mode)
        sys.exit(int(setting("JOB_CODE")))
    elif mode == "web":
        web()
    else:
        work(mode, {"worker": 0.2, "cron": 1.0}[mode])
    del held


if __name__ == "__main__":
    main(*sys.argv[1:])
