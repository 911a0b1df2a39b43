"""Commits, comparisons and files of a real git repository."""

import base64

import pytest

from tests.localhub.hub import Hub, R


def test_compare(hub: Hub) -> None:
    hub.git("branch", "side", "main~1")
    assert hub.alice.get(f"{R}/compare/v1...main")["status"] == "identical"
    ahead = hub.alice.get(f"{R}/compare/side...main")
    assert (ahead["status"], ahead["ahead_by"], ahead["behind_by"]) == ("ahead", 1, 0)
    assert [file["filename"] for file in ahead["files"]] == ["a.txt"]
    assert "+two" in ahead["files"][0]["patch"]
    behind = hub.alice.get(f"{R}/compare/main...side")
    assert (behind["status"], behind["ahead_by"], behind["behind_by"]) == ("behind", 0, 1)
    new = hub.commit("three", branch="side", file="b.txt")
    both = hub.alice.get(f"{R}/compare/main...{new}")
    assert (both["status"], both["ahead_by"], both["behind_by"]) == ("diverged", 1, 1)
    assert both["merge_base_commit"]["sha"] == hub.git("merge-base", "main", "side")
    assert [file["status"] for file in both["files"]] == ["added"]
    for wrong in ("main...nowhere", "main", "main..side", "...", "%27...main"):
        hub.alice.get(f"{R}/compare/{wrong}", 404)


def test_commits(hub: Hub) -> None:
    hub.commit("b", file="b.txt")
    messages = [entry["commit"]["message"] for entry in hub.alice.get(f"{R}/commits")]
    assert messages == ["write b", "write two", "write one"]
    assert len(hub.alice.get(f"{R}/commits?path=a.txt")) == 2
    assert len(hub.alice.get(f"{R}/commits?sha=v1&per_page=1&page=2")) == 1
    hub.alice.get(f"{R}/commits?sha=none", 404)
    sha = hub.git("rev-parse", "v1")
    for name in ("v1", sha, sha[:8], "tags/v1", "refs/tags/v1"):
        assert hub.alice.get(f"{R}/commits/{name}")["sha"] == sha
    assert hub.alice.get(f"{R}/commits/v1")["stats"] == {"additions": 1, "deletions": 1, "total": 2}
    hub.alice.get(f"{R}/commits/none", 422)


def test_branch_with_slashes(hub: Hub) -> None:
    hub.git("branch", "feature/x/y")
    assert hub.alice.get(f"{R}/branches/feature/x/y")["name"] == "feature/x/y"
    assert hub.alice.get(f"{R}/commits/feature/x/y/status")["total_count"] == 0
    hub.alice.get(f"{R}/branches/feature", 404)


def test_annotated_tag(hub: Hub) -> None:
    hub.git("tag", "-am", "release", "v2")
    sha = hub.git("rev-parse", "v2")
    ref = hub.alice.get(f"{R}/git/ref/tags/v2")
    assert ref["object"]["type"] == "tag"
    assert hub.alice.get(f"{R}/git/tags/{sha}")["message"] == "release"
    assert hub.alice.get(f"{R}/commits/v2")["sha"] == hub.git("rev-parse", "main")
    assert [tag["name"] for tag in hub.alice.get(f"{R}/tags")] == ["v1", "v2"]


def test_contents(hub: Hub) -> None:
    hub.commit("ä" * 10, file="deep ü.txt")
    found = hub.alice.get(f"{R}/contents/deep%20%C3%BC.txt")
    assert base64.b64decode(found["content"]).decode() == "ä" * 10
    assert base64.b64decode(hub.alice.get(f"{R}/contents/a.txt?ref=main~0".replace("~0", ""))["content"]) == b"two"
    assert [(entry["name"], entry["type"]) for entry in hub.alice.get(f"{R}/contents/")] == [
        (".github", "dir"),
        ("a.txt", "file"),
        ("deep ü.txt", "file"),
    ]
    hub.alice.get(f"{R}/contents/a.txt?ref=none", 404)


OUTSIDE = [
    "../../etc/passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    ".git/config",
    "/etc/passwd",
    "a.txt/x",
]


@pytest.mark.parametrize("path", [*OUTSIDE, "a.txt%00", ".github//workflows", "./a.txt"])
def test_contents_stay_inside(hub: Hub, path: str) -> None:
    assert hub.alice.raw("GET", f"{R}/contents/{path}").status == 404


def test_a_repository_that_is_gone(hub: Hub) -> None:
    hub.repo.rename(hub.repo.parent / "moved")
    assert hub.alice.get(f"{R}/commits", 409)["message"] == "Git Repository is empty."
    assert hub.admin.call("POST", "/_localhub/repos", {"owner": "a", "name": "b", "path": "/nowhere"}).status == 422
