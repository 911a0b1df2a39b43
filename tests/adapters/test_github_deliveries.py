"""Pages of deployments, joined with those that were kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.adapters.github_deliveries import read_nodes
from cicd.errors import GitHubUnavailable

HOUR = 3600.0


@dataclass
class Pages:
    """GitHub's answers: `made` deployments, one an hour since 1970, each changed by each later `tell`."""

    made: int
    size: int = 3
    database_id: int = 7
    calls: int = 0
    told: dict[int, str] = field(default_factory=dict)

    def ask(self, query: str, variables: dict[str, Any]) -> Mapping[str, Any]:
        self.calls += 1
        begin = int(variables["cursor"] or 0)
        numbers = [*range(self.made, 0, -1)][begin : begin + self.size]
        nodes = [self.node(number) for number in numbers]
        more = begin + self.size < self.made
        page = {"nodes": nodes, "pageInfo": {"hasNextPage": more, "endCursor": str(begin + self.size)}}
        return {
            "repository": {"url": "https://github.com/acme/api", "databaseId": self.database_id, "deployments": page}
        }

    def node(self, number: int) -> dict[str, Any]:
        at = datetime.fromtimestamp(number * HOUR, UTC).isoformat().replace("+00:00", "Z")
        statuses = [{"description": self.told.get(number, "stable: "), "createdAt": at}]
        return {"databaseId": number, "createdAt": at, "statuses": {"nodes": statuses}}


def read(pages: Pages, folder: Path | None, since: float = 0.0) -> list[int]:
    return [node["databaseId"] for node in read_nodes("acme/api", "production", since, pages.ask, folder)]


def test_all_that_was_made_since_then_and_no_page_more() -> None:
    pages = Pages(10)
    assert read(pages, None, 6 * HOUR) == [10, 9, 8, 7, 6, 5]
    assert pages.calls == 2


def test_a_second_time_the_newest_page_is_enough_and_its_verdicts_are_new(tmp_path: Path) -> None:
    pages = Pages(10)
    read(pages, tmp_path / "kept")
    pages.made, pages.calls, pages.told = 12, 0, {10: "rolled-back: by-hand"}
    nodes = read_nodes("acme/api", "production", 0.0, pages.ask, tmp_path / "kept")
    assert pages.calls == 1
    assert [node["databaseId"] for node in nodes] == [*range(12, 0, -1)]
    assert nodes[2]["statuses"]["nodes"][0]["description"] == "rolled-back: by-hand"


def test_a_longer_window_is_not_answered_by_what_was_kept_of_a_shorter_one(tmp_path: Path) -> None:
    pages = Pages(10)
    read(pages, tmp_path / "kept", 8 * HOUR)
    assert read(pages, tmp_path / "kept") == [*range(10, 0, -1)]


def test_what_was_kept_of_another_repository_of_that_name_is_not_used(tmp_path: Path) -> None:
    read(Pages(10), tmp_path / "kept")
    anew = Pages(4, database_id=8)  # the same numbers: on another host, or a LocalHub begun anew
    assert read(anew, tmp_path / "kept") == [4, 3, 2, 1]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nodes": 1}', '{"reaches": 0}'])
def test_a_file_that_was_spoilt_is_none(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "kept"
    read(Pages(5), folder)
    for file in folder.iterdir():
        file.write_text(text)
    assert read(Pages(5), folder) == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "answer",
    [{}, {"repository": None}, {"repository": {"url": "", "databaseId": 1, "deployments": {"nodes": [None]}}}],
)
def test_another_answer_is_none(answer: dict[str, Any]) -> None:
    with pytest.raises(GitHubUnavailable, match="deployments of acme/api"):
        read_nodes("acme/api", "production", 0.0, lambda *_: answer, None)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 30)), min_size=1, max_size=5), st.integers(1, 5))
def test_however_it_was_read_before_it_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, reads: list[tuple[int, int]], size: int
) -> None:
    folder = tmp_path_factory.mktemp("kept") / "kept"
    pages = Pages(0, size)
    for more, since in reads:
        pages.made += more
        with_kept, without = (read(pages, place, since * HOUR) for place in (folder, None))
        wanted = [number for number in without if number >= since]
        assert [number for number in with_kept if number >= since] == wanted
        assert with_kept == sorted(set(with_kept), reverse=True)
