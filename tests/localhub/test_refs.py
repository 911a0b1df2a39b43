"""Refs, above all as locks: making one is an atomic claim."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.localhub.hub import Hub, R

CLAIMS = 16


def test_of_many_claims_exactly_one_wins(hub: Hub) -> None:
    sha = hub.git("rev-parse", "main")
    start = threading.Barrier(CLAIMS)

    def claim(_: int) -> int:
        start.wait()
        return hub.alice.raw("POST", f"{R}/git/refs", f'{{"ref": "refs/locks/dev", "sha": "{sha}"}}'.encode()).status

    with ThreadPoolExecutor(CLAIMS) as pool:
        for _ in range(5):
            statuses = sorted(pool.map(claim, range(CLAIMS)))
            assert statuses == [201] + [422] * (CLAIMS - 1)
            hub.alice.expect(204, "DELETE", f"{R}/git/refs/locks/dev")


def test_a_ref_lives(hub: Hub) -> None:
    old, new = hub.git("rev-parse", "main~1"), hub.git("rev-parse", "main")
    made = hub.alice.post(f"{R}/git/refs", {"ref": "refs/heads/side", "sha": old})
    assert (made["ref"], made["object"]["sha"], made["object"]["type"]) == ("refs/heads/side", old, "commit")
    again = hub.alice.post(f"{R}/git/refs", {"ref": "refs/heads/side", "sha": new}, 422)
    assert again["message"] == "Reference already exists"
    assert hub.alice.get(f"{R}/commits/side")["sha"] == old
    hub.alice.expect(200, "PATCH", f"{R}/git/refs/heads/side", {"sha": new})
    back = hub.alice.expect(422, "PATCH", f"{R}/git/refs/heads/side", {"sha": old})
    assert back["message"] == "Update is not a fast forward"
    hub.alice.expect(200, "PATCH", f"{R}/git/refs/heads/side", {"sha": old, "force": True})
    names = [branch["name"] for branch in hub.alice.get(f"{R}/branches")]
    assert names == ["main", "side"]
    hub.alice.expect(204, "DELETE", f"{R}/git/refs/heads/side")
    assert hub.alice.expect(422, "DELETE", f"{R}/git/refs/heads/side")["message"] == "Reference does not exist"
    hub.alice.get(f"{R}/git/ref/heads/side", 404)


def test_refs_of_the_repository_itself(hub: Hub) -> None:
    hub.git("branch", "old")
    again = {"ref": "refs/heads/old", "sha": hub.git("rev-parse", "main")}
    assert hub.alice.post(f"{R}/git/refs", again, 422)["message"] == "Reference already exists"
    assert [ref["ref"] for ref in hub.alice.get(f"{R}/git/matching-refs/heads/o")] == ["refs/heads/old"]
    assert hub.alice.get(f"{R}/git/matching-refs/heads/none") == []
    new = hub.commit("three")
    hub.alice.expect(200, "PATCH", f"{R}/git/refs/heads/old", {"sha": new})
    assert hub.git("rev-parse", "old") == new
    hub.alice.expect(204, "DELETE", f"{R}/git/refs/heads/old")
    assert hub.git("branch", "--list", "old") == ""
    hub.alice.expect(422, "DELETE", f"{R}/git/refs/heads/main")


BAD = ["main", "refs/x", "refs/heads/", "refs/heads/a b", "refs/heads/../../config", "refs/heads/a..b", "refs/heads/.x"]
BAD += [
    "refs/heads/x.lock",
    "refs/heads/a\x00b",
    "refs/heads/a~1",
    "refs/heads/a//b",
    "refs/heads/x/",
    "",
    "refs/heads/" + "x" * 300,
]


@pytest.mark.parametrize("name", BAD)
def test_illegal_names(hub: Hub, name: str) -> None:
    hub.alice.post(f"{R}/git/refs", {"ref": name, "sha": hub.git("rev-parse", "main")}, 422)


def test_a_ref_that_would_hide_another(hub: Hub) -> None:
    body = {"ref": "refs/heads/main/deep", "sha": hub.git("rev-parse", "main")}
    assert "in the way" in hub.alice.post(f"{R}/git/refs", body, 422)["message"]


@pytest.mark.parametrize("sha", ["0" * 40, "abc", "HEAD", "../../etc/passwd"])
def test_unknown_objects(hub: Hub, sha: str) -> None:
    hub.alice.post(f"{R}/git/refs", {"ref": "refs/heads/x", "sha": sha}, 422)


@pytest.mark.parametrize("ref", ["heads/../../config", "..%2f..%2fconfig", "heads/%00", "heads/none"])
def test_reading_stays_inside(hub: Hub, ref: str) -> None:
    hub.alice.get(f"{R}/git/ref/{ref}", 404)


def test_a_lock_with_words(hub: Hub) -> None:
    """What a lock is made of: a commit that holds its holder, and a ref that claims it."""
    tree = hub.alice.post(f"{R}/git/trees", {"tree": [{"path": "lock.json", "content": '{"by": "alice"}'}]})
    commit = hub.alice.post(f"{R}/git/commits", {"message": "lock", "tree": tree["sha"]})
    hub.alice.post(f"{R}/git/refs", {"ref": "refs/heads/lock-dev", "sha": commit["sha"]})
    found = hub.alice.get(f"{R}/contents/lock.json?ref=lock-dev")
    assert found["size"] == len('{"by": "alice"}')
    assert hub.git("cat-file", "-p", f"{commit['sha']}:lock.json") == '{"by": "alice"}'
