"""One call of the API as a handler sees it, and what it answers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from cicd.localhub.problems import Problem
from cicd.localhub.store import Db, Row

Json = dict[str, Any]
T = TypeVar("T")
MAX_PAGE = 100


class Answer(NamedTuple):
    """What a handler gives back; `body` is encoded as JSON unless it is bytes, or the status has none."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}


@dataclass
class Call:
    """A request that has passed authentication and permission checks.

    Attributes:
        db: in a transaction that commits when the handler returns.
        base: what every URL in the answer begins with, without a slash at the end.
        path: below the base.
        params: parts of the path, unquoted.
        query: of the URL.
        body: the JSON that was sent; None for nothing.
        token: row of the table, with the `login` of its user; None where no token is needed.
        repo: the repository of the path; an empty row for paths without one.
        rate: figures of the rate limit.
        is_admin: whether the admin's token came with it.
    """

    db: Db
    base: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    token: Row | None
    rate: Json
    is_admin: bool = False
    repo: Row = field(default_factory=dict)

    @property
    def repo_url(self) -> str:
        """URL of the repository."""
        return f"{self.base}/repos/{self.repo['owner']}/{self.repo['name']}"

    @property
    def html_url(self) -> str:
        """URL of the repository for a browser."""
        return f"{self.base}/{self.repo['owner']}/{self.repo['name']}"

    @property
    def user_id(self) -> int:
        """The user that acts; for an app token its bot."""
        assert self.token is not None, "routes that ask for the user demand a token"
        return int(self.token["user_id"])

    def number(self, name: str) -> int:
        """A number from the path. Raises 404 for anything else, as GitHub does."""
        text = self.params[name]
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise Problem(404, "Not Found")
        return int(text)

    def read(self, shape: type[T]) -> T:
        """The body as a msgspec struct. Raises 422 with what is wrong with it."""
        try:
            return msgspec.convert({} if self.body is None else self.body, shape)
        except msgspec.ValidationError as error:
            raise Problem(422, f"Invalid request.\n\n{error}.") from None


class Route(NamedTuple):
    """One operation of the API.

    Attributes:
        template: the path as GitHub's description writes it.
        permission: `actions`, `checks`, …, or several of which one is enough, as in `issues|pull_requests`; None lets
            every valid token in; `open` needs no token, `admin` the admin's.
        transaction: `read` or `write` where the method does not say which one it needs.
        rest: parameter that takes the rest of the path, slashes and all.
    """

    method: str
    template: str
    handle: Callable[[Call], Answer]
    permission: str | None = None
    transaction: Literal["read", "write"] | None = None
    rest: str = ""

    @property
    def level(self) -> Literal["read", "write"]:
        """The permission that it needs."""
        return "read" if self.method == "GET" else "write"


class Page(NamedTuple):
    """Which part of a list is asked for."""

    number: int
    size: int

    @property
    def limits(self) -> tuple[int, int]:
        """For SQL: LIMIT ? OFFSET ?."""
        return self.size, (self.number - 1) * self.size


def page_of(call: Call, default: int = 30) -> Page:
    """`page` and `per_page`; like GitHub it takes nonsense for the default and has at most 100 in a page."""

    def positive(name: str, otherwise: int) -> int:
        text = call.query.get(name, "")
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        return number or otherwise

    return Page(positive("page", 1), min(positive("per_page", default), MAX_PAGE))


def paged(call: Call, body: Any, page: Page, total: int) -> Answer:
    """A part of a list, with the Link header that leads to the others."""
    last = max(1, -(-total // page.size))
    around: dict[Literal["prev", "next", "last", "first"], int] = {}
    if page.number > 1:
        around |= {"prev": min(page.number - 1, last), "first": 1}
    if page.number < last:
        around |= {"next": page.number + 1, "last": last}

    def url(number: int) -> str:
        query = urlencode({**call.query, "page": number})
        return f"{call.base}{quote(call.path, safe='/%:@!$&()*+,;=~')}?{query}"

    link = ", ".join(f'<{url(number)}>; rel="{rel}"' for rel, number in around.items())
    return Answer(200, body, {"link": link} if link else {})


def node_id(kind: str, number: int | str) -> str:
    """An opaque id such as GraphQL uses."""
    text = f"{kind}{number}"
    return base64.b64encode(f"{len(kind):02}:{text}".encode()).decode()
