"""Watch and canary for real: processes behind nginx, and users who meet them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cicd.core.results import Result
from tests.commands.site import Consumer, consumer
from tests.commands.users import PEOPLE, Users

pytestmark = pytest.mark.real


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Consumer]:
    (tmp_path / "repository").mkdir()
    for made in consumer(tmp_path):
        made.samples, made.watch = 20, "1s"
        yield made


@contextmanager
def users(app: Consumer) -> Iterator[Users]:
    with Users(app.ports[0]).running() as people:
        yield people


def first(app: Consumer, behaviour: str = "ok") -> str:
    """A first release without users; gives its id."""
    app.samples, samples = 2, app.samples
    result = app.promote(app.commit("v1", behaviour))
    app.samples = samples
    assert result.outputs["verdict"] == "stable", result.message
    return result.outputs["release"]


def with_canary(app: Consumer, share: str, seconds: str) -> None:
    app.extra = f"canary: {{share: {share}, for: {seconds}}}"


def promote(app: Consumer, version: str, behaviour: str = "ok") -> Result:
    return app.promote(app.commit(version, behaviour))


def test_a_canary_goes_first_and_all_follow_without_losing_a_request(app: Consumer) -> None:
    old = first(app)
    with_canary(app, "20%", "1500ms")
    with users(app) as people:
        result = promote(app, "v2")
        assert result.outputs["verdict"] == "stable", result.message
        assert list(result.data["seconds"])[3:] == ["canary green at 20%", "switch green", "watch green"]
        back = app.rollback()
        assert back.outputs["verdict"] == "stable"
        assert not [step for step in back.data["seconds"] if "canary" in step]
    assert people.lost == []
    assert people.releases[result.outputs["release"]] > 100
    assert people.releases[old] > 100


def test_a_canary_that_fails_meets_only_its_share(app: Consumer) -> None:
    old = first(app)
    with_canary(app, "10%", "20s")
    with users(app) as people:
        result = promote(app, "v2", "poor")
    assert (result.outputs["verdict"], result.reason_code) == ("rolled-back", "rolled-back")
    assert "fails 10% of the users" in result.message
    assert "the release before" not in result.message, "it was without an error"
    bad = result.data["release"]
    assert people.lost == []
    assert people.errors[bad] == people.releases[bad] >= 20
    who = [address for address, met in people.met.items() if bad in met]
    assert len(who) <= 0.25 * PEOPLE
    assert people.errors[old] == 0
    assert app.version() == "v1"
    assert not app.site().target.has(bad)


def test_one_user_sees_one_release_while_a_canary_runs(app: Consumer) -> None:
    old = first(app)
    with_canary(app, "50%", "1s")
    with users(app) as people:
        new = promote(app, "v2").outputs["release"]
    orders = {tuple(met) for met in people.met.values()}
    assert orders <= {(old,), (old, new), (new,)}, "nobody goes there and back"


def test_a_slow_release_is_caught(app: Consumer) -> None:
    first(app)
    app.limits, app.watch = ", slower: 50%", "20s"
    with users(app) as people:
        result = promote(app, "v2", "slow")
    assert result.outputs["verdict"] == "rolled-back"
    assert "requests took longer than" in result.message
    assert "the release before: p95 " in result.message
    assert people.lost == []
    assert app.version() == "v1"


def test_a_slow_canary_is_caught(app: Consumer) -> None:
    first(app)
    app.limits = ", p95: 50ms"
    with_canary(app, "30%", "20s")
    with users(app):
        result = promote(app, "v2", "slow")
    assert (result.outputs["verdict"], result.reason_code) == ("rolled-back", "rolled-back")
    assert "took longer than 0.05 s" in result.message
    assert app.version() == "v1"


@pytest.mark.parametrize("canary", [False, True])
def test_what_breaks_both_is_not_held_against_the_new_one(app: Consumer, canary: bool) -> None:
    broken = app.folder / "broken"
    app.env = f", BROKEN: {broken}"
    first(app, "database")
    if canary:
        with_canary(app, "50%", "1s")
    broken.touch()
    with users(app) as people:
        while sum(people.errors.values()) < 100:
            people.pause()
        result = promote(app, "v2", "database")
    assert result.reason_code == ("canary-inconclusive" if canary else "inconclusive")
    assert "not the release's alone" in result.message
    assert "the release before" in result.message
    assert app.version() == ("v1" if canary else "v2"), "held as it is, or never switched"
    broken.unlink()
    app.watch = "1s"
    with users(app):
        assert promote(app, "v3").outputs["verdict"] == "stable", "neither is poisoned by it"


def test_too_little_traffic_is_inconclusive(app: Consumer) -> None:
    old = first(app)
    app.samples = 100_000
    with users(app):
        result = promote(app, "v2")
        assert result.reason_code == "inconclusive"
        assert "100000 of either are needed" in result.message
        app.rollback()
        with_canary(app, "10%", "500ms")
        result = promote(app, "v3")
    assert result.reason_code == "canary-inconclusive"
    assert app.site().running().release.id == old  # type: ignore[union-attr]


def steps(app: Consumer, version: str) -> str:
    """What a promotion would do. One that is done may fail on a busy machine, and leave the slots as they were."""
    return " ".join(app.promote(app.commit(version), dry_run="true").data["steps"])


def test_a_first_release_and_a_share_of_nothing_have_no_canary(app: Consumer) -> None:
    with_canary(app, "10%", "1s")
    assert "canary" not in steps(app, "v1")
    app.samples = 2
    done = promote(app, "v1")
    assert done.outputs["verdict"] == "stable", done.message
    assert not [step for step in done.data["seconds"] if "canary" in step]
    app.extra = "canary: 0%"
    assert "canary" not in steps(app, "v2")
    app.extra = "canary: 10%"
    assert "canary green at 10%" in steps(app, "v2")


def test_a_canary_that_was_killed_is_taken_back_by_the_next_run(app: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    from cicd.commands.watch import Watcher

    class Killed(BaseException):
        """Stands for SIGKILL: nothing of ours runs after it."""

    def killed(*_: object) -> None:
        raise Killed

    old = first(app)
    with_canary(app, "50%", "1s")
    with users(app) as people:
        with monkeypatch.context() as patch:
            patch.setattr(Watcher, "watch", killed)
            with pytest.raises(Killed):
                promote(app, "v2")
        app.extra = ""
        assert promote(app, "v3").outputs["verdict"] == "stable"
    assert people.lost == []
    assert people.releases[old] > 0
    assert app.version() == "v3"
