"""`cicd lock` and `cicd unlock` by their command line, and claimants at the same time, against LocalHub."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters.github import GitHub
from cicd.adapters.github_lock import EMPTY_TREE, GitHubLocks, Held
from cicd.adapters.localhub import LocalHub
from cicd.core.lock import Claimant, ref_of
from cicd.errors import GitHubRefused, GitHubUnavailable, Locked, LockLost
from tests.acceptance.conftest import git
from tests.fakes import runner

CHECKOUT = Path(__file__).resolve().parents[2]
ENTRY = CHECKOUT / "src" / "cicd" / "__main__.py"
NAME = "acme/tiny"
DEVELOPER = "dana-token-0123456789"
CONFIG = """
version: 1
app: tiny
deploy: {run: "true"}
environments: {production: {ports: {router: 1, blue: 2, green: 3}}}
"""

pytestmark = pytest.mark.real


@dataclass
class World:
    """A repository whose GitHub is LocalHub."""

    project: Path
    hub: LocalHub

    def github(self, token: str = DEVELOPER) -> GitHub:
        env = {"GITHUB_REPOSITORY": NAME, "GITHUB_API_URL": self.hub.url, "CICD_GITHUB_PATIENCE": "5"}
        return GitHub(runner(env), token)

    def locks(self, token: str = DEVELOPER) -> GitHubLocks:
        return self.github(token).locks()

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> dict[str, Any]:
        """A cicd command with --json; its result and, as `exit`, its exit code."""
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.project),
            "CICD_TARGET": str(self.project.parent / "target"),
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_API_URL": self.hub.url,
            "GITHUB_TOKEN": DEVELOPER,
            **(env or {}),
        }
        argv = [sys.executable, "-I", str(ENTRY), *arguments, "--json"]
        done = subprocess.run(argv, env=given, cwd=self.project, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return {**json.loads(done.stdout), "exit": done.returncode}

    def faults(self, *rules: dict[str, Any]) -> None:
        self.hub.admin("PUT", "/faults", {"faults": list(rules)})

    def history(self) -> list[dict[str, Any]]:
        """What the commits of the lock say, newest first."""
        commits = self.hub.call("GET", f"/repos/{NAME}/commits?sha={ref_of('production')}&per_page=100", DEVELOPER)
        return [json.loads(each["commit"]["message"]) for each in commits]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    project = tmp_path / "project"
    (project / ".github").mkdir(parents=True)
    (project / ".github" / "cicd.yml").write_text(CONFIG)
    for arguments in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "first")):
        git(project, *arguments)
    hub = LocalHub.start(tmp_path / "hub", {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ})
    try:
        hub.admin("POST", "/users", {"login": "dana", "token": DEVELOPER})
        about = {"owner": "acme", "name": "tiny", "path": str(project), "default_branch": "main"}
        hub.admin("POST", "/repos", about)
        yield World(project, hub)
    finally:
        hub.stop()


def claimant(name: str) -> Claimant:
    return Claimant(key=f"{name}/1/deploy/production", by=name, what="promote")


def test_a_person_locks_and_unlocks(world: World) -> None:
    locked = world.run("lock", "--environment", "production", "--reason", "audit", "--for", "2h")
    assert (locked["exit"], locked["decision"]) == (0, "done"), locked
    assert "locked by dana since" in locked["message"]
    assert locked["data"]["github_calls"] <= 4, "viewer, look, commit, ref"
    with pytest.raises(Locked, match="audit"):
        world.locks().claim("production", claimant("rita"))
    again = world.run("lock", "--environment", "production", "--reason", "still the audit")
    assert "still the audit" in again["message"]
    other = world.run("lock", "--environment", "production", "--reason", "mine", env={"GITHUB_ACTOR": "rita"})
    assert (other["exit"], other["reason_code"]) == (35, "locked")
    status = world.run("status")
    assert "dana since" in status["data"]["environments"][0]["held_by"]
    unlocked = world.run("unlock", "--environment", "production", "--reason", "done", env={"GITHUB_ACTOR": "rita"})
    assert (unlocked["exit"], unlocked["data"]["held_by"]) == (0, "dana"), unlocked
    assert world.run("unlock", "--environment", "production")["decision"] == "nothing-to-do"
    assert [(entry["state"], entry["by"], entry.get("reason")) for entry in world.history()] == [
        ("free", "rita", "done"),
        ("held", "dana", "still the audit"),
        ("held", "dana", "audit"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("lock", "--environment", "prodution", "--reason", "x"), 11),
        (("lock", "--environment", "production"), 2),
        (("lock", "--environment", "production", "--reason", "x", "--for", "soon"), 2),
        (("lock", "--environment", "production", "--reason", "x", "--for", "0s"), 2),
    ],
)
def test_bad_input(world: World, arguments: tuple[str, ...], code: int) -> None:
    result = world.run(*arguments)
    assert result["exit"] == code, result


def test_a_runs_lock_is_ended_by_force_alone_and_the_run_is_told(world: World) -> None:
    locks = world.locks()
    held = locks.claim("production", claimant("rita"))
    refused = world.run("unlock", "--environment", "production")
    assert (refused["exit"], refused["reason_code"]) == (35, "locked")
    assert "--force true" in refused["message"]
    forced = world.run("unlock", "--environment", "production", "--force", "true")
    assert forced["data"]["held_by"] == "rita"
    with pytest.raises(LockLost, match="dana unlocked it"):
        locks.renew(held)


def test_who_ends_a_lock_that_cannot_be_read_is_not_taken_for_its_holder(world: World) -> None:
    git = f"/repos/{NAME}/git"
    commit = {"message": "what is this", "tree": EMPTY_TREE, "parents": []}
    oid = world.hub.call("POST", f"{git}/commits", DEVELOPER, commit)["sha"]
    world.hub.call("POST", f"{git}/refs", DEVELOPER, {"ref": "refs/cicd/lock/production", "sha": oid})
    forced = world.run("unlock", "--environment", "production", "--force", "true", env={"GITHUB_ACTOR": "rita"})
    assert (forced["exit"], forced["data"]["held_by"], forced["data"]["by"]) == (0, "", "rita"), forced
    assert "By whom it was held cannot be told" in forced["message"]
    assert "held by rita" not in forced["message"]


def test_reading_the_lock_costs_nothing_beside_the_ledger(world: World) -> None:
    github = world.github()
    seen = github.standing(["production"]).locks["production"]
    assert github.calls == 1
    locks = github.locks()
    held = locks.claim("production", claimant("dana"), seen)
    assert github.calls == 3
    held = locks.renew(held)
    assert github.calls == 5
    assert locks.release(held)
    assert github.calls == 7
    seen = github.standing(["production"]).locks["production"]
    assert seen.lock is not None
    assert (seen.lock.state, seen.lock.token) == ("free", 1)


@pytest.mark.parametrize("number", [2, 3])
def test_of_several_at_once_one_gets_it(world: World, number: int) -> None:
    names = [f"run{index}" for index in range(number)]
    tokens: list[int] = []

    def claim(name: str) -> Held | None:
        try:
            return world.locks().claim("production", claimant(name))
        except Locked:
            return None

    for _ in range(5):
        with ThreadPoolExecutor(number) as pool:
            held = [found for found in pool.map(claim, names) if found]
        assert len(held) == 1
        tokens.append(held[0].token)
        assert world.locks().release(held[0])
    assert tokens == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 502},
        {"kind": "drop-before"},
        {"kind": "drop-after-write"},
        {"kind": "rate-limit-429", "retry_after": 1},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}".strip(),
)
def test_one_bad_answer_to_any_call_changes_nothing(world: World, fault: dict[str, Any]) -> None:
    locks = world.locks()
    wanted: list[tuple[str, int]] = []
    for token, path in enumerate(("*/git/commits", "*/git/refs*", "/graphql"), start=1):
        rule = {"method": "*", "path": path, "times": 1, **fault}
        world.faults(rule)
        held = locks.claim("production", claimant("dana"))
        world.faults(rule)
        held = locks.renew(held)
        world.faults(rule)
        assert locks.release(held)
        wanted = [("free", token), ("held", token), ("held", token), *wanted]
        world.faults()
        assert [(entry["state"], entry["token"]) for entry in world.history()] == wanted


def test_a_token_that_may_not_write_is_told_which_right_it_lacks(world: World) -> None:
    permissions = {"contents": "read", "deployments": "write", "actions": "read"}
    body = {"kind": "app", "repo": NAME, "permissions": permissions}
    token = world.hub.admin("POST", "/tokens", body)["token"]
    with pytest.raises(GitHubRefused, match="contents: write"):
        world.locks(token).claim("production", claimant("dana"))


def test_github_away_for_long_is_an_error_and_the_lock_is_found_later(world: World) -> None:
    locks = world.locks()
    held = locks.claim("production", claimant("dana"))
    world.faults({"method": "*", "path": "/*", "times": 1000, "kind": "status", "status": 502})
    with pytest.raises(GitHubUnavailable):
        locks.release(held)
    world.faults()
    assert locks.claim("production", claimant("dana")).token == 1
