"""Issues, comments and labels."""

import pytest

from tests.localhub.hub import Hub, R


def titles(hub: Hub, query: str = "") -> list[str]:
    return [issue["title"] for issue in hub.alice.get(f"{R}/issues{query}")]


def test_an_issue_lives(hub: Hub) -> None:
    made = hub.alice.post(
        f"{R}/issues", {"title": "gate", "body": "b", "labels": ["Gate", "prod"], "assignees": ["bob"]}
    )
    target = f"{R}/issues/{made['number']}"
    assert [label["name"] for label in made["labels"]] == ["Gate", "prod"]
    assert [user["login"] for user in made["assignees"]] == ["bob"]
    closed = hub.bob.expect(200, "PATCH", target, {"state": "closed", "state_reason": "not_planned"})
    assert (closed["state"], closed["state_reason"], closed["closed_by"]["login"]) == ("closed", "not_planned", "bob")
    assert closed["body"] == "b", "what is not named stays"
    opened = hub.alice.expect(200, "PATCH", target, {"state": "open", "body": None, "labels": []})
    assert (opened["state_reason"], opened["closed_at"], opened["body"]) == ("reopened", None, None)
    hub.alice.get(f"{R}/issues/99", 404)


def test_filters(hub: Hub) -> None:
    for title, labels in (("one", ["a"]), ("two", ["a", "b"]), ("three", [])):
        hub.alice.post(f"{R}/issues", {"title": title, "labels": labels})
    hub.bob.post(f"{R}/issues", {"title": "bobs"})
    hub.alice.expect(200, "PATCH", f"{R}/issues/3", {"state": "closed"})
    assert titles(hub) == ["bobs", "two", "one"]
    assert titles(hub, "?state=closed") == ["three"]
    assert titles(hub, "?state=all&direction=asc") == ["one", "two", "three", "bobs"]
    assert titles(hub, "?labels=a") == ["two", "one"]
    assert titles(hub, "?labels=a,b") == ["two"]
    assert titles(hub, "?labels=a'%20OR%201=1--") == []
    assert titles(hub, "?creator=bob&per_page=1") == ["bobs"]


def test_comments(hub: Hub) -> None:
    hub.alice.post(f"{R}/issues", {"title": "a"})
    first = hub.run().caller.post(f"{R}/issues/1/comments", {"body": "one"})
    assert first["user"]["type"] == "Bot"
    hub.bob.post(f"{R}/issues/1/comments", {"body": "two"})
    hub.alice.expect(200, "PATCH", f"{R}/issues/comments/{first['id']}", {"body": "1"})
    assert [comment["body"] for comment in hub.alice.get(f"{R}/issues/1/comments")] == ["1", "two"]
    assert hub.alice.get(f"{R}/issues/1")["comments"] == 2
    hub.alice.post(f"{R}/issues/1/comments", {"body": "x" * 65_536})
    hub.alice.post(f"{R}/issues/1/comments", {"body": "x" * 65_537}, 422)
    hub.alice.post(f"{R}/issues/1/comments", {"body": " "}, 422)
    hub.alice.post(f"{R}/issues/2/comments", {"body": "x"}, 404)


@pytest.mark.parametrize("body", [{}, {"title": ""}, {"title": "x" * 257}, {"title": "x", "assignees": ["nobody"]}])
def test_wrong_issues(hub: Hub, body: dict[str, object]) -> None:
    hub.alice.post(f"{R}/issues", body, 422)
    assert titles(hub, "?state=all") == []


def test_labels(hub: Hub) -> None:
    hub.alice.post(f"{R}/labels", {"name": "Gate/1", "color": "00ff00", "description": "d"})
    hub.alice.post(f"{R}/labels", {"name": "gate/1"}, 422)
    hub.alice.post(f"{R}/labels", {"name": "x", "color": "green"}, 422)
    assert hub.alice.get(f"{R}/labels/gate%2F1")["color"] == "00ff00"
    hub.alice.get(f"{R}/labels/none", 404)
