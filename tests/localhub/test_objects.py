"""Git objects by the API, as git itself then sees them."""

from typing import Any

import pytest

from tests.localhub.hub import Hub, R


def make_tree(hub: Hub, *entries: dict[str, Any], base: str | None = None, status: int = 201) -> Any:
    return hub.alice.post(f"{R}/git/trees", {"tree": list(entries)} | ({"base_tree": base} if base else {}), status)


def test_tree_on_top_of_another(hub: Hub) -> None:
    added = {"path": "deep/er/x.sh", "mode": "100755", "type": "blob", "content": "echo"}
    removed = [{"path": "a.txt", "sha": None}, {"path": "never-there", "sha": None}]
    made = make_tree(hub, added, *removed, base=hub.git("rev-parse", "main^{tree}"))
    listed = hub.git("ls-tree", "-r", made["sha"]).splitlines()
    assert [line.split()[0] + " " + line.split("\t")[1] for line in listed] == [
        "100644 .github/workflows/deploy.yml",
        "100755 deep/er/x.sh",
    ]
    deep = hub.alice.get(f"{R}/git/trees/{made['sha']}?recursive=1")["tree"]
    assert {"deep", "deep/er", "deep/er/x.sh"} <= {entry["path"] for entry in deep}
    assert [entry["path"] for entry in hub.alice.get(f"{R}/git/trees/main")["tree"]] == [".github", "a.txt"]
    hub.alice.get(f"{R}/git/trees/{'0' * 40}", 404)


@pytest.mark.parametrize(
    "entry",
    [
        {"path": "../x", "content": ""},
        {"path": ".git/config", "content": ""},
        {"path": "a//b", "content": ""},
        {"path": "", "content": ""},
        {"path": "x", "sha": "0" * 40},
        {"path": "x", "sha": "zz"},
        {"path": "x", "mode": "123456", "content": ""},
        {"path": "x", "type": "tree", "mode": "040000", "sha": "0" * 40},
    ],
)
def test_wrong_trees(hub: Hub, entry: dict[str, Any]) -> None:
    make_tree(hub, entry, status=422)
    make_tree(hub, base="nowhere", status=422)


def test_commit_with_its_people(hub: Hub) -> None:
    tree, parent = hub.git("rev-parse", "main^{tree}"), hub.git("rev-parse", "main")
    author = {"name": "Ann", "email": "ann@example.org", "date": "2026-01-02T03:04:05Z"}
    body = {"message": "made", "tree": tree, "parents": [parent], "author": author}
    made = hub.alice.post(f"{R}/git/commits", body)
    assert made["author"] == author
    assert (
        hub.git("log", "-1", "--format=%an %ae %aI %P", made["sha"])
        == f"Ann ann@example.org 2026-01-02T03:04:05+00:00 {parent}"
    )
    hub.alice.post(f"{R}/git/commits", body | {"tree": parent}, 422)
    hub.alice.post(f"{R}/git/commits", body | {"parents": [tree]}, 422)
    hub.alice.post(f"{R}/git/commits", body | {"author": {"name": "", "email": ""}}, 422)
    hub.alice.post(f"{R}/git/commits", body | {"author": author | {"date": "soon"}}, 422)


@pytest.mark.parametrize("name", ["Eve>\nevil", "Eve\x00", "<>"])
def test_nobody_forges_headers_of_a_tag(hub: Hub, name: str) -> None:
    sha = hub.git("rev-parse", "main")
    tagger = {"name": name, "email": "e@example.org"}
    body = {"tag": "v9", "message": "m", "object": sha, "type": "commit", "tagger": tagger}
    reply = hub.alice.call("POST", f"{R}/git/tags", body)
    if reply.status == 201:
        hub.git("fsck", "--strict", reply.body["sha"])
        assert "evil" not in hub.git("cat-file", "-p", reply.body["sha"]).splitlines()
    hub.alice.post(f"{R}/git/tags", body | {"tagger": None, "tag": "a b"}, 422)
    hub.alice.post(f"{R}/git/tags", body | {"tagger": None, "type": "tree"}, 422)


def test_blobs(hub: Hub) -> None:
    sha = hub.alice.post(f"{R}/git/blobs", {"content": "aGk=", "encoding": "base64"})["sha"]
    assert hub.git("cat-file", "-p", sha) == "hi"
    hub.alice.post(f"{R}/git/blobs", {"content": "a", "encoding": "base64"}, 422)
    hub.alice.get(f"{R}/git/blobs/{hub.git('rev-parse', 'main')}", 404)
    hub.alice.get(f"{R}/git/blobs/main", 404)
