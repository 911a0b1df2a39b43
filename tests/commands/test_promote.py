"""Promotions and rollbacks for real: processes, nginx, git. The ledger is a fake here; acceptance has LocalHub."""

import http.client
import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicd.adapters.routers.nginx import Nginx
from cicd.adapters.routers.share import Share
from cicd.adapters.target import Target
from cicd.commands import promote
from cicd.contract import Promote
from cicd.core.approval import Protection
from cicd.errors import (
    ConfigError,
    GitHubUnavailable,
    ImageMissing,
    Locked,
    NotApproved,
    NothingToRollBackTo,
    NotStableBefore,
    Poisoned,
    PortInUse,
    RouterFailed,
    Stale,
    Unfinished,
    UnknownEnvironment,
    UsageError,
)
from tests.commands.site import Consumer, consumer

pytestmark = pytest.mark.real


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Consumer]:
    (tmp_path / "repository").mkdir()
    yield from consumer(tmp_path)


def asked(app: Consumer, port: int = 0) -> tuple[str, str, str]:
    """What the router answers: release by the router, release by the application, greeting."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port or app.ports[0]}/health", timeout=5) as answer:
        return answer.headers["X-Cicd-Release"], answer.headers["X-Release"], answer.read().decode()


def test_a_release_is_promoted_and_answers_through_the_router(app: Consumer) -> None:
    result = app.promote(app.commit("v1"))
    assert (result.decision, result.exit_code, result.outputs["verdict"]) == ("done", 0, "stable")
    by_router, by_application, greeting = asked(app)
    assert by_router == by_application == result.outputs["release"]
    assert greeting == "hello"
    assert [entry.verdict for entry in app.hub.deployments] == ["stable"]
    assert app.hub.calls <= 12


def test_the_next_release_takes_over_with_its_settings_and_rollback_brings_both_back(app: Consumer) -> None:
    first = app.promote(app.commit("v1"))
    app.greeting = "welcome"
    second = app.promote(app.commit("v2"))
    assert asked(app) == (second.outputs["release"], second.outputs["release"], "welcome")
    back = app.rollback(reason="we prefer hello")
    assert back.outputs["verdict"] == "stable"
    assert asked(app) == (first.outputs["release"], first.outputs["release"], "hello")
    assert [entry.verdict for entry in app.hub.deployments] == ["stable", "rolled-back", "stable"]
    assert list(back.data["seconds"]) == ["verify blue", "switch blue"], "a warm slot needs no start"


def test_a_cold_rollback_starts_the_old_release_again(app: Consumer) -> None:
    first = app.promote(app.commit("v1"))
    app.promote(app.commit("v2"))
    app.promote(app.commit("v3"))
    result = app.rollback(to=first.outputs["release"])
    assert "start blue" in result.data["seconds"] or "start green" in result.data["seconds"]
    assert asked(app)[0] == first.outputs["release"]


@pytest.mark.parametrize(
    ("behaviour", "verdict", "reason"),
    [("crash", "failed", "unhealthy"), ("sick", "failed", "unhealthy"), ("tires", "rolled-back", "rolled-back")],
)
def test_a_bad_release_leaves_the_one_before_it_running(
    app: Consumer, behaviour: str, verdict: str, reason: str
) -> None:
    first = app.promote(app.commit("v1"))
    app.watch, app.greeting = "3s", "never seen again"
    result = app.promote(app.commit("v2", behaviour))
    assert (result.decision, result.outputs["verdict"], result.reason_code) == ("failed", verdict, reason)
    assert result.exit_code != 0
    assert asked(app) == (first.outputs["release"], first.outputs["release"], "hello")
    assert app.version() == "v1"
    assert not app.site().target.has(result.data["release"]), "nothing of it is left"
    assert app.hub.deployments[0].verdict == verdict


def test_a_first_release_that_fails_leaves_nothing(app: Consumer) -> None:
    app.watch = "3s"
    result = app.promote(app.commit("v1", "tires"))
    assert result.outputs["verdict"] == "rolled-back"
    assert app.version() == ""
    connection = http.client.HTTPConnection("127.0.0.1", app.ports[0], timeout=5)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 502
    connection.close()


def test_a_crash_is_told_with_what_the_program_said(app: Consumer) -> None:
    assert "cannot start: no such thing" in app.promote(app.commit("v1", "crash")).message


def test_too_little_traffic_is_inconclusive_and_holds_both(app: Consumer) -> None:
    app.promote(app.commit("v1"))
    app.samples = 5000
    result = app.promote(app.commit("v2"))
    assert (result.outputs["verdict"], result.reason_code) == ("inconclusive", "inconclusive")
    running = app.site().running()
    assert running.release is not None
    assert running.release.version == "v2"
    assert running.warm


def test_the_digest_goes_from_environment_to_environment_without_a_new_build(app: Consumer) -> None:
    sha = app.commit("v1")
    staged = app.promote(sha)
    result = app.promote(sha, "production", image=staged.data["image"])
    assert result.data["image"] == staged.data["image"]
    assert asked(app, app.ports[3])[0] == result.outputs["release"]


def test_a_job_that_is_run_again_finds_its_work_done(app: Consumer) -> None:
    sha = app.commit("v1")
    first = app.promote(sha)
    again = app.promote(sha)
    assert again.decision == "nothing-to-do"
    assert again.outputs == first.outputs
    assert len(app.hub.deployments) == 1
    assert app.promote(sha, force="true").decision == "done"


def test_no_request_is_lost_over_switches(app: Consumer) -> None:
    app.promote(app.commit("v1"))
    lost: list[str] = []
    sent, done = [0], threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", app.ports[0], timeout=10)
        while not done.is_set():
            try:
                connection.request("GET", "/health")
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    lost.append(str(response.status))
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                lost.append(repr(error))
            sent[0] += 1
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for version in ("v2", "v3"):
            assert app.promote(app.commit(version)).outputs["verdict"] == "stable"
        assert app.rollback().outputs["verdict"] == "stable"
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert lost == []
    assert sent[0] > 200


# Refusals: one clear error each, and what runs is not touched.


def test_unknown_environment(app: Consumer) -> None:
    sha = app.commit("v1")
    with pytest.raises(UnknownEnvironment, match="staging, production"):
        app.promote(sha, "prod")


def test_not_stable_before(app: Consumer) -> None:
    with pytest.raises(NotStableBefore, match="`staging`"):
        app.promote(app.commit("v1"), "production")


def test_a_tag_is_no_image(app: Consumer) -> None:
    with pytest.raises(UsageError, match="not an image by digest"):
        app.promote(app.commit("v1"), image="acme/tiny:v1")


def test_an_image_that_is_not_there_or_damaged(app: Consumer) -> None:
    sha = app.commit("v1")
    with pytest.raises(ImageMissing, match="not in the store"):
        app.promote(sha, image="sha256:" + "0" * 64)
    image = app.build(sha)
    path = app.folder / "targets" / "store" / "sha256" / f"{image[7:]}.tar"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ImageMissing, match="damaged"):
        app.promote(sha, image=image)


def test_stale_and_forced(app: Consumer) -> None:
    old = app.commit("v1")
    app.promote(app.commit("v2"))
    with pytest.raises(Stale, match="older than"):
        app.promote(old)
    assert app.version() == "v2"
    assert app.promote(old, force="true").outputs["verdict"] == "stable"


def test_poisoned(app: Consumer) -> None:
    app.promote(app.commit("v1"))
    bad = app.commit("v2", "sick")
    app.promote(bad)
    with pytest.raises(Poisoned, match="failed in `staging` before"):
        app.promote(bad)


def test_a_port_that_somebody_has(app: Consumer) -> None:
    sha = app.commit("v1")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", app.ports[1]))
        holder.listen()
        result = app.promote(sha)
    assert result.reason_code == PortInUse.reason
    assert f"Port {app.ports[1]}" in result.message
    assert app.version() == ""


def test_locked(app: Consumer) -> None:
    sha = app.commit("v1")
    holder = {"run": "run 7", "actor": "dana", "what": "promote v0"}
    with app.site().target.lock(holder), pytest.raises(Locked, match=r"held by dana \(promote v0, run 7\) since"):
        app.promote(sha)
    assert app.promote(sha).outputs["verdict"] == "stable"


def test_another_plan_than_the_approved_one(app: Consumer) -> None:
    with pytest.raises(NotApproved, match="is not the approved"):
        app.promote(app.commit("v1"), plan="0123456789abcdef")


def test_an_unapproved_run(app: Consumer) -> None:
    app.hub.protections["staging"] = Protection(reviewers=["rita"])
    with pytest.raises(NotApproved, match="this run has none"):
        app.promote(app.commit("v1"))
    app.hub.waiting = ["staging"]
    with pytest.raises(NotApproved, match="Nobody approved"):
        app.promote(app.commit("v1"))


def test_a_setting_that_cannot_be_read_never_shows_its_value(app: Consumer) -> None:
    with pytest.raises(ConfigError) as caught:
        app.promote(app.commit("v1"), app_env="hunter2")
    assert "hunter2" not in str(caught.value)


def test_nothing_to_roll_back_to(app: Consumer) -> None:
    app.commit("v1")
    with pytest.raises(NothingToRollBackTo, match="Nothing runs"):
        app.rollback()
    app.promote(app.commit("v1"))
    with pytest.raises(NothingToRollBackTo, match="No other release"):
        app.rollback()
    with pytest.raises(NothingToRollBackTo, match="does not lie on the target"):
        app.rollback(to="../../../etc")
    assert app.version() == "v1"


def test_github_away_before_anything_is_done(app: Consumer) -> None:
    app.promote(app.commit("v1"))
    app.hub.fails["create_deployment"] = GitHubUnavailable("GitHub did not answer")
    with pytest.raises(GitHubUnavailable):
        app.promote(app.commit("v2"))
    assert app.version() == "v1"


def test_a_dry_run_says_the_steps_and_touches_nothing(app: Consumer) -> None:
    result = app.promote(app.commit("v1"), dry_run="true")
    assert result.decision == "planned"
    assert result.data["steps"] == ["prepare", "start blue", "verify blue", "switch blue", "watch blue"]
    assert app.hub.deployments == []
    assert not app.site().target.folder.exists()


def test_secrets_stay_in_files_of_their_owner(app: Consumer) -> None:
    result = app.promote(app.commit("v1"), app_env="PASSWORD=hunter2-secret")
    release = app.site().target.release_folder(result.outputs["release"])
    assert json.loads((release / "settings.json").read_text())["PASSWORD"] == "hunter2-secret"
    holding = [path for path in app.folder.rglob("*") if path.is_file() and b"hunter2-secret" in path.read_bytes()]
    assert holding == [release / "settings.json"]
    assert (release / "settings.json").stat().st_mode & 0o077 == 0
    assert "hunter2-secret" not in app.said.getvalue() + str(result)


def test_a_killed_run_is_undone_by_the_next_one(app: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    app.promote(app.commit("v1"))
    from cicd.commands.serving import Serving

    class Killed(BaseException):
        """Stands for SIGKILL: nothing of ours runs after it."""

    def killed(self: Serving, *arguments: object) -> str:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Serving, "watch", killed)
        with pytest.raises(Killed):
            app.promote(app.commit("v2"))
    assert app.site().target.state().unfinished is not None
    assert app.promote(app.commit("v3")).outputs["verdict"] == "stable"
    assert "A run was killed while it did `promote v2" in app.said.getvalue()
    assert app.version() == "v3"
    assert app.site().target.state().unfinished is None


def test_force_does_not_go_past_the_environment_before(app: Consumer) -> None:
    with pytest.raises(NotStableBefore):
        app.promote(app.commit("v1"), "production", force="true")


def test_secrets_that_got_lost_on_the_way_are_noticed(app: Consumer) -> None:
    app.promote(app.commit("v1"), app_env="PASSWORD=hunter2-secret")
    with pytest.raises(ConfigError, match="`app-env` is empty, and the release that runs has PASSWORD"):
        app.promote(app.commit("v2"))
    assert app.version() == "v1"


def test_what_a_crashing_release_prints_of_its_secrets_is_not_passed_on(app: Consumer) -> None:
    app.promote(app.commit("v1"))
    sha = app.commit("v2", 'crash"; print(os.environ["PASSWORD"], flush=True); BEHAVIOUR="crash')
    result = app.promote(sha, app_env="PASSWORD=hunter2-secret")
    assert result.outputs["verdict"] == "failed"
    told = str(result) + str(app.hub.deployments)
    assert "***" in told
    assert "hunter2-secret" not in told


def test_secrets_in_another_spelling_are_not_passed_on(app: Consumer) -> None:
    app.promote(app.commit("v1"))
    told = "import json, urllib.parse; p = os.environ['DATABASE_URL']; w = p.split(':')[2].split('@')[0]"
    sha = app.commit("v2", f'crash"; {told}; print(w, json.dumps(p), urllib.parse.quote(p, ""), flush=True); A="')
    result = app.promote(sha, app_env='DATABASE_URL="postgres://u:hunter2-secret@h/d"')
    assert result.outputs["verdict"] == "failed"
    assert "***" in str(result)
    assert "hunter2" not in str(result) + str(app.hub.deployments) + app.said.getvalue()
    assert "hunter2" not in (app.site().target.folder / "journal.jsonl").read_text()


def test_a_secret_in_the_command_line_is_refused(app: Consumer) -> None:
    sha = app.commit("v1")
    config = app.repository / ".github" / "cicd.yml"
    config.write_text(config.read_text().replace("$HOST $PORT", "$HOST $PORT ${PASSWORD}"))
    with pytest.raises(ConfigError, match="PASSWORD is a secret setting") as caught:
        app.promote(sha, app_env="PASSWORD=hunter2-secret")
    assert "let the program read PASSWORD from its environment" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_slot_whose_file_is_damaged_holds_nobody_up(app: Consumer) -> None:
    app.promote(app.commit("v1"))
    app.promote(app.commit("v2"))
    (app.site().target.folder / "slots" / "blue.json").write_text("{")
    assert app.promote(app.commit("v3")).outputs["verdict"] == "stable"
    assert asked(app)[0] == app.site().running().release.id  # type: ignore[union-attr]


def test_a_failed_rollback_does_not_speak_against_the_release_it_was_for(app: Consumer) -> None:
    first = app.promote(app.commit("v1"))
    app.promote(app.commit("v2"))
    app.promote(app.commit("v3"))
    app.site().engine.stop("green")
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", app.ports[2]))
        holder.listen()
        assert app.rollback(to=first.outputs["release"]).reason_code == PortInUse.reason
    assert app.version() == "v3"
    assert app.rollback(to=first.outputs["release"]).outputs["verdict"] == "stable"


def test_a_router_that_cannot_be_switched_back_leaves_the_attempt_open(
    app: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.promote(app.commit("v1"))
    route, seen = Nginx.route, list[str]()

    def once(self: Nginx, shares: list[Share], port: int, *, everywhere: bool = False) -> None:
        seen.append(shares[0].release_id)
        if len(seen) > 1:
            raise RouterFailed("no space left on the device")
        route(self, shares, port)

    app.watch = "3s"
    with monkeypatch.context() as patch:
        patch.setattr(Nginx, "route", once)
        result = app.promote(app.commit("v2", "tires"))
    assert result.reason_code == Unfinished.reason
    assert "no space left" in result.message
    assert app.site().target.state().unfinished is not None
    assert app.promote(app.commit("v3")).outputs["verdict"] == "stable"
    assert asked(app)[0] == app.site().running().release.id  # type: ignore[union-attr]


def test_a_program_that_was_started_and_never_written_down_is_found(
    app: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the start of a slot's program and the note of its pid must not leave an orphan on its port."""

    class Killed(BaseException):
        """Stands for SIGKILL: nothing of ours runs after it."""

    write = Target.write

    def killed(self: Target, path: Path, text: str) -> None:
        if path.parent.name == "slots":
            raise Killed
        write(self, path, text)

    app.promote(app.commit("v1"))
    with monkeypatch.context() as patch:
        patch.setattr(Target, "write", killed)
        with pytest.raises(Killed):
            app.promote(app.commit("v2"))
    assert app.promote(app.commit("v3")).outputs["verdict"] == "stable"
    assert app.version() == "v3"


def test_an_image_of_another_commit(app: Consumer) -> None:
    first, second = app.commit("v1"), app.commit("v2")
    with pytest.raises(UsageError, match=f"was built from commit {first[:12]}, not from {second[:12]}"):
        app.promote(second, image=app.build(first))
    image = app.build(first)
    given = Promote(environment="staging", image=image, working_directory=str(app.repository), approval_timeout="0")
    result = promote.promote(given, app.runner(second), app.project(), app.hub)  # type: ignore[arg-type]
    assert (result.decision, app.version()) == ("done", "v1"), "without a sha the image says its own"


def test_as_many_releases_stay_as_the_config_says(app: Consumer) -> None:
    app.extra = "keep: 3"
    for version in ("v1", "v2", "v3", "v4", "v5"):
        app.promote(app.commit(version))
    target = app.site().target
    kept = {target.record(one).release.version for one in target.releases()}
    assert kept == {"v3", "v4", "v5"}
    app.rollback()
    app.rollback()
    assert {target.record(one).release.version for one in target.releases()} == kept, "one may go back and forth"
