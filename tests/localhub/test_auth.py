"""Who may do what."""

import base64
import json
import sqlite3
from pathlib import Path

import pytest

from tests.localhub.hub import ADMIN, Hub, R, populate, serving


def test_wrong_token_and_none(hub: Hub) -> None:
    for target in ("/", "/user", R, f"{R}/deployments", "/nowhere"):
        reply = hub.caller("ghp_wrong").call("GET", target)
        assert (reply.status, reply.body["message"]) == (401, "Bad credentials")
    assert hub.caller(None).get("/nowhere", 404)["message"] == "Not Found"
    assert hub.caller(None).get(R, 401)["message"] == "Requires authentication"
    assert hub.caller(None).get("/repos/acme/unknown", 401)["message"] == "Requires authentication"
    assert hub.caller(None).call("GET", "/meta").status == 200
    assert hub.caller(None).call("POST", "/graphql", {"query": "{viewer{login}}"}).status == 401


def test_ways_to_send_a_token(hub: Hub) -> None:
    token = str(hub.alice.token)
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    for header in (f"token {token}", f"Bearer {token}", f"bearer {token}", f"Basic {basic}"):
        reply = hub.caller(None).call("GET", "/user", headers={"authorization": header})
        assert reply.body["login"] == "alice"
    for header in (token, "Bearer", "Basic !", "Digest x", "Bearer \xff"):
        assert hub.caller(None).call("GET", "/user", headers={"authorization": header}).status == 401


# A call, the permission that it needs, and the body where it writes.
NEEDS = [
    ("GET", f"{R}/deployments", "deployments", "read", None),
    ("POST", f"{R}/deployments", "deployments", "write", {"ref": "main", "required_contexts": []}),
    ("GET", f"{R}/commits", "contents", "read", None),
    ("POST", f"{R}/git/refs", "contents", "write", {"ref": "refs/heads/x", "sha": "?"}),
    ("GET", f"{R}/environments", "actions", "read", None),
    ("PUT", f"{R}/environments/new", "administration", "write", {}),
    ("GET", f"{R}/actions/runs", "actions", "read", None),
    ("GET", f"{R}/commits/main/status", "statuses", "read", None),
    ("POST", f"{R}/check-runs", "checks", "write", {"name": "a", "head_sha": "main"}),
    ("POST", f"{R}/issues", "issues", "write", {"title": "a"}),
    ("POST", "/graphql", "deployments", "read", {"query": '{repository(owner:"acme",name:"shop"){id}}'}),
]


@pytest.mark.parametrize(("method", "target", "scope", "level", "body"), NEEDS)
def test_permissions(hub: Hub, method: str, target: str, scope: str, level: str, body: dict[str, str] | None) -> None:
    if body and "sha" in body:
        body = body | {"sha": hub.git("rev-parse", "main")}
    others = dict.fromkeys({"deployments", "contents", "actions", "statuses", "checks", "issues"} - {scope}, "write")
    lacking = [others, others | {scope: "read"}] if level == "write" else [others]
    for permissions in lacking:
        reply = hub.app(**permissions).call(method, target, body)
        assert (reply.status, reply.body["message"]) == (403, "Resource not accessible by integration")
    assert hub.app(**{scope: level}).call(method, target, body).status < 300


def test_a_runs_token_never_administers_environments(hub: Hub) -> None:
    assert hub.run().caller.call("PUT", f"{R}/environments/dev", {}).status == 403
    assert hub.run().caller.call("GET", "/user").status == 403


def test_another_repository(hub: Hub) -> None:
    for name, private in (("open", False), ("secret", True)):
        body = {"owner": "acme", "name": name, "path": str(hub.repo), "private": private}
        hub.admin.post("/_localhub/repos", body)
    app = hub.run().caller
    assert app.call("GET", "/repos/acme/open").status == 200
    assert app.call("POST", "/repos/acme/open/issues", {"title": "x"}).status == 403
    assert app.call("GET", "/repos/acme/secret").status == 404
    assert app.call("GET", "/repos/acme/unknown").status == 404
    query = '{repository(owner: "acme", name: "%s") {name}}'
    assert app.call("POST", "/graphql", {"query": query % "secret"}).body["errors"][0]["type"] == "NOT_FOUND"
    assert app.call("POST", "/graphql", {"query": query % "open"}).body["data"]["repository"] == {"name": "open"}


def test_admin_api_needs_the_admins_token(hub: Hub) -> None:
    for caller in (hub.alice, hub.caller(None), hub.caller("x"), hub.run().caller):
        for method, target in (("GET", "/_localhub/calls"), ("PUT", "/_localhub/faults"), ("POST", "/_localhub/users")):
            assert caller.call(method, target).status == 401
    assert hub.caller(ADMIN).call("GET", R).status == 401, "and it is no token of GitHub's"


def test_tokens_are_not_kept(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        hub = populate(url, tmp_path / "repo")
        tokens = [str(hub.alice.token), str(hub.run().caller.token), ADMIN]
        hub.alice.get(R)
    with sqlite3.connect(tmp_path / "hub.sqlite") as db:
        dump = "\n".join(db.iterdump())
    db.close()
    assert "acme" in dump
    assert not [token for token in tokens if token in dump]


def test_rate_limit_of_run_tokens_is_shared(tmp_path: Path) -> None:
    with serving(tmp_path, limits={"app": 5}) as url:
        hub = populate(url, tmp_path / "repo")
        first, second = hub.run().caller, hub.run().caller
        headers = [first.call("GET", R).headers for _ in range(3)][-1]
        assert [headers[f"x-ratelimit-{name}"] for name in ("limit", "used", "remaining")] == ["5", "3", "2"]
        assert headers["x-ratelimit-resource"] == "core"
        assert headers["x-github-request-id"]
        assert headers["x-localhub-version"]
        assert second.get("/rate_limit")["rate"]["used"] == 3, "which does not count itself"
        assert [second.call("GET", R).status for _ in range(3)] == [200, 200, 403]
        reply = second.call("GET", R)
        assert "rate limit" in reply.body["message"]
        assert reply.headers["x-ratelimit-remaining"] == "0"
        assert hub.alice.call("GET", R).status == 200, "a person has a limit of their own"


def test_log_of_calls(hub: Hub) -> None:
    run = hub.run()
    run.caller.get(f"{R}/deployments?environment=dev")
    run.caller.post(f"{R}/issues", {"title": "the-body-is-not-kept"})
    run.caller.get(f"{R}/issues/99", 404)
    log = hub.admin.get(f"/_localhub/calls?run={run.id}")
    assert [(call["method"], call["path"], call["status"]) for call in log["calls"]] == [
        ("GET", f"{R}/deployments", 200),
        ("POST", f"{R}/issues", 201),
        ("GET", f"{R}/issues/99", 404),
    ]
    assert log["counts"] == {"calls": 3, "faults": 0, "by_status": {"200": 1, "201": 1, "404": 1}}
    assert "the-body-is-not-kept" not in json.dumps(log)
