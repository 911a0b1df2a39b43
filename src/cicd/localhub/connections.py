"""GraphQL's lists in pages: first/after and last/before over rows that are asked for by their ids."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from graphql import GraphQLError

from cicd.localhub.calls import MAX_PAGE
from cicd.localhub.store import Db, Row, count, many

_PREFIX = "cursor:v2:"


def cursor(row: Row) -> str:
    """The place of a row in its list."""
    return base64.b64encode(f"{_PREFIX}{row['id']}".encode()).decode()


def _position(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    try:
        return int(base64.b64decode(text, validate=True).decode().removeprefix(_PREFIX))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise GraphQLError(f"`{text}` does not appear to be a valid cursor for `{name}`.") from None


def _check(name: str, first: int | None, last: int | None) -> int:
    if (first is None) == (last is None):
        missing = "either `first` or `last`" if first is None else "not both `first` and `last`"
        raise GraphQLError(f"You must provide {missing} to properly paginate the `{name}` connection.")
    size = int(first if first is not None else last or 0)
    if not 0 <= size <= MAX_PAGE:
        raise GraphQLError(f"Requesting {size} records on the `{name}` connection exceeds the limit of {MAX_PAGE}.")
    return size


def connect(
    db: Db,
    name: str,
    found: str,
    values: list[Any],
    node: Callable[[Row], Any],
    *,
    newest_first: bool,
    first: int | None = None,
    last: int | None = None,
    after: str | None = None,
    before: str | None = None,
) -> dict[str, Any]:
    """A connection.

    Args:
        name: for messages.
        found: SQL that gives the rows, each with an `id`; our own text.
        values: for the marks in it.
        node: makes a GraphQL object of a row.

    Raises GraphQLError without exactly one of first and last, for over 100 of them, and for a wrong cursor.
    """
    size = _check(name, first, last)
    ahead, behind = (">", "<") if not newest_first else ("<", ">")
    bounds = [(ahead, _position(after, name)), (behind, _position(before, name))]
    limits = [(sign, place) for sign, place in bounds if place is not None]
    where = " AND ".join(["1", *(f"id {sign} ?" for sign, _ in limits)])
    order = "DESC" if newest_first == (first is not None) else "ASC"
    sql = f"SELECT * FROM ({found}) WHERE {where} ORDER BY id {order} LIMIT ?"  # noqa: S608 (only our own text)
    rows = many(db, sql, *values, *(place for _, place in limits), size + 1)
    more, rows = len(rows) > size, rows[:size]
    if last is not None:
        rows = rows[::-1]
    return {
        "totalCount": lambda *_: count(db, f"SELECT count(*) FROM ({found})", *values),  # noqa: S608 (only our own text)
        "nodes": [node(row) for row in rows],
        "edges": [{"cursor": cursor(row), "node": node(row)} for row in rows],
        "pageInfo": {
            "startCursor": cursor(rows[0]) if rows else None,
            "endCursor": cursor(rows[-1]) if rows else None,
            "hasNextPage": more if first is not None else before is not None,
            "hasPreviousPage": more if last is not None else after is not None,
        },
    }


def listed(name: str, nodes: list[Any], _: Any, first: int | None = None, last: int | None = None, **__: Any) -> Any:
    """A connection of a list so short that it has one page."""
    size = _check(name, first, last)
    kept = nodes[:size] if first is not None else nodes[-size:] if size else []
    return {"totalCount": len(nodes), "nodes": kept}
