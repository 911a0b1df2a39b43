"""The HTTP server, made so that it can drop a connection and say when it listens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from cicd.localhub.gateway import DISCONNECT

BACKLOG = 512


class HubProtocol(H11Protocol):
    """HTTP/1.1 that lets the application close a connection without an answer."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        inner = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope = {**scope, "extensions": {**scope.get("extensions", {}), DISCONNECT: self.transport.abort}}
            await inner(scope, receive, send)

        self.app = app


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError when the port is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, or asyncio does not send at once what is written: an answer in two pieces would take 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """What a client says to reach it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: ASGIApp) -> uvicorn.Server:
    """A server for the application, which stops cleanly when its `should_exit` is set or on SIGTERM."""
    config = uvicorn.Config(
        app,
        http=HubProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=30,
    )
    return uvicorn.Server(config)


def serve(app: ASGIApp, listener: socket.socket, ready_file: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT. The ready file appears once the socket answers and goes with the server."""
    server = make_server(app)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn stops, then raises it again: here it has done its work

    async def run() -> None:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        if ready_file and server.started:
            write_atomically(ready_file, json.dumps({"url": url_of(listener), "pid": os.getpid()}))
        await task

    try:
        asyncio.run(run())
    finally:
        if ready_file:
            ready_file.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a file that is seen either whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(name).replace(path)
