"""What a later run makes of what an earlier one left: on the target, and in the ledger."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cicd.commands import recover
from cicd.commands.steps import TargetSteps
from cicd.core.plan import Step
from cicd.core.results import Result
from cicd.errors import CicdError, GitHubUnavailable, NothingToRollBackTo, TokenRefused, Unfinished, UsageError
from tests.commands.site import Consumer, consumer

pytestmark = pytest.mark.real
AWAY = GitHubUnavailable("GitHub did not answer", next_step="wait")


class Killed(BaseException):
    """Nothing catches this: what was journalled is what a SIGKILL leaves."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Consumer]:
    (tmp_path / "repository").mkdir()
    yield from consumer(tmp_path)


@pytest.fixture
def two(app: Consumer) -> Consumer:
    """v1, then v2, which runs."""
    for version in ("v1", "v2"):
        assert app.promote(app.commit(version)).decision == "done"
    return app


def killing(kind: str, where: str) -> Callable[[TargetSteps, Step, dict[str, object]], str]:
    """A `do` that dies before or after a step of this kind."""
    do = TargetSteps.do

    def die(steps: TargetSteps, step: Step, facts: dict[str, object]) -> str:
        if step.kind == kind and where == "before":
            raise Killed
        how = do(steps, step, facts)
        if step.kind == kind:
            raise Killed
        return how

    return die


def recovered(app: Consumer) -> Result:
    return recover.recover([app.site()], app.runner(), app.hub)  # type: ignore[arg-type]


def verdicts(app: Consumer) -> list[str]:
    return [f"{entry.payload.kind} {entry.release.version} {entry.verdict}" for entry in app.hub.deployments]


def test_nothing_was_left(two: Consumer) -> None:
    assert recovered(two).decision == "nothing-to-do"


