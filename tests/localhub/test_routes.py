"""Every route of ours, called once, with request and answer held against GitHub's published description."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from cicd.localhub.app import GITHUB_ROUTES
from tests.localhub.hub import Hub, R
from tests.localhub.octokit import description
from tests.localhub.test_attestations import BUNDLE, SUBJECT

CHECK = {"name": "lint", "head_sha": "main"}
NOTE = {"path": "a.txt", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "look"}


class World:
    """Makes what a call needs, when it needs it."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.me = hub.alice
        self.sha = hub.git("rev-parse", "main")

    def deployment(self) -> str:
        body = {"ref": "main", "required_contexts": [], "payload": {"a": 1}, "environment": "dev"}
        return f"{R}/deployments/{self.me.post(f'{R}/deployments', body)['id']}"

    def deployment_status(self) -> str:
        statuses = f"{self.deployment()}/statuses"
        return f"{statuses}/{self.me.post(statuses, {'state': 'success', 'description': 'stable: yes'})['id']}"

    def check(self) -> str:
        output = {"title": "t", "summary": "s", "annotations": [NOTE]}
        return f"{R}/check-runs/{self.me.post(f'{R}/check-runs', CHECK | {'output': output})['id']}"

    def attestation(self) -> str:
        self.me.post(f"{R}/attestations", {"bundle": BUNDLE})
        return f"{R}/attestations/{SUBJECT}?predicate_type=provenance"

    def environment(self) -> str:
        policy = {"protected_branches": False, "custom_branch_policies": True}
        self.hub.protect("dev", "alice", "bob", wait_timer=5, deployment_branch_policy=policy)
        return f"{R}/environments/dev"

    def policy(self) -> str:
        policies = f"{self.environment()}/deployment-branch-policies"
        return f"{policies}/{self.me.post(policies, {'name': 'main'}, 200)['id']}"

    def waiting_run(self) -> str:
        number = self.hub.protect("production", "alice")
        run = self.hub.run()
        self.hub.reach(run, "production")
        self.environment_ids = [number]
        return f"{R}/actions/runs/{run.id}"

    def reviewed_run(self) -> str:
        path = self.waiting_run()
        review = {"environment_ids": self.environment_ids, "state": "approved", "comment": "good"}
        self.me.post(f"{path}/pending_deployments", review, 200)
        return path

    def issue(self) -> str:
        body = {"title": "Approve", "body": "please", "labels": ["gate"], "assignees": ["bob"]}
        return f"{R}/issues/{self.me.post(f'{R}/issues', body)['number']}"

    def comment(self) -> str:
        return f"{R}/issues/comments/{self.me.post(f'{self.issue()}/comments', {'body': 'hello'})['id']}"

    def pull(self) -> str:
        body = {"title": "Mend it", "head": "carol:mend", "sha": self.sha}
        return f"{R}/issues/{self.hub.admin.post(f'/_localhub{R}/pulls', body)['number']}"

    def artifact(self) -> tuple[int, int]:
        run = self.hub.run()
        body = {"name": "report", "data": base64.b64encode(b"PK").decode()}
        return run.id, int(self.hub.admin.post(f"/_localhub/runs/{run.id}/artifacts", body)["id"])

    def tree(self) -> str:
        entry = {"path": "lock.json", "mode": "100644", "type": "blob", "content": "{}"}
        return str(self.me.post(f"{R}/git/trees", {"tree": [entry], "base_tree": self.sha})["sha"])

    def tag(self) -> str:
        body = {"tag": "t", "message": "m", "object": self.sha, "type": "commit"}
        return str(self.me.post(f"{R}/git/tags", body)["sha"])

    def blob(self) -> str:
        return str(self.me.post(f"{R}/git/blobs", {"content": "aGk=", "encoding": "base64"})["sha"])

    def ref(self) -> str:
        self.me.post(f"{R}/git/refs", {"ref": "refs/heads/side", "sha": self.sha})
        return f"{R}/git/refs/heads/side"


