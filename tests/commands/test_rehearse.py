"""Production wants to see that staging can go back from a release, and forward again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cicd.errors import NotRehearsed, NotStableBefore
from tests.commands.site import Consumer, consumer

pytestmark = pytest.mark.real


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Consumer]:
    """v1 runs in staging and production; from now on production wants rehearsals."""
    (tmp_path / "repository").mkdir()
    for made in consumer(tmp_path):
        sha = made.commit("v1")
        for environment in ("staging", "production"):
            assert made.promote(sha, environment).decision == "done"
        made.demands = "rehearse: true,"
        yield made


def told(app: Consumer, environment: str) -> list[str]:
    found = [entry for entry in app.hub.deployments[::-1] if entry.environment == environment]
    return [f"{entry.payload.kind} {entry.release.version} {entry.verdict}" for entry in found]


def test_staging_goes_back_and_forward_and_production_takes_it(app: Consumer) -> None:
    sha = app.commit("v2")
    result = app.promote(sha)
    assert result.decision == "done"
    assert told(app, "staging") == ["promote v1 stable", "promote v2 stable", "rollback v1 stable", "promote v2 stable"]
    assert result.data["rehearsal_seconds"] > 0
    assert app.version() == "v2"
    assert app.promote(sha, "production").decision == "done"
    assert app.version("production") == "v2"


def test_without_a_rehearsal_production_refuses(app: Consumer) -> None:
    app.demands = ""
    sha = app.commit("v2")
    app.promote(sha)
    config = app.repository / ".github" / "cicd.yml"
    config.write_text(config.read_text().replace("{after: staging,", "{after: staging, rehearse: true,"))
    with pytest.raises(NotRehearsed, match="`staging` has not shown"):
        app.promote(sha, "production")
    assert app.promote(sha, "production", force="true").decision == "done"


def test_it_goes_back_to_what_runs_in_production(app: Consumer) -> None:
    """v2 never reached production: v3 is rehearsed against v1."""
    app.promote(app.commit("v2"))
    sha = app.commit("v3")
    app.promote(sha)
    assert told(app, "staging")[-3:] == ["promote v3 stable", "rollback v1 stable", "promote v3 stable"]
    assert app.promote(sha, "production").decision == "done"


def test_a_release_that_cannot_be_left_is_found_in_the_rehearsal(app: Consumer) -> None:
    """v2 is well only the first time that it is started: going forward again fails, and v1 keeps the traffic."""
    sha = app.commit("v2", "once")
    result = app.promote(sha)
    assert result.decision == "failed"
    assert app.version() == "v1"
    with pytest.raises(NotStableBefore):
        app.promote(sha, "production")
