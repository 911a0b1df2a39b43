"""`cicd dora`: whose ledgers are read, where some may not be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from cicd.adapters.github import GitHub
from cicd.commands.dora import Read, Window, read
from cicd.errors import GitHubRefused, RateLimited
from tests.adapters.test_github_deliveries import Pages


class Hub:
    """GitHub, where some repositories may not be read."""

    def __init__(self, **refused: Exception) -> None:
        self.refused = refused

    def query(self, query: str, variables: dict[str, Any]) -> Mapping[str, Any]:
        if error := self.refused.get(variables["name"]):
            raise error
        return Pages(2).ask(query, variables)


def refused(status: int) -> GitHubRefused:
    error = GitHubRefused("no")
    error.status = status
    return error


def found(hub: Hub, folder: Path, named: list[str], listed: list[str]) -> Read:
    return read(named, listed, "production", Window(0.0, 10**6), cast(GitHub, hub), folder / "kept")


@pytest.mark.parametrize("status", [403, 404])
def test_one_that_github_lists_and_refuses_is_left_out_and_told(tmp_path: Path, status: int) -> None:
    told = found(Hub(web=refused(status)), tmp_path, [], ["acme/api", "acme/web"])
    assert (list(told.ledgers), told.unread, told.foreign) == (["acme/api"], ["acme/web"], 2)


def test_one_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(GitHubRefused):
        found(Hub(web=refused(404)), tmp_path, ["acme/web"], ["acme/api", "acme/web"])


def test_where_none_may_be_read_there_are_no_figures(tmp_path: Path) -> None:
    with pytest.raises(GitHubRefused):
        found(Hub(api=refused(404), web=refused(404)), tmp_path, [], ["acme/api", "acme/web"])


@pytest.mark.parametrize("error", [RateLimited("used up"), refused(422)])
def test_what_says_nothing_of_the_repository_leaves_none_out(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)):
        found(Hub(web=error), tmp_path, [], ["acme/api", "acme/web"])


def test_an_organisation_without_repositories_has_no_deployments(tmp_path: Path) -> None:
    assert found(Hub(), tmp_path, [], []) == Read({}, 0, [])
