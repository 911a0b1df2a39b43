"""An alert rolls back once, and only the release that it is about."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cicd.errors import AlertAnswered, GitHubUnavailable, Replaced, UsageError
from tests.commands.site import Consumer, consumer

pytestmark = pytest.mark.real


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Consumer]:
    (tmp_path / "repository").mkdir()
    yield from consumer(tmp_path)


@pytest.fixture
def two(app: Consumer) -> tuple[str, str]:
    """v1 was healthy, v2 runs; their ids."""
    first, second = (app.promote(app.commit(version)).outputs["release"] for version in ("v1", "v2"))
    return first, second


def test_it_goes_back_once_and_says_why(app: Consumer, two: tuple[str, str]) -> None:
    first, second = two
    assert app.rollback(if_release=second, alert="fire", dry_run="true").decision == "planned"
    back = app.rollback(if_release=second, alert="fire")
    assert (back.decision, back.outputs["release"]) == ("done", first)
    written = app.hub.deployments[0].payload
    assert (written.alert, written.reason) == ("fire", "alert fire")
    with pytest.raises(AlertAnswered):
        app.rollback(if_release=first, alert="fire")
    with pytest.raises(Replaced, match="v1"):
        app.rollback(if_release=second, alert="another")
    assert app.version() == "v1"


def test_a_mended_release_is_not_taken_back(app: Consumer, two: tuple[str, str]) -> None:
    app.promote(app.commit("v3"))
    for dry_run in ("true", "false"):
        with pytest.raises(Replaced, match="v3"):
            app.rollback(if_release=two[1], alert="late", dry_run=dry_run)
    with pytest.raises(UsageError, match="which release"):
        app.rollback(alert="vague")
    assert app.version() == "v3"


def test_what_was_tried_while_github_was_away_counts(app: Consumer, two: tuple[str, str]) -> None:
    app.hub.fails["ledger"] = GitHubUnavailable("GitHub did not answer")
    assert app.rollback(if_release=two[1], alert="fire").decision == "done"
    app.rollback(to=two[1], offline="true")
    with pytest.raises(AlertAnswered):
        app.rollback(if_release=two[1], alert="fire")
    assert app.version() == "v2"
