"""The verdict's reports over HTTP against LocalHub; whatever becomes of them, the verdict stands."""

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters import process
from cicd.adapters.runner import Runner
from cicd.commands.run_suite import run_suite
from cicd.contract import RunSuite
from cicd.core.junit import read_report
from cicd.core.results import Result
from cicd.core.verdict_report import read_verdict_report, report_text
from cicd.errors import GitHubRefused, ReportInvalid, UsageError
from tests.commands.left import CONFIG, leave
from tests.core.told import failed, small
from tests.fakes import runner
from tests.localhub.hub import Hub, R, populate, serving

pytestmark = pytest.mark.real
FULL = {"contents": "read", "checks": "write", "pull_requests": "write", "actions": "read"}


@dataclass
class Job:
    """A job of a run in the checkout of a project."""

    hub: Hub
    folder: Path
    said: str = ""

    def give(
        self,
        env: dict[str, str] | None = None,
        *,
        tests: int = 3,
        failures: int = 0,
        permissions: dict[str, str] | None = None,
    ) -> Result:
        """The verdict of so many tests."""
        parts = self.folder / f"parts-{len(list(self.folder.iterdir()))}"
        plan = leave(parts, tests, failures, shards=2)
        token = str(self.hub.app(**(FULL if permissions is None else permissions)).token)
        return self.run(env or {}, plan=plan, parts=str(parts), publish="true", token=token)

    def run(self, env: dict[str, str], **inputs: str) -> Result:
        given = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_API_URL": self.hub.url,
            "GITHUB_SERVER_URL": self.hub.url,
            "GITHUB_RUN_ID": "7",
            "GITHUB_SHA": self.hub.git("rev-parse", "main"),
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_WORKFLOW_REF": "acme/shop/.github/workflows/ci.yml@refs/heads/main",
            "GITHUB_WORKSPACE": str(self.folder),
            "RUNNER_TEMP": str(self.folder / "temp"),
            "CICD_GITHUB_PATIENCE": "5",
            **env,
        }
        job: Runner = runner(given)
        try:
            return run_suite(RunSuite(working_directory=str(self.folder), **inputs), job, process.run)
        finally:
            self.said = job.stream.getvalue()  # type: ignore[attr-defined]

    def checks(self, ref: str = "main") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.hub.alice.get(f"{R}/commits/{ref}/check-runs")["check_runs"]
        return found

    def pull(self, head: str = "carol:mend") -> int:
        body = {"title": "Mend it", "head": head, "sha": self.hub.git("rev-parse", "main")}
        return int(self.hub.admin.post(f"/_localhub{R}/pulls", body)["number"])

    def comments(self, number: int) -> list[str]:
        return [one["body"] for one in self.hub.alice.get(f"{R}/issues/{number}/comments")]

    def event(self, number: int, home: str = "acme/shop", sha: str = "") -> dict[str, str]:
        """The variables of a pull request's run."""
        head = {"sha": sha or self.hub.git("rev-parse", "main"), "repo": {"full_name": home}}
        path = self.folder / "event.json"
        path.write_text(json.dumps({"pull_request": {"number": number, "head": head}}))
        return {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(path), "GITHUB_SHA": "f" * 40}


@pytest.fixture
def job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Job]:
    folder = tmp_path / "project"
    (folder / ".github").mkdir(parents=True)
    (folder / ".github" / "cicd.yml").write_text(CONFIG)
    with serving(tmp_path, limits={"app": 0, "user": 0}) as url:
        yield Job(populate(url, tmp_path / "repo"), folder)


@pytest.fixture
def warned(job: Job, capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """The warnings that the runner was told since the last call."""
    return lambda: re.findall(r"^::warning.*", capsys.readouterr().out + job.said, re.MULTILINE)


def test_a_push_has_a_check_run_and_files(job: Job, warned: Callable[[], list[str]]) -> None:
    result = job.give(tests=10)
    assert result.exit_code == 0
    assert result.outputs["handover"] == ""
    (check,) = job.checks()
    assert (check["name"], check["conclusion"], check["output"]["title"]) == (
        "cicd ci",
        "success",
        "20 tests passed in 1 suite",
    )
    folder = Path(result.outputs["report"])
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "report.html"]
    assert read_report([(folder / "junit.xml").read_bytes()], "junit.xml").tests == 20
    assert "<svg" in (folder / "report.html").read_text()
    assert warned() == []


def test_a_pull_request_has_one_comment_on_its_own_commit(job: Job) -> None:
    number, head = job.pull("acme:mend"), job.hub.git("rev-parse", "main")
    assert job.give(job.event(number), failures=1).exit_code == 60
    assert job.give({**job.event(number), "GITHUB_RUN_ID": "8"}, tests=4).exit_code == 0
    (text,) = job.comments(number)
    assert "8 tests passed" in text
    assert [one["conclusion"] for one in job.checks(head)] == ["success"]


def test_a_push_finds_the_pull_request_of_its_branch(job: Job) -> None:
    number = job.pull("acme:mend")
    job.give({"GITHUB_REF": "refs/heads/mend"})
    job.give({"GITHUB_REF": "refs/heads/mend", "GITHUB_RUN_ID": "8"})
    assert len(job.comments(number)) == 1


