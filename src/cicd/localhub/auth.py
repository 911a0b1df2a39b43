"""Tokens: who calls, and what they may do. A token is stored only as its SHA-256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from typing import Any

from cicd.localhub.calls import Call, Route
from cicd.localhub.problems import Problem, forbidden, not_found
from cicd.localhub.store import Db, Row, insert, now, one

BOT = 41898282  # the user behind every run's token
LEVELS = {"none": 0, "read": 1, "write": 2}
SCOPES = (
    "actions",
    "administration",
    "attestations",
    "checks",
    "contents",
    "deployments",
    "issues",
    "metadata",
    "pull_requests",
    "statuses",
)
# What a run's token may do unless it is told: GitHub's permissive default. It never administers environments.
RUN_PERMISSIONS = {scope: "write" for scope in SCOPES if scope not in ("administration", "metadata")}


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def make_token(
    db: Db,
    *,
    user_id: int,
    kind: str,
    token: str | None = None,
    repo_id: int | None = None,
    run_id: int | None = None,
    permissions: dict[str, str] | None = None,
) -> str:
    """A new token, which is told only here.

    Args:
        kind: `user` for a person, `app` for a run.
        token: its text; None for a random one.
        repo_id: the only repository that it may write to.
        permissions: scope to `read` or `write`; None for everything.

    Raises Problem 422 when the text is taken or a permission is unknown.
    """
    text = token or {"user": "ghp_", "app": "ghs_"}[kind] + secrets.token_hex(18)
    if unknown := [f"{scope}: {level}" for scope, level in (permissions or {}).items() if level not in LEVELS]:
        raise Problem(422, f"A permission is none, read or write, not {', '.join(unknown)}")
    if one(db, "SELECT id FROM tokens WHERE sha256 = ?", digest(text)):
        raise Problem(422, "The token exists already")
    insert(
        db,
        "tokens",
        sha256=digest(text),
        kind=kind,
        user_id=user_id,
        repo_id=repo_id,
        run_id=run_id,
        permissions=None if permissions is None else json.dumps(permissions),
        created_at=now(),
    )
    return text


def credentials(authorization: str) -> str:
    """The token in an Authorization header: `token X`, `Bearer X` or `Basic` with the token as the password."""
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return rest.strip() if scheme.lower() in ("token", "bearer") else ""


def find_token(db: Db, authorization: str | None) -> Row | None:
    """The token of a request, with its user's login; None if none was sent. Raises 401 for a wrong one."""
    if not authorization:
        return None
    sha256 = digest(credentials(authorization))
    row = one(db, "SELECT t.*, u.login FROM tokens t JOIN users u ON u.id = t.user_id WHERE sha256 = ?", sha256)
    if row is None:
        raise Problem(401, "Bad credentials")
    return row


def allows(token: Row, scope: str, level: str) -> bool:
    """Whether the token has the permission."""
    if token["permissions"] is None:
        return True
    granted: dict[str, Any] = json.loads(token["permissions"])
    return LEVELS[granted.get(scope, "read" if scope == "metadata" else "none")] >= LEVELS[level]


def permit(call: Call, route: Route) -> None:
    """Refuse what the token may not do.

    Raises:
        Problem: 401 without a token, 404 for a private repository of others, 403 without the permission.
    """
    if route.permission == "open":
        return
    token = call.token
    if token is None:
        raise Problem(401, "Requires authentication")
    elsewhere = bool(call.repo) and token["repo_id"] not in (None, call.repo["id"])
    if elsewhere and call.repo["private"]:
        raise not_found()
    if elsewhere and route.level == "write":
        raise forbidden()
    scopes = (route.permission or "").split("|")
    if route.permission and not any(allows(token, scope, route.level) for scope in scopes):
        raise forbidden()