def test_what_a_crash_of_the_machine_has_ended_is_started_again(two: Consumer) -> None:
    site = two.site()
    slot = site.running().slot
    site.engine.stop(slot)
    result = recovered(two)
    assert "started again: v2" in result.message
    assert site.engine.alive(slot)
    assert recovered(two).decision == "nothing-to-do"


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("kind", ["verify", "switch"])
def test_a_killed_rollback_is_finished(two: Consumer, monkeypatch: pytest.MonkeyPatch, kind: str, where: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(TargetSteps, "do", killing(kind, where))
        with pytest.raises(Killed):
            two.rollback()
    result = recovered(two)
    assert result.data["environments"]["staging"], result
    assert two.version() == "v1"
    assert verdicts(two)[:2] == ["rollback v1 stable", "promote v2 rolled-back"]
    assert recovered(two).decision == "nothing-to-do"


def test_a_killed_promotion_is_undone_and_closed(two: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = two.commit("v3")
    with monkeypatch.context() as patch:
        patch.setattr(TargetSteps, "do", killing("watch", "before"))
        with pytest.raises(Killed):
            two.promote(sha)
    assert verdicts(two)[0] == "promote v3 in-progress"
    recovered(two)
    assert two.version() == "v2"
    assert verdicts(two)[0] == "promote v3 rolled-back"
    assert two.promote(sha).decision == "done", "a kill says nothing against the release"


def test_a_verdict_that_could_not_be_recorded_is_recorded_by_the_next_run(two: Consumer) -> None:
    two.hub.fails["set_verdict"] = AWAY
    assert two.promote(two.commit("v3")).decision == "done", "what runs is true, whatever GitHub knows of it"
    assert verdicts(two)[0] == "promote v3 in-progress"
    assert "could not be recorded" in two.said.getvalue()
    two.hub.fails.clear()
    assert recovered(two).data["environments"]["staging"] == ["recorded promote v3 (%s): stable" % _id(two)]
    assert verdicts(two)[0] == "promote v3 stable"


def _id(app: Consumer) -> str:
    release = app.site().running().release
    assert release is not None
    return release.id


@pytest.mark.parametrize("method", ["ledger", "set_verdict"])
@pytest.mark.parametrize("error", [AWAY, TokenRefused("GitHub refuses the token", next_step="give another")])
def test_a_killed_promotion_is_undone_while_github_is_away(
    two: Consumer, monkeypatch: pytest.MonkeyPatch, error: CicdError, method: str
) -> None:
    sha = two.commit("v3")
    with monkeypatch.context() as patch:
        patch.setattr(TargetSteps, "do", killing("watch", "before"))
        with pytest.raises(Killed):
            two.promote(sha)
    two.hub.fails[method] = error
    result = recovered(two)
    assert (result.exit_code, result.reason_code, result.decision) == (error.code, error.reason, "failed")
    assert two.version() == "v2", "users are where they were before"
    assert two.site().target.state().unfinished is None
    assert "promote v3" in result.message
    assert "still to be told" in result.message
    assert verdicts(two)[0] == "promote v3 in-progress"
    two.hub.fails.clear()
    assert recovered(two).exit_code == 0
    assert verdicts(two)[0] == "promote v3 rolled-back"
    assert recovered(two).decision == "nothing-to-do"


def test_with_github_away_it_is_asked_once_for_all_environments(two: Consumer) -> None:
    two.hub.fails["ledger"] = AWAY
    calls = two.hub.calls
    sites = [two.site(), two.site("production")]
    result = recover.recover(sites, two.runner(), two.hub)  # type: ignore[arg-type]
    assert (two.hub.calls - calls, result.exit_code) == (1, AWAY.code)
    assert "Nothing was left half done on the target" in result.message


def test_rollback_without_github_is_in_the_ledger_later(two: Consumer) -> None:
    result = two.rollback(offline="true", reason="GitHub is away")
    assert (result.decision, two.version()) == ("done", "v1")
    assert verdicts(two)[0] == "promote v2 stable"
    recovered(two)
    assert verdicts(two)[:2] == ["rollback v1 stable", "promote v2 rolled-back"]
    assert two.hub.deployments[0].payload.reason == "GitHub is away"


def test_rollback_goes_by_the_journal_by_itself_when_github_is_away(two: Consumer) -> None:
    two.hub.fails["ledger"] = AWAY
    assert two.rollback().decision == "done"
    assert two.version() == "v1"
    assert "Going by the journal" in two.said.getvalue()


def test_a_release_that_was_left_offline_is_not_gone_back_to(two: Consumer) -> None:
    two.promote(two.commit("v3"))
    two.rollback(offline="true")
    two.rollback(offline="true")
    assert two.version() == "v1"
    with pytest.raises(NothingToRollBackTo):
        two.rollback(offline="true")


def test_rollback_needs_no_checkout(two: Consumer) -> None:
    (two.repository / ".github" / "cicd.yml").rename(two.repository / "cicd.yml")
    assert two.rollback().decision == "done"
    (two.repository / "cicd.yml").rename(two.repository / ".github" / "cicd.yml")
    assert two.version() == "v1"


def test_rollback_of_what_is_not_here(two: Consumer) -> None:
    with pytest.raises(NothingToRollBackTo, match="has no release"):
        two.rollback("prod")
    with pytest.raises(UsageError):
        two.rollback("../staging")


def test_what_is_stuck_in_one_environment_does_not_keep_another_from_recovery(
    two: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert two.promote(two.git("rev-parse", "v2"), "production").decision == "done"
    sha = two.commit("v3")
    assert two.promote(sha).decision == "done"
    with monkeypatch.context() as patch:
        patch.setattr(TargetSteps, "do", killing("verify", "before"))
        with pytest.raises(Killed):
            two.promote(sha, "production")
    stuck = two.site("staging")
    (stuck.target.folder / "journal.jsonl").write_text("no journal\n")
    result = recover.recover([stuck, two.site("production")], two.runner(), two.hub)  # type: ignore[arg-type]
    assert (result.decision, result.exit_code, result.reason_code) == ("failed", 39, "unfinished")
    assert "cannot be read" in result.message
    assert "is failed now" in result.message
    assert two.site("production").target.state().unfinished is None
    with pytest.raises(Unfinished):
        recover.recover([stuck], two.runner(), two.hub)  # type: ignore[arg-type]
    two.hub.fails["ledger"], asked = AWAY, two.hub.calls
    result = recover.recover([stuck, two.site("production")], two.runner(), two.hub)  # type: ignore[arg-type]
    assert (two.hub.calls, result.exit_code) == (asked + 1, 39)
    assert "still to be told" in result.message
    (stuck.target.folder / "journal.jsonl").unlink()
    shutil.rmtree(stuck.target.folder / "releases")
