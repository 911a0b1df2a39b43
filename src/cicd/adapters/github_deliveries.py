"""All deployments of production that a window needs, of one repository or many; what was read before is kept."""

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
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
    """What was read before: nodes, newest first, and from when on they are all there (seconds since 1970)."""

    nodes: list[Node] = []
    reaches: float = float("inf")


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
    known = {node["databaseId"] for node in usable.nodes}
    found: list[Node] = []
    owner, _, name = repository.partition("/")
    variables: dict[str, Any] = {"owner": owner, "name": name, "environments": [environment], "cursor": None}
    reaches = since
    while True:
        page = _page(ask(QUERY, variables), repository)
        found += page["nodes"]
        if any(node["databaseId"] in known for node in page["nodes"]):
            fresh = {node["databaseId"] for node in found}
            found += [node for node in usable.nodes if node["databaseId"] not in fresh]
            reaches = usable.reaches
            break
        if not page["pageInfo"]["hasNextPage"]:
            reaches = 0.0
            break
        if page["nodes"] and seconds_of(str(page["nodes"][-1]["createdAt"])) < since:
            break
        variables["cursor"] = page["pageInfo"]["endCursor"]
    if folder:
        with contextlib.suppress(OSError):  # the next run asks for more
            text = msgspec.json.encode(Kept(found, reaches)).decode()
            write_private(_file(private_folder(folder), repository, environment), text)
    return found


def _page(data: Mapping[str, Any], repository: str) -> Any:
    """The page of deployments; an empty one of a repository that cannot be seen. Raises GitHubUnavailable."""
    try:
        if data["repository"] is None:
            return {"nodes": [], "pageInfo": {"hasNextPage": False}}
        page = data["repository"]["deployments"]
        _ = [(node["databaseId"], node["createdAt"], node["statuses"]["nodes"]) for node in page["nodes"]]
        _ = page["pageInfo"]["hasNextPage"] and page["pageInfo"]["endCursor"]
        return page
    except (KeyError, TypeError) as error:
        raise GitHubUnavailable(
            f"GitHub's answer about deployments of {repository} cannot be read: {error!r}"
        ) from None


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
