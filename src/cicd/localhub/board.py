"""The board: the page and its form.

Whoever can reach it may approve as any reviewer, for this is one's own machine. A foreign web page may not: forms carry
a token bound to a SameSite cookie, the Origin is checked, and the gateway refuses foreign Host headers.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from cicd.localhub.board_data import read_board
from cicd.localhub.board_page import render, render_refusal
from cicd.localhub.gateway import TooLarge, read_body
from cicd.localhub.problems import Problem
from cicd.localhub.reviews import Review, review
from cicd.localhub.runs import find_run
from cicd.localhub.service import Service
from cicd.localhub.store import now, one

_POLICY = (
    "default-src 'none'; img-src data:; style-src 'nonce-{0}'; script-src 'nonce-{0}'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SAID = {"approved": "Approved.", "rejected": "Rejected."}


class Board:
    """The board of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._secret = secrets.token_bytes(32)

    def _csrf(self, cookie: str) -> str:
        return hmac.new(self._secret, cookie.encode(), hashlib.sha256).hexdigest()

    async def show(self, request: Request) -> Response:
        """GET /board; with `static=1` a page without forms and scripts, to be kept as a file."""
        static = bool(request.query_params.get("static"))
        name = _cookie_name(request)
        cookie = request.cookies.get(name) or secrets.token_urlsafe(24)
        nonce = secrets.token_urlsafe(16)
        said = _SAID.get(request.query_params.get("done", ""), "")

        def page() -> str:
            with self._service.store.read() as db:
                repos = read_board(db)
            if static:
                return render(repos, made=now())
            return render(repos, made=now(), csrf=self._csrf(cookie), nonce=nonce, said=said)

        response = HTMLResponse(await run_in_threadpool(page))
        response.headers["cache-control"] = "no-store"
        response.headers["x-content-type-options"] = "nosniff"
        if not static:
            response.headers["content-security-policy"] = _POLICY.format(nonce)
            response.set_cookie(name, cookie, httponly=True, samesite="strict", path="/board")
        return response

    async def review(self, request: Request) -> Response:
        """POST /board/runs/{run_id}/review: the form beside a plan."""
        try:
            fields = _fields(await read_body(request))
            self._check(request, fields.get("csrf", ""))
            state = await run_in_threadpool(self._decide, request.path_params["run_id"], fields)
        except TooLarge:
            return HTMLResponse(render_refusal("The form is too large."), 413)
        except Problem as problem:
            return HTMLResponse(render_refusal(str(problem)), problem.status)
        return RedirectResponse(f"/board?done={state}", 303)

    def _check(self, request: Request, csrf: str) -> None:
        """Raises 403 unless the form came from our own page."""
        origin = request.headers.get("origin")
        ours = f"{request.url.scheme}://{request.headers['host']}"
        if origin != ours:
            raise Problem(403, "The form came from another site.")
        cookie = request.cookies.get(_cookie_name(request), "")
        if not cookie or not hmac.compare_digest(csrf.encode(), self._csrf(cookie).encode()):
            raise Problem(403, "The form is out of date. Go back, load the board again and repeat.")

    def _decide(self, run_id: int, fields: dict[str, str]) -> str:
        state: Any = fields.get("state")
        number = fields.get("environment_id", "")
        if state not in _SAID or not (number.isascii() and number.isdigit()):
            raise Problem(422, "The form is incomplete.")
        asked = Review(environment_ids=[int(number)], state=state, comment=fields.get("comment", "")[:1000])
        with self._service.store.write() as db:
            repo = one(db, "SELECT * FROM repos WHERE id = (SELECT repo_id FROM runs WHERE id = ?)", run_id)
            run = find_run(db, repo, run_id) if repo else None
            user = one(db, "SELECT * FROM users WHERE login = ?", fields.get("login", ""))
            if repo is None or run is None or user is None:
                raise Problem(404, "There is no such run or reviewer.")
            review(db, repo, run, user, asked)
        return str(state)


def _cookie_name(request: Request) -> str:
    """Cookies know no ports, and more than one LocalHub may run."""
    return f"localhub_{request.url.port or 80}"


def _fields(body: bytes) -> dict[str, str]:
    try:
        parsed = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise Problem(400, "The form cannot be read.") from None
    return {name: values[0] for name, values in parsed.items()}


def board_routes(service: Service) -> list[Route]:
    """Paths of the board."""
    board = Board(service)
    show: Callable[..., Any] = board.show
    return [
        Route("/board", show, methods=["GET"]),
        Route("/board/runs/{run_id:int}/review", board.review, methods=["POST"]),
    ]