@pytest.mark.parametrize("failures", [0, 2])
@pytest.mark.parametrize(
    ("lacking", "named"), [("checks", "`checks: write`"), ("pull_requests", "`pull-requests: write`")]
)
def test_a_missing_permission_is_named_and_changes_nothing(
    job: Job, warned: Callable[[], list[str]], lacking: str, named: str, failures: int
) -> None:
    number = job.pull("acme:mend")
    result = job.give(job.event(number), failures=failures, permissions={**FULL, lacking: "read"})
    assert result.exit_code == (60 if failures else 0)
    (warning,) = warned()
    assert named in warning
    assert result.outputs["handover"]


def test_github_away_changes_nothing(job: Job, warned: Callable[[], list[str]]) -> None:
    away = {"GITHUB_API_URL": "http://127.0.0.1:9", "CICD_GITHUB_PATIENCE": "0.1"}
    result = job.give(away)
    assert (result.exit_code, result.outputs["handover"]) == (0, "")
    assert len(warned()) == 1
    assert job.give(away, failures=1).exit_code == 60


def test_reports_that_cannot_be_written_change_nothing(job: Job, warned: Callable[[], list[str]]) -> None:
    (job.folder / "temp").write_text("a file in the way")
    assert job.give().exit_code == 0
    assert "cannot be written" in warned()[0]


def test_what_pull_request_target_tests_is_not_told_of_the_head(job: Job) -> None:
    event = {**job.event(job.pull()), "GITHUB_EVENT_NAME": "pull_request_target"}
    assert job.give(event).exit_code == 0
    assert job.checks() == []


def archive(text: bytes) -> str:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("verdict.json", text)
    return base64.b64encode(made.getvalue()).decode()


def finished(job: Job, text: bytes, conclusion: str = "success", **run: str) -> str:
    """A finished run of a fork that has left a verdict; gives its id."""
    given = {"workflow": "deploy.yml", "event": "pull_request", "ref": "main", "fork": "carol", **run}
    made = job.hub.admin.post(f"/_localhub{R}/runs", given)["id"]
    job.hub.admin.post(f"/_localhub/runs/{made}/artifacts", {"name": "cicd-handover-1-1", "data": archive(text)})
    job.hub.admin.expect(200, "PATCH", f"/_localhub/runs/{made}", {"status": "completed", "conclusion": conclusion})
    return str(made)


def publish(job: Job, run: str, **permissions: str) -> Result:
    token = str(job.hub.app(**{**FULL, **permissions}).token)
    return job.run({"GITHUB_EVENT_NAME": "workflow_run"}, publish=run, token=token)


def test_the_verdict_of_a_fork_goes_by_another_run(job: Job) -> None:
    number = job.pull("carol:main")
    told = job.give(job.event(number, "carol/shop"), tests=4, failures=1, permissions={})
    assert told.exit_code == 60
    assert job.checks() == []
    text = (Path(told.outputs["handover"]) / "verdict.json").read_bytes()
    assert read_verdict_report(text, "verdict.json").failed == 2
    assert "acme" not in text.decode(), "no repository, no commit, no address"
    result = publish(job, finished(job, text, "failure"))
    assert result.data["verdicts"] == 1
    (check,) = job.checks()
    assert (check["conclusion"], check["output"]["annotations_count"]) == ("failure", 2)
    (comment,) = job.comments(number)
    assert "2 of 8 tests failed" in comment


def test_a_forks_green_is_neutral_and_not_believed_against_its_run(job: Job) -> None:
    job.pull("carol:main")
    publish(job, finished(job, report_text(small())))
    assert [one["conclusion"] for one in job.checks()] == ["neutral"]
    publish(job, finished(job, report_text(small()), "failure"))
    assert [one["conclusion"] for one in job.checks()] == ["failure"]


def test_a_forks_verdict_reaches_no_other_pull_request(job: Job) -> None:
    others = [job.pull("acme:main"), job.pull("dave:main"), job.pull("carol:elsewhere")]
    publish(job, finished(job, report_text(small())))
    assert [job.comments(number) for number in others] == [[], [], []]


@pytest.mark.parametrize("text", [b"{", b'{"suites": [], "sha": "x"}', report_text(failed(2))[:-9]])
def test_what_cannot_be_read_is_an_error(job: Job, text: bytes) -> None:
    with pytest.raises(ReportInvalid):
        publish(job, finished(job, text))
    assert job.checks() == []


def test_nothing_is_published_of_other_runs(job: Job) -> None:
    for event in ("push", "pull_request_target", "workflow_dispatch"):
        assert publish(job, finished(job, report_text(small()), event=event)).decision == "nothing-to-do"
    assert job.checks() == []


def test_refusals(job: Job) -> None:
    with pytest.raises(GitHubRefused):
        publish(job, "999")
    with pytest.raises(GitHubRefused):
        publish(job, finished(job, report_text(small())), checks="read")
    for wrong in ("yes", "-1", "1" * 19, "7/../../8"):
        with pytest.raises(UsageError):
            publish(job, wrong)