Made = tuple[str, Any, int]
DISPATCH = {"ref": "main", "inputs": {"environment": "dev"}}
REVIEW = {"state": "rejected", "comment": "no"}
# Path below {R} (or all of it), body, status.
TABLE: dict[tuple[str, str], Callable[[World], Made]] = {
    ("GET", "/"): lambda w: ("/", None, 200),
    ("GET", "/meta"): lambda w: ("/meta", None, 200),
    ("GET", "/rate_limit"): lambda w: ("/rate_limit", None, 200),
    ("GET", "/user"): lambda w: ("/user", None, 200),
    ("GET", "/orgs/{org}/repos"): lambda w: (f"/orgs/{R.split('/')[2]}/repos", None, 200),
    ("GET", "/users/{username}"): lambda w: ("/users/bob", None, 200),
    ("GET", "{R}/collaborators/{username}/permission"): lambda w: (f"{R}/collaborators/bob/permission", None, 200),
    ("GET", "{R}"): lambda w: (R, None, 200),
    ("GET", "{R}/branches"): lambda w: (f"{R}/branches", None, 200),
    ("GET", "{R}/branches/{branch}"): lambda w: (f"{R}/branches/main", None, 200),
    ("GET", "{R}/tags"): lambda w: (f"{R}/tags", None, 200),
    ("GET", "{R}/contents/{path}"): lambda w: (f"{R}/contents/.github/workflows/deploy.yml?ref=v1", None, 200),
    ("GET", "{R}/commits"): lambda w: (f"{R}/commits?path=a.txt", None, 200),
    ("GET", "{R}/commits/{ref}"): lambda w: (f"{R}/commits/main", None, 200),
    ("GET", "{R}/compare/{basehead}"): lambda w: (f"{R}/compare/v1...main", None, 200),
    ("POST", "{R}/statuses/{sha}"): lambda w: (f"{R}/statuses/{w.sha}", {"state": "success", "context": "ci"}, 201),
    ("GET", "{R}/commits/{ref}/status"): lambda w: (f"{R}/commits/main/status", None, 200),
    ("GET", "{R}/commits/{ref}/statuses"): lambda w: (f"{R}/commits/main/statuses", None, 200),
    ("POST", "{R}/check-runs"): lambda w: (f"{R}/check-runs", CHECK, 201),
    ("GET", "{R}/check-runs/{check_run_id}"): lambda w: (w.check(), None, 200),
    ("PATCH", "{R}/check-runs/{check_run_id}"): lambda w: (
        w.check(),
        {"status": "completed", "conclusion": "success", "output": {"summary": "done", "annotations": [NOTE]}},
        200,
    ),
    ("GET", "{R}/commits/{ref}/check-runs"): lambda w: (w.check() and f"{R}/commits/main/check-runs", None, 200),
    ("GET", "{R}/check-runs/{check_run_id}/annotations"): lambda w: (f"{w.check()}/annotations", None, 200),
    ("POST", "{R}/attestations"): lambda w: (f"{R}/attestations", {"bundle": BUNDLE}, 201),
    ("GET", "{R}/attestations/{subject_digest}"): lambda w: (w.attestation(), None, 200),
    ("GET", "{R}/git/ref/{ref}"): lambda w: (f"{R}/git/ref/heads/main", None, 200),
    ("GET", "{R}/git/matching-refs/{ref}"): lambda w: (f"{R}/git/matching-refs/tags", None, 200),
    ("POST", "{R}/git/refs"): lambda w: (f"{R}/git/refs", {"ref": "refs/locks/dev", "sha": w.sha}, 201),
    ("PATCH", "{R}/git/refs/{ref}"): lambda w: (w.ref(), {"sha": w.sha, "force": True}, 200),
    ("DELETE", "{R}/git/refs/{ref}"): lambda w: (w.ref(), None, 204),
    ("POST", "{R}/git/blobs"): lambda w: (f"{R}/git/blobs", {"content": "hello"}, 201),
    ("GET", "{R}/git/blobs/{file_sha}"): lambda w: (f"{R}/git/blobs/{w.blob()}", None, 200),
    ("POST", "{R}/git/trees"): lambda w: (f"{R}/git/trees", {"tree": [{"path": "x", "sha": w.blob()}]}, 201),
    ("GET", "{R}/git/trees/{tree_sha}"): lambda w: (f"{R}/git/trees/{w.tree()}?recursive=1", None, 200),
    ("POST", "{R}/git/commits"): lambda w: (f"{R}/git/commits", {"message": "lock", "tree": w.tree()}, 201),
    ("GET", "{R}/git/commits/{commit_sha}"): lambda w: (f"{R}/git/commits/{w.sha}", None, 200),
    ("POST", "{R}/git/tags"): lambda w: (
        f"{R}/git/tags",
        {"tag": "t", "message": "m", "object": w.sha, "type": "commit"},
        201,
    ),
    ("GET", "{R}/git/tags/{tag_sha}"): lambda w: (f"{R}/git/tags/{w.tag()}", None, 200),
    ("GET", "{R}/environments"): lambda w: (w.environment() and f"{R}/environments", None, 200),
    ("GET", "{R}/environments/{environment_name}"): lambda w: (w.environment(), None, 200),
    ("PUT", "{R}/environments/{environment_name}"): lambda w: (w.environment(), {"wait_timer": 1}, 200),
    ("DELETE", "{R}/environments/{environment_name}"): lambda w: (w.environment(), None, 204),
    ("GET", "{R}/environments/{environment_name}/deployment-branch-policies"): lambda w: (
        f"{w.environment()}/deployment-branch-policies",
        None,
        200,
    ),
    ("POST", "{R}/environments/{environment_name}/deployment-branch-policies"): lambda w: (
        f"{w.environment()}/deployment-branch-policies",
        {"name": "release/*"},
        200,
    ),
    ("GET", "{R}/environments/{environment_name}/deployment-branch-policies/{branch_policy_id}"): lambda w: (
        w.policy(),
        None,
        200,
    ),
    ("PUT", "{R}/environments/{environment_name}/deployment-branch-policies/{branch_policy_id}"): lambda w: (
        w.policy(),
        {"name": "dev"},
        200,
    ),
    ("DELETE", "{R}/environments/{environment_name}/deployment-branch-policies/{branch_policy_id}"): lambda w: (
        w.policy(),
        None,
        204,
    ),
    ("GET", "{R}/actions/workflows"): lambda w: (f"{R}/actions/workflows", None, 200),
    ("GET", "{R}/actions/workflows/{workflow_id}"): lambda w: (f"{R}/actions/workflows/deploy.yml", None, 200),
    ("POST", "{R}/actions/workflows/{workflow_id}/dispatches"): lambda w: (
        f"{R}/actions/workflows/deploy.yml/dispatches",
        DISPATCH,
        204,
    ),
    ("POST", "{R}/dispatches"): lambda w: (f"{R}/dispatches", {"event_type": "go", "client_payload": {"a": 1}}, 204),
    ("GET", "{R}/actions/runs"): lambda w: (w.waiting_run() and f"{R}/actions/runs?status=waiting", None, 200),
    ("GET", "{R}/actions/runs/{run_id}"): lambda w: (w.waiting_run(), None, 200),
    ("GET", "{R}/actions/runs/{run_id}/jobs"): lambda w: (f"{w.waiting_run()}/jobs", None, 200),
    ("GET", "{R}/actions/runs/{run_id}/pending_deployments"): lambda w: (
        f"{w.waiting_run()}/pending_deployments",
        None,
        200,
    ),
    ("POST", "{R}/actions/runs/{run_id}/pending_deployments"): lambda w: (
        f"{w.waiting_run()}/pending_deployments",
        REVIEW | {"environment_ids": w.environment_ids},
        200,
    ),
    ("GET", "{R}/actions/runs/{run_id}/approvals"): lambda w: (f"{w.reviewed_run()}/approvals", None, 200),
    ("GET", "{R}/deployments"): lambda w: (w.deployment() and f"{R}/deployments?environment=dev", None, 200),
    ("POST", "{R}/deployments"): lambda w: (f"{R}/deployments", {"ref": "main", "auto_merge": False}, 201),
    ("GET", "{R}/deployments/{deployment_id}"): lambda w: (w.deployment(), None, 200),
    ("GET", "{R}/deployments/{deployment_id}/statuses"): lambda w: (
        w.deployment_status().rpartition("/")[0],
        None,
        200,
    ),
    ("POST", "{R}/deployments/{deployment_id}/statuses"): lambda w: (
        f"{w.deployment()}/statuses",
        {"state": "success", "log_url": "https://example.org", "auto_inactive": True},
        201,
    ),
    ("GET", "{R}/deployments/{deployment_id}/statuses/{status_id}"): lambda w: (w.deployment_status(), None, 200),
    ("GET", "{R}/issues"): lambda w: (w.issue() and f"{R}/issues?labels=gate&state=all", None, 200),
    ("POST", "{R}/issues"): lambda w: (f"{R}/issues", {"title": "a", "labels": ["gate"]}, 201),
    ("GET", "{R}/issues/{issue_number}"): lambda w: (w.issue(), None, 200),
    ("PATCH", "{R}/issues/{issue_number}"): lambda w: (w.issue(), {"state": "closed", "labels": []}, 200),
    ("GET", "{R}/issues/comments/{comment_id}"): lambda w: (w.comment(), None, 200),
    ("PATCH", "{R}/issues/comments/{comment_id}"): lambda w: (w.comment(), {"body": "changed"}, 200),
    ("DELETE", "{R}/issues/comments/{comment_id}"): lambda w: (w.comment(), None, 204),
    ("GET", "{R}/pulls"): lambda w: (w.pull() and f"{R}/pulls?state=all&head=carol:mend", None, 200),
    ("GET", "{R}/actions/runs/{run_id}/artifacts"): lambda w: (
        f"{R}/actions/runs/{w.artifact()[0]}/artifacts?name=report",
        None,
        200,
    ),
    ("GET", "{R}/actions/artifacts/{artifact_id}/{archive_format}"): lambda w: (
        f"{R}/actions/artifacts/{w.artifact()[1]}/zip",
        None,
        302,
    ),
    ("GET", "{R}/issues/{issue_number}/comments"): lambda w: (w.comment() and f"{R}/issues/1/comments", None, 200),
    ("POST", "{R}/issues/{issue_number}/comments"): lambda w: (f"{w.issue()}/comments", {"body": "hi"}, 201),
    ("GET", "{R}/labels"): lambda w: (w.issue() and f"{R}/labels", None, 200),
    ("POST", "{R}/labels"): lambda w: (f"{R}/labels", {"name": "x", "color": "ff0000"}, 201),
    ("GET", "{R}/labels/{name}"): lambda w: (w.issue() and f"{R}/labels/gate", None, 200),
}
GRAPHQL = ("POST", "/graphql")  # no REST: held against the published GraphQL schema in test_graphql


def full(template: str) -> str:
    return template.replace("{R}", "/repos/{owner}/{repo}", 1)


def test_table_has_every_route() -> None:
    ours = {(route.method, route.template) for route in GITHUB_ROUTES} - {GRAPHQL}
    assert {(method, full(template)) for method, template in TABLE} == ours


@pytest.mark.parametrize(("method", "template"), TABLE, ids=str)
def test_route_keeps_to_githubs_description(hub: Hub, method: str, template: str) -> None:
    world = World(hub)
    path, body, status = TABLE[method, template](world)
    world.me.seen.clear()
    world.me.expect(status, method, path, body)
    assert world.me.seen == [(method, full(template))], "the description was not asked about this route"


def test_description_refuses_what_is_wrong() -> None:
    """The judge itself is no rubber stamp."""
    with pytest.raises(Exception, match="required property"):
        description().check_response("GET", full("{R}/deployments/{deployment_id}"), 200, {"id": 1})
    with pytest.raises(AssertionError, match="describes no"):
        description().check_response("GET", "/meta", 202, {})
    with pytest.raises(Exception, match="is not one of"):
        description().check_request("POST", full("{R}/deployments/{deployment_id}/statuses"), "/", {"state": "x"})
