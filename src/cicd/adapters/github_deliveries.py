"""All deployments of production that a window needs, of one repository or many; what was read before is kept."""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cicd.adapters.folders import private_folder, write_private
from cicd.core.dora import seconds_of
from cicd.errors import GitHubUnavailable

AT_ONCE = 6  # repositories; GitHub allows a hundred requests at a time, of all that a token does
QUERY = """
query($owner: String!, $name: String!, $environments: [String!], $cursor: String) {
  repository(owner: $owner, name: $name) {
    url databaseId
    deployments(first: 100, after: $cursor, environments: $environments,
        orderBy: {field: CREATED_AT, direction: DESC}) {
      nodes {
        databaseId environment task createdAt payload
        statuses(first: 10) { nodes { description createdAt } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""
Node = dict[str, Any]
T = TypeVar("T")
Ask = Callable[[str, dict[str, Any]], Mapping[str, Any]]


class Kept(msgspec.Struct, frozen=True):
    """What was read before.

    Attributes:
        nodes: newest first.
        reaches: from when on they are all there, in seconds since 1970.
        whose: the repository, of which there may be others of the same name: elsewhere, or made anew.
    """

    nodes: list[Node] = []
    reaches: float = float("inf")
    whose: str = ""


class Page(msgspec.Struct, frozen=True):
    whose: str
    nodes: list[Node]


def read_many(repositories: Sequence[str], read: Callable[[str], T]) -> list[T]:
    """What reading each repository gives, several at a time. Raises what reading one raises."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(read, repositories))


def read_nodes(repository: str, environment: str, since: float, ask: Ask, folder: Path | None) -> list[Node]:
    """Deployments of an environment, newest first, at least all that were made since then.

    A deployment's verdict may change for as long as it runs. So the newest page is always asked for, and older ones
    until one was known before.

    Args:
        ask: gives the data of a query with these variables.
        folder: where it is kept; None: nowhere.
    """
    kept = _kept(folder, repository, environment)
    usable = kept if kept.reaches <= since else Kept()
    found = _joined(_pages(repository, environment, ask), usable, since)
    if folder:
        with contextlib.suppress(OSError):  # the next run asks for more
            text = msgspec.json.encode(found).decode()
            write_private(_file(private_folder(folder), repository, environment), text)
    return found.nodes


def _pages(repository: str, environment: str, ask: Ask) -> Iterator[Page]:
    """Each when it is wanted, newest first. Raises GitHubUnavailable."""
    owner, _, name = repository.partition("/")
    variables: dict[str, Any] = {"owner": owner, "name": name, "environments": [environment], "cursor": None}
    more = True
    while more:
        data = ask(QUERY, variables)
        try:
            found = data["repository"]
            whose = f"{found['url']} {found['databaseId']}"
            page = found["deployments"]
            nodes = [(node, node["databaseId"], node["createdAt"], node["statuses"]["nodes"]) for node in page["nodes"]]
            more, variables = page["pageInfo"]["hasNextPage"], {**variables, "cursor": page["pageInfo"]["endCursor"]}
        except (KeyError, TypeError) as error:
            raise GitHubUnavailable(
                f"GitHub's answer about deployments of {repository} cannot be read: {error!r}"
            ) from None
        yield Page(whose, [node for node, *_ in nodes])


def _joined(pages: Iterable[Page], kept: Kept, since: float) -> Kept:
    """What was read before behind as many new pages as it takes."""
    found: dict[int, Node] = {}
    whose = ""
    for page in pages:
        whose = page.whose
        found |= {node["databaseId"]: node for node in page.nodes}
        known = {node["databaseId"]: node for node in kept.nodes} if kept.whose == whose else {}
        if found.keys() & known.keys():
            older = [node for number, node in known.items() if number not in found]
            return Kept([*found.values(), *older], kept.reaches, whose)
        if page.nodes and seconds_of(str(page.nodes[-1]["createdAt"])) < since:
            return Kept(list(found.values()), since, whose)
    return Kept(list(found.values()), 0.0, whose)


def _kept(folder: Path | None, repository: str, environment: str) -> Kept:
    if folder is None:
        return Kept()
    try:
        return msgspec.json.decode(_file(folder, repository, environment).read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError):
        return Kept()


def _file(folder: Path, repository: str, environment: str) -> Path:
    digest = hashlib.sha256(f"{repository}\0{environment}".encode()).hexdigest()[:24]
    return folder / f"{digest}.json"
