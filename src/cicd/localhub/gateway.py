"""The HTTP side: guards, headers and faults around every request."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cicd.localhub import VERSION
from cicd.localhub.calls import Answer, Route
from cicd.localhub.faults import refusal
from cicd.localhub.problems import Problem
from cicd.localhub.service import Service, Visit

MAX_BODY = 1 << 20  # bytes
DISCONNECT = "localhub.disconnect"  # in scope["extensions"]: closes the connection without an answer
PREFIXES = ("/api/v3", "/api")  # of GitHub Enterprise Server: clients that speak to one reach us too
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class TooLarge(Exception):
    """The body is over the limit."""


async def read_body(request: Request) -> bytes:
    """The body. Raises TooLarge for over a MiB, without keeping it."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)


def respond(answer: Answer) -> Response:
    """HTTP of an answer."""
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, dict(answer.headers), "application/zip")
    empty = answer.status in (204, 302, 303)
    body = b"" if empty else msgspec.json.encode(answer.body)
    media = None if empty else "application/json; charset=utf-8"
    return Response(body, answer.status, dict(answer.headers), media)


def endpoint(service: Service, route: Route) -> Any:
    """The Starlette endpoint of a route. Handlers run in threads: they wait for SQLite and git."""

    async def run(request: Request) -> Response:
        try:
            body = await read_body(request)
        except TooLarge:
            problem = Problem(413, "Payload too large: the limit is 1 MiB")
            return respond(Answer(problem.status, problem.body, {"connection": "close"}))
        except ClientDisconnect:
            return Response(status_code=400)
        params = {name: unquote(value) for name, value in request.path_params.items()}
        query = dict(request.query_params)
        answer = await run_in_threadpool(service.serve, request.state.visit, route, params, query, body)
        return respond(answer)

    return run


def host_of(header: str) -> str:
    """The name in a Host header, without its port."""
    name = header.rpartition("]")[0].removeprefix("[") if header.startswith("[") else header.partition(":")[0]
    return name.lower()


class Gateway:
    """Around the application: refuses foreign Host headers (DNS rebinding), strikes with faults, logs, adds headers."""

    def __init__(self, app: ASGIApp, service: Service, hosts: Iterable[str] = ()) -> None:
        self.service = service
        self._app = app
        self._hosts = LOOPBACK | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        name = host_of(headers.get("host", ""))
        if name not in self._hosts and not name.endswith(".localhost"):
            body = Problem(421, "LocalHub answers only to names of this machine; start it with --host for others").body
            await respond(Answer(421, body))(scope, receive, send)
            return
        prefix, path = _split(scope)
        if path == "/" and _wants_page(scope["method"], headers):
            path = "/board"
        base = f"{scope['scheme']}://{headers['host']}{prefix}"
        visit = Visit(scope["method"], path, base, headers.get("authorization"))
        # Routes match the path as it was sent, so that a quoted slash stays inside its part.
        scope = {**scope, "path": path, "root_path": "", "state": {**scope.get("state", {}), "visit": visit}}
        await run_in_threadpool(self.service.admit, visit)
        logged = not visit.is_local and not _wants_page(visit.method, headers)
        await self._answer(visit, scope, receive, Sent(visit, send, self.service if logged else None))

    async def _answer(self, visit: Visit, scope: Scope, receive: Receive, sent: Sent) -> None:
        """Let the application answer, or the fault."""
        kind = visit.fault["kind"] if visit.fault else ""
        if kind in ("drop-before", "hang"):
            if kind == "hang":
                await _silence(visit.fault["seconds"] if visit.fault else 0, receive)
            await sent.log(0)
            await _disconnect(scope)
        elif kind == "drop-after-write":
            await self._app(scope, receive, sent.swallow)
            await sent.log(0)
            await _disconnect(scope)
        elif visit.fault:
            problem = refusal(visit.fault)
            await respond(Answer(problem.status, problem.body, problem.headers))(scope, receive, sent)
        else:
            await self._app(scope, receive, sent)


class Sent:
    """The way out: adds GitHub's headers, and logs before the caller has the answer, who may ask for the log next."""

    def __init__(self, visit: Visit, send: Send, service: Service | None) -> None:
        self._visit = visit
        self._send = send
        self._service = service

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self.log(message["status"])
            headers = MutableHeaders(scope=message)
            headers["x-localhub-version"] = VERSION
            headers["x-github-request-id"] = secrets.token_hex(10).upper()
            if not self._visit.is_local:
                self._add_rate(headers)
        await self._send(message)

    def _add_rate(self, headers: MutableHeaders) -> None:
        rate = self._visit.rate
        headers["x-github-media-type"] = "github.v3; format=json"
        headers["x-ratelimit-resource"] = "graphql" if self._visit.path == "/graphql" else "core"
        used = rate["used"] + 1
        figures = {**rate, "used": used, "remaining": max(0, rate["limit"] - used)}
        for name, value in figures.items():
            headers.setdefault(f"x-ratelimit-{name}", str(value))

    async def log(self, status: int) -> None:
        """Keep that the call was made; 0 for no answer."""
        if self._service:
            await run_in_threadpool(self._service.log, self._visit, status)

    async def swallow(self, message: Message) -> None:
        """Send nothing, though the application thinks so."""


def _split(scope: Scope) -> tuple[str, str]:
    """The prefix and the quoted path below it."""
    path = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
    for prefix in PREFIXES:
        if path == prefix or path.startswith(f"{prefix}/"):
            return prefix, path.removeprefix(prefix) or "/"
    return "", path


def _wants_page(method: str, headers: Headers) -> bool:
    """Whether a browser looks, rather than a program."""
    return method == "GET" and "text/html" in headers.get("accept", "")


async def _silence(seconds: float, receive: Receive) -> None:
    """Wait, but not longer than the caller does."""

    async def until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(until_gone(), seconds)
    except TimeoutError:
        return


async def _disconnect(scope: Scope) -> None:
    """Close the connection. The server offers it; without it there is no way to end without an answer."""
    disconnect = scope.get("extensions", {}).get(DISCONNECT)
    if disconnect is None:
        raise RuntimeError("the server cannot drop connections; start LocalHub with its own server")
    disconnect()
    await asyncio.sleep(0)
