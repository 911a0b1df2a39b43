"""What happens to a request between the socket and its handler, and what is kept of it."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cicd.localhub.auth import credentials, digest, find_token, permit
from cicd.localhub.calls import Answer, Call, Json, Route
from cicd.localhub.faults import claim_fault
from cicd.localhub.problems import Problem, not_found
from cicd.localhub.repos import find_repo
from cicd.localhub.store import Db, Row, Store, count, insert

HOUR = 3600
UNCOUNTED = ("/rate_limit",)


@dataclass
class Visit:
    """One request, from its arrival on.

    Attributes:
        base: URL of the server as the caller sees it.
        path: as it was sent, still quoted.
        token: who calls; None for nobody or the admin.
        refused: why the token was refused.
        rate: limit, used, remaining and reset.
        fault: the rule that is to strike.
    """

    method: str
    path: str
    base: str
    authorization: str | None
    began: float = field(default_factory=time.monotonic)
    token: Row | None = None
    is_admin: bool = False
    refused: Problem | None = None
    rate: Json = field(default_factory=dict)
    fault: Row | None = None
    repo_id: int | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is for LocalHub itself, which GitHub does not have: neither counted nor logged."""
        return self.path.startswith("/_localhub") or self.path == "/board" or self.path.startswith("/board/")


class Service:
    """LocalHub without its HTTP: admits requests, runs handlers in transactions, keeps the log.

    Args:
        limits: requests an hour by kind of token, as GitHub has them; 0 for no limit.
    """

    def __init__(self, store: Store, admin_token: str, limits: dict[str, int]) -> None:
        self.store = store
        self.limits = limits
        self._admin = digest(admin_token)

    def admit(self, visit: Visit) -> None:
        """Find out who calls, what is left of their limit, and whether a fault is due."""
        sent = digest(credentials(visit.authorization or ""))
        visit.is_admin = bool(visit.authorization) and hmac.compare_digest(sent, self._admin)
        with self.store.read() as db:
            try:
                visit.token = None if visit.is_admin else find_token(db, visit.authorization)
            except Problem as refused:
                visit.refused = refused
            visit.rate = self._rate(db, visit.token)
            faulty = count(db, "SELECT count(*) FROM faults") > 0
        if faulty:
            with self.store.write() as db:
                visit.fault = claim_fault(db, visit.method, visit.path)

    def _rate(self, db: Db, token: Row | None) -> Json:
        """All tokens of a repository's runs share one limit, as GITHUB_TOKEN does."""
        start = int(time.time()) // HOUR * HOUR
        kind = token["kind"] if token else "none"
        limit = self.limits.get(kind, 60) or 10**9
        used = 0
        if token and kind == "app":
            sql = """SELECT count(*) FROM calls WHERE repo_id = ? AND at >= ? AND NOT free
                AND token_id IN (SELECT id FROM tokens WHERE kind = 'app')"""
            used = count(db, sql, token["repo_id"], start)
        elif token:
            used = count(
                db, "SELECT count(*) FROM calls WHERE token_id = ? AND at >= ? AND NOT free", token["id"], start
            )
        return {"limit": limit, "used": used, "remaining": max(0, limit - used), "reset": start + HOUR}

    def serve(self, visit: Visit, route: Route, params: dict[str, str], query: dict[str, str], body: bytes) -> Answer:
        """Answer a request; refusals are answers too. Whatever a handler wrote is undone when it refuses."""
        try:
            self._check(visit, route)
            call = Call(
                db=None,  # type: ignore[arg-type]  # set below: a body is read before a transaction begins
                base=visit.base,
                path=visit.path,
                params=params,
                query=query,
                body=parse(body),
                token=visit.token,
                rate=visit.rate,
                is_admin=visit.is_admin,
            )
            writes = (route.transaction or route.level) == "write"
            with self.store.write() if writes else self.store.read() as call.db:
                return self._handle(visit, route, call)
        except Problem as problem:
            return Answer(problem.status, problem.body, problem.headers)

    def _check(self, visit: Visit, route: Route) -> None:
        if route.permission == "admin":
            if not visit.is_admin:
                raise Problem(401, "Requires the admin's token")
            return
        if visit.refused:
            raise visit.refused
        if not visit.is_local and visit.rate["remaining"] <= 0 and visit.path not in UNCOUNTED:
            raise Problem(403, "API rate limit exceeded for installation.", headers={"x-ratelimit-remaining": "0"})

    def _handle(self, visit: Visit, route: Route, call: Call) -> Answer:
        if {"owner", "repo"} <= call.params.keys():
            if call.token is None and route.permission not in ("open", "admin"):
                raise Problem(401, "Requires authentication")
            found = find_repo(call.db, call.params["owner"], call.params["repo"])
            if found is None:
                raise not_found()
            call.repo, visit.repo_id = found, found["id"]
        if route.permission != "admin":
            permit(call, route)
        return route.handle(call)

    def log(self, visit: Visit, status: int) -> None:
        """Keep that the call was made; status 0 for no answer."""
        token = visit.token or {}
        values: dict[str, Any] = {
            "at": time.time(),
            "method": visit.method,
            "path": visit.path[:2000],
            "status": status,
            "ms": round((time.monotonic() - visit.began) * 1000, 2),
            "token_id": token.get("id"),
            "run_id": token.get("run_id"),
            "repo_id": token.get("repo_id") or visit.repo_id,
            "fault": visit.fault["kind"] if visit.fault else None,
            "free": visit.path in UNCOUNTED,
        }
        with self.store.write() as db:
            insert(db, "calls", **values)


def parse(body: bytes) -> Any:
    """JSON of a body; None for nothing. Raises 400 as GitHub does."""
    if not body.strip():
        return None
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Problem(400, "Problems parsing JSON") from None
    if value is not None and not isinstance(value, dict):
        raise Problem(400, "Body should be a JSON object")
    return value
