"""Environments and their protection rules. A PUT wipes every rule that it does not restate, as GitHub's does."""

from __future__ import annotations

import json
from typing import Literal
from urllib.parse import quote

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.problems import Problem, invalid, not_found, too_long
from cicd.localhub.store import Db, Row, count, insert, many, now, one, update
from cicd.localhub.users import simple_user

MAX_REVIEWERS = 6
MAX_WAIT = 43_200  # minutes: 30 days
MAX_NAME = 255


class BranchPolicy(msgspec.Struct, frozen=True):
    protected_branches: bool
    custom_branch_policies: bool


class Reviewer(msgspec.Struct, frozen=True):
    type: Literal["User", "Team"]
    id: int


class Rules(msgspec.Struct, frozen=True):
    wait_timer: int = 0
    prevent_self_review: bool | None = False
    reviewers: list[Reviewer] | None = None
    deployment_branch_policy: BranchPolicy | None = None


def find_environment(db: Db, repo: Row, name: str) -> Row | None:
    """An environment by its name, in whatever case."""
    return one(db, "SELECT * FROM environments WHERE repo_id = ? AND name = ?", repo["id"], name)


def ensure_environment(db: Db, repo: Row, name: str) -> Row:
    """The environment of this name; an unknown one is made, without any protection."""
    at = now()
    found = find_environment(db, repo, name)
    return found or insert(db, "environments", repo_id=repo["id"], name=name, created_at=at, updated_at=at)


def demand_environment(call: Call) -> Row:
    """The environment of the path. Raises 404."""
    found = find_environment(call.db, call.repo, call.params["environment_name"])
    if found is None:
        raise not_found()
    return found


def reviewers_of(db: Db, environment: Row) -> list[Row]:
    """Users of whom one must approve."""
    sql = "SELECT u.* FROM users u JOIN reviewers r ON r.user_id = u.id WHERE r.environment_id = ? ORDER BY u.id"
    return many(db, sql, environment["id"])


def reviewers_json(call: Call, environment: Row) -> list[Json]:
    """Reviewers as GitHub lists them."""
    users = reviewers_of(call.db, environment)
    return [{"type": "User", "reviewer": simple_user(call.base, user)} for user in users]


def environment_stub(call: Call, environment: Row) -> Json:
    """What other answers say of an environment."""
    name = environment["name"]
    return {
        "id": environment["id"],
        "node_id": node_id("Environment", environment["id"]),
        "name": name,
        "url": f"{call.repo_url}/environments/{quote(name, safe='')}",
        "html_url": f"{call.html_url}/deployments/activity_log?environments_filter={quote(name, safe='')}",
    }


def protection_rules(call: Call, environment: Row) -> list[Json]:
    """The rules of an environment as REST gives them."""

    def rule(offset: int, kind: str, **more: object) -> Json:
        number = environment["id"] * 3 + offset
        return {"id": number, "node_id": node_id("Gate", number), "type": kind, **more}

    rules = []
    if environment["wait_timer"]:
        rules.append(rule(0, "wait_timer", wait_timer=environment["wait_timer"]))
    if reviewers := reviewers_json(call, environment):
        strict = bool(environment["prevent_self_review"])
        rules.append(rule(1, "required_reviewers", prevent_self_review=strict, reviewers=reviewers))
    if environment["branch_policy"]:
        rules.append(rule(2, "branch_policy"))
    return rules


def environment_json(call: Call, environment: Row) -> Json:
    """GitHub's `environment`."""
    policy = environment["branch_policy"]
    return {
        **environment_stub(call, environment),
        "created_at": environment["created_at"],
        "updated_at": environment["updated_at"],
        "can_admins_bypass": False,
        "protection_rules": protection_rules(call, environment),
        "deployment_branch_policy": json.loads(policy) if policy else None,
    }


def list_environments(call: Call) -> Answer:
    """GET environments."""
    page = page_of(call)
    sql = "SELECT * FROM environments WHERE repo_id = ? ORDER BY id LIMIT ? OFFSET ?"
    rows = many(call.db, sql, call.repo["id"], *page.limits)
    total = count(call.db, "SELECT count(*) FROM environments WHERE repo_id = ?", call.repo["id"])
    body = {"total_count": total, "environments": [environment_json(call, row) for row in rows]}
    return paged(call, body, page, total)


def get_environment(call: Call) -> Answer:
    """GET environments/{name}."""
    return Answer(200, environment_json(call, demand_environment(call)))


def _check(call: Call, rules: Rules) -> list[int]:
    """The users who review. Teams are left out without a word: none has access here, and GitHub drops those so."""
    policy, reviewers = rules.deployment_branch_policy, rules.reviewers or []
    if not 0 <= rules.wait_timer <= MAX_WAIT:
        raise invalid("Environment", "wait_timer", f"Wait timer must be between 0 and {MAX_WAIT} minutes")
    if len(reviewers) > MAX_REVIEWERS:
        raise invalid("Environment", "reviewers", f"At most {MAX_REVIEWERS} reviewers are allowed")
    if policy and policy.protected_branches == policy.custom_branch_policies:
        text = "protected_branches and custom_branch_policies cannot have the same value"
        raise Problem(422, f"Validation Failed: {text}")
    users = [reviewer.id for reviewer in reviewers if reviewer.type == "User"]
    if any(one(call.db, "SELECT 1 FROM users WHERE id = ? AND type = 'User'", user) is None for user in users):
        raise invalid("Environment", "reviewers", "A reviewer does not exist", "invalid")
    return list(dict.fromkeys(users))


def put_environment(call: Call) -> Answer:
    """PUT environments/{name}: make it, or replace all its rules."""
    name = call.params["environment_name"]
    if len(name) > MAX_NAME:
        raise too_long("Environment", "name", MAX_NAME)
    rules = call.read(Rules)
    users = _check(call, rules)
    environment = ensure_environment(call.db, call.repo, name)
    policy = rules.deployment_branch_policy
    environment = update(
        call.db,
        "environments",
        environment["id"],
        wait_timer=rules.wait_timer,
        prevent_self_review=bool(rules.prevent_self_review),
        branch_policy=msgspec.json.encode(policy).decode() if policy else None,
        updated_at=now(),
    )
    call.db.execute("DELETE FROM reviewers WHERE environment_id = ?", (environment["id"],))
    for user in users:
        insert(call.db, "reviewers", environment_id=environment["id"], user_id=user)
    return Answer(200, environment_json(call, environment))


def delete_environment(call: Call) -> Answer:
    """DELETE environments/{name}: its rules go, its deployments stay."""
    call.db.execute("DELETE FROM environments WHERE id = ?", (demand_environment(call)["id"],))
    return Answer(204)


_ONE = "/repos/{owner}/{repo}/environments/{environment_name}"
ROUTES = [
    Route("GET", "/repos/{owner}/{repo}/environments", list_environments, "actions"),
    Route("GET", _ONE, get_environment, "actions"),
    Route("PUT", _ONE, put_environment, "administration"),
    Route("DELETE", _ONE, delete_environment, "administration"),
]
