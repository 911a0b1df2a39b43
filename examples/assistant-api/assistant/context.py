from __future__ import annotations

import json
import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.logs import request_id

log = logging.getLogger("assistant.requests")

_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def correlation_id(given: str | None) -> str:
    """The caller's id if it is fit for a log and a header, else a new one."""
    if given and _ACCEPTABLE_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex


class RequestContext:
    """Gives every answer its release and correlation id, unforeseen errors too, and logs one line for it."""

    def __init__(self, app: ASGIApp, release: str) -> None:
        self._app = app
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        current = correlation_id(Headers(scope=scope).get("x-request-id"))
        token = request_id.set(current)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Release"] = self._release
                headers["X-Request-ID"] = current
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            if status:  # the answer has begun: all that is left is to break the connection
                raise
            log.error("unforeseen error", extra={"error": f"{type(error).__name__}: {error}"}, exc_info=error)
            await _send_error(send_with_headers, current)
        finally:
            log.info(
                "request",
                extra={
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round((time.perf_counter() - started) * 1000, 1),
                },
            )
            request_id.reset(token)


async def _send_error(send: Send, current: str) -> None:
    body = json.dumps({"detail": "internal error", "request_id": current}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
