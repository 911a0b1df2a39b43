"""Faults on demand: errors, rate limits, dropped connections and silence, for tests of what a client then does."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from cicd.localhub.calls import Json
from cicd.localhub.problems import Problem
from cicd.localhub.store import Db, Row, insert, many

Kind = Literal["status", "rate-limit-403", "rate-limit-429", "drop-before", "drop-after-write", "hang"]
_OWN = ("/_localhub", "/board")
_MESSAGES = {500: "Server Error", 502: "Server Error", 503: "Service unavailable", 504: "We couldn't respond in time."}


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule.

    Attributes:
        method: HTTP method, or `*`.
        path: glob over the path without the query; `*` matches slashes too. LocalHub's own paths are met only by a
            glob that begins with /_localhub or /board.
        skip: how many matching calls pass before the first that fails.
        times: how many fail; None for all.
        status: for kind `status`.
        retry_after: seconds, sent with `status` and the rate limits.
        seconds: of silence, for `hang`; then the connection is closed and nothing was done.
    """

    kind: Kind
    method: str = "*"
    path: str = "*"
    skip: int = 0
    times: int | None = 1
    status: int = 500
    retry_after: int | None = None
    seconds: float = 30.0


def replace_faults(db: Db, faults: list[Fault]) -> None:
    """Make these the rules, with their counts at zero."""
    db.execute("DELETE FROM faults")
    for fault in faults:
        insert(db, "faults", **msgspec.structs.asdict(fault))


def list_faults(db: Db) -> list[Row]:
    """The rules in order, each with how often it matched and fired."""
    return many(db, "SELECT * FROM faults ORDER BY id")


def claim_fault(db: Db, method: str, path: str) -> Row | None:
    """The fault of this call: the first rule that is due. Every rule that matches counts the call."""
    due = None
    for fault in list_faults(db):
        own = path.startswith(_OWN) and not fault["path"].startswith(_OWN)
        if own or fault["method"] not in ("*", method) or not fnmatchcase(path, fault["path"]):
            continue
        fires = due is None and _is_due(fault)
        db.execute("UPDATE faults SET matched = matched + 1, fired = fired + ? WHERE id = ?", (fires, fault["id"]))
        due = fault if fires else due
    return due


def _is_due(fault: Row) -> bool:
    if fault["matched"] < fault["skip"]:
        return False
    return fault["times"] is None or fault["fired"] < fault["times"]


def refusal(fault: Row) -> Problem:
    """The answer for kinds that answer."""
    after = fault["retry_after"]
    headers = {} if after is None else {"retry-after": str(after)}
    if fault["kind"] == "status":
        return Problem(fault["status"], _MESSAGES.get(fault["status"], "Fault on demand"), headers=headers)
    if fault["kind"] == "rate-limit-429":
        return Problem(429, "You have exceeded a secondary rate limit. Please wait a few minutes.", headers=headers)
    limited: Json = headers | ({} if headers else {"x-ratelimit-remaining": "0"})
    return Problem(403, "API rate limit exceeded for installation.", headers=limited)
