"""The shipped test.yml and report.yml under act, with LocalHub for GitHub: what a pull request sees of its verdict."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Act, ActRun, git
from tests.acceptance.test_test_workflow_by_act import WORKFLOW, project
from tests.localhub.hub import ADMIN, Caller, serving

pytestmark = pytest.mark.real
TINY = "/repos/acme/tiny"
WRITES = WORKFLOW.replace("push", "[push, pull_request]").replace(
    "{contents: read}", "{contents: read, checks: write, pull-requests: write}"
)
REPORT = """
on: {workflow_run: {workflows: [ci], types: [completed]}}
jobs:
  report:
    uses: org/cicd/.github/workflows/report.yml@v1
    permissions: {actions: read, checks: write, pull-requests: write}
"""
FULL = {"contents": "read", "checks": "write", "pull_requests": "write", "actions": "read"}


class Site:
    """A project with one failing test, a LocalHub that knows it, and a pull request of carol's fork."""

    def __init__(self, act: Act, folder: Path, url: str) -> None:
        red = {"tests/c_test.py": "def test_c(): assert 1 == 2, '<b>@all</b>'\n"}
        workflows = {".github/workflows/ci.yml": WRITES, ".github/workflows/report.yml": REPORT}
        self.folder = project(folder, **workflows, **red)
        self.act, self.url, self.admin = act, url, Caller(url, ADMIN)
        self.admin.post("/_localhub/repos", {"owner": "acme", "name": "tiny", "path": str(self.folder)})
        self.sha = git(self.folder, "rev-parse", "HEAD")
        made = self.admin.post(f"/_localhub{TINY}/pulls", {"title": "Mend it", "head": "carol:mend", "sha": self.sha})
        self.number = int(made["number"])
        self.caller = Caller(url, self.token(FULL))

    def token(self, permissions: dict[str, str]) -> str:
        body = {"kind": "app", "repo": "acme/tiny", "permissions": permissions}
        return str(self.admin.post("/_localhub/tokens", body)["token"])

    def run(self, event: str, about: dict[str, Any], token: str, run: int) -> ActRun:
        path = self.folder.parent / "event.json"
        path.write_text(json.dumps(about))
        names = {"GITHUB_API_URL": self.url, "GITHUB_SERVER_URL": self.url, "GITHUB_REPOSITORY": "acme/tiny"}
        ref = "acme/tiny/.github/workflows/ci.yml@refs/pull/1/merge"  # act does not tell it
        env = {**names, "GITHUB_RUN_ID": str(run), "GITHUB_WORKFLOW_REF": ref}
        workflow = ".github/workflows/" + ("report.yml" if event == "workflow_run" else "ci.yml")
        given = ["--eventpath", str(path), "--workflows", workflow]
        return self.act(self.folder, event, *given, env=env, secrets={"GITHUB_TOKEN": token})

    def pull_request(self, home: str, token: str, run: int = 7) -> ActRun:
        head = {"sha": self.sha, "ref": "mend", "repo": {"full_name": home}}
        return self.run("pull_request", {"pull_request": {"number": self.number, "head": head}}, token, run)

    def checks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.caller.get(f"{TINY}/commits/{self.sha}/check-runs")["check_runs"]
        return found

    def comments(self) -> list[str]:
        return [one["body"] for one in self.caller.get(f"{TINY}/issues/{self.number}/comments")]


@pytest.fixture
def site(act: Act, tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, limits={"app": 0, "user": 0}) as url:
        yield Site(act, tmp_path / "tiny", url)


@pytest.mark.slow
def test_a_pull_request_sees_its_verdict(site: Site, tmp_path: Path) -> None:
    done = site.pull_request("acme/tiny", site.token(FULL))
    assert done.code != 0
    assert "unit: 1 of 3 tests failed" in done.output, done.output[-6000:]
    (check,) = site.checks()
    assert (check["name"], check["conclusion"]) == ("cicd ci", "failure"), done.output[-6000:]
    assert check["output"]["title"] == "1 of 4 tests failed"
    (mark,) = site.caller.get(f"{TINY}/check-runs/{check['id']}/annotations")
    assert (mark["path"], mark["start_line"]) == ("tests/c_test.py", 1)
    (comment,) = site.comments()
    assert "1 of 4 tests failed" in comment
    assert "<b>" not in comment
    (report,) = (tmp_path / "act-store" / "artifacts").rglob("report.html")
    assert "<b>" not in report.read_text()
    assert sorted(path.name for path in report.parent.iterdir()) == ["junit.xml", "report.html"]


@pytest.mark.slow
def test_without_the_permission_it_warns_and_the_verdict_stands(site: Site) -> None:
    done = site.pull_request("acme/tiny", site.token({"contents": "read"}))
    assert "unit: 1 of 3 tests failed" in done.output
    assert "the job's token lacks `checks: write`" in done.output, done.output[-6000:]
    assert site.checks() == []


@pytest.mark.slow
def test_a_forks_verdict_is_published_by_the_other_workflow(site: Site, tmp_path: Path) -> None:
    done = site.pull_request("carol/tiny", site.token({"contents": "read"}))
    assert not site.checks()
    assert not site.comments()
    (left,) = (tmp_path / "act-store" / "artifacts").rglob("verdict.json")
    assert left.parent.name.startswith("cicd-handover-"), done.output[-6000:]
    given = {"workflow": "ci.yml", "event": "pull_request", "sha": site.sha, "ref": "mend", "fork": "carol"}
    run = site.admin.post(f"/_localhub{TINY}/runs", given)["id"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(left, left.name)
    data = {"name": left.parent.name, "data": base64.b64encode(packed.getvalue()).decode()}
    site.admin.post(f"/_localhub/runs/{run}/artifacts", data)
    site.admin.expect(200, "PATCH", f"/_localhub/runs/{run}", {"status": "completed", "conclusion": "failure"})
    told = site.run("workflow_run", {"workflow_run": {"id": run, "event": "pull_request"}}, site.token(FULL), 9)
    assert told.code == 0, told.output[-6000:]
    assert "Published 1 verdict" in told.output
    assert [one["conclusion"] for one in site.checks()] == ["failure"]
    (comment,) = site.comments()
    assert "told by the fork's own run" in comment
