"""Pull requests, their conversation, and what runs of forks leave."""

import base64
from typing import Any

import pytest

from tests.localhub.hub import Hub, R

ZIP = base64.b64encode(b"PK\x05\x06" + b"\0" * 18).decode()


def pull(hub: Hub, head: str, **more: str) -> dict[str, Any]:
    made: dict[str, Any] = hub.admin.post(f"/_localhub{R}/pulls", {"title": "Mend it", "head": head, **more})
    return made


def test_a_pull_request_is_found_by_its_head(hub: Hub) -> None:
    sha = hub.git("rev-parse", "v1")
    mine, theirs = pull(hub, "main"), pull(hub, "carol:mend", sha=sha)
    assert theirs["number"] == mine["number"] + 1
    (found,) = hub.alice.get(f"{R}/pulls?head=carol:mend")
    assert found["head"]["sha"] == sha
    assert found["head"]["repo"]["full_name"] == "carol/shop"
    assert found["base"]["repo"]["full_name"] == "acme/shop"
    assert [one["number"] for one in hub.alice.get(f"{R}/pulls?head=acme:main")] == [mine["number"]]
    assert hub.alice.get(f"{R}/pulls?head=dave:mend") == []
    hub.alice.expect(200, "PATCH", f"{R}/issues/{theirs['number']}", {"state": "closed"})
    assert hub.alice.get(f"{R}/pulls?head=carol:mend") == []
    assert len(hub.alice.get(f"{R}/pulls?state=all&base=main")) == 2


def test_either_permission_writes_in_its_conversation(hub: Hub) -> None:
    target = f"{R}/issues/{pull(hub, 'main')['number']}/comments"
    for permission in ("issues", "pull_requests"):
        hub.app(**{permission: "write"}).post(target, {"body": "hello"})
    made = hub.app(pull_requests="write").post(target, {"body": "bye"})
    hub.app(pull_requests="read").post(target, {"body": "no"}, 403)
    hub.app(pull_requests="write").expect(204, "DELETE", f"{R}/issues/comments/{made['id']}")
    assert [one["body"] for one in hub.alice.get(target)] == ["hello", "hello"]


def test_the_run_of_a_fork_says_whose_it_is(hub: Hub) -> None:
    made = hub.admin.post(f"/_localhub{R}/runs", {"workflow": "deploy.yml", "event": "pull_request", "fork": "carol"})
    shown = hub.alice.get(f"{R}/actions/runs/{made['id']}")
    assert shown["head_repository"]["owner"]["login"] == "carol"
    assert shown["repository"]["full_name"] == "acme/shop"


def test_an_artifact_comes_from_another_address(hub: Hub) -> None:
    run = hub.run()
    made = hub.admin.post(f"/_localhub/runs/{run.id}/artifacts", {"name": "a", "data": ZIP})
    hub.admin.post(f"/_localhub/runs/{run.id}/artifacts", {"name": "b", "data": ZIP})
    assert [one["name"] for one in hub.alice.get(f"{R}/actions/runs/{run.id}/artifacts")["artifacts"]] == ["b", "a"]
    reply = hub.alice.call("GET", f"{R}/actions/artifacts/{made['id']}/zip")
    assert reply.status == 302
    where = reply.headers["location"].removeprefix(hub.url)
    found = hub.caller(None).raw("GET", where)
    assert (found.status, base64.b64encode(found.body).decode()) == (200, ZIP)
    assert hub.caller(None).raw("GET", where[:-1] + "x").status == 404
    hub.admin.post(f"/_localhub/runs/{run.id}/artifacts", {"name": "c", "data": "?"}, 422)


@pytest.mark.parametrize(
    ("field", "text"), [("message", "ü" * 32_769), ("raw_details", "x" * 65_537), ("title", "x" * 256)]
)
def test_an_annotations_texts_have_limits(hub: Hub, field: str, text: str) -> None:
    note = {"path": "a.txt", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "look"}
    body = {"name": "x", "head_sha": "main", "output": {"title": "t", "summary": "s", "annotations": [note]}}
    hub.alice.post(f"{R}/check-runs", body)
    body["output"]["annotations"] = [{**note, field: text}]  # type: ignore[index]
    hub.alice.post(f"{R}/check-runs", body, 422)
