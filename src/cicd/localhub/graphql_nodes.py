"""The objects that GraphQL's answers are made of. Fields that cost something are functions, called when asked for."""

from __future__ import annotations

from functools import partial
from typing import Any

from graphql import GraphQLError

from cicd.localhub.auth import allows
from cicd.localhub.calls import Call, Json, node_id
from cicd.localhub.connections import connect, listed
from cicd.localhub.environments import find_environment, protection_rules
from cicd.localhub.history import SHA, branch_of, find_commit, find_ref, open_git
from cicd.localhub.repos import find_repo
from cicd.localhub.store import Row, one
from cicd.localhub.users import user_row

# https://docs.github.com/en/graphql/reference/deployments: a success is ACTIVE on the deployment.
_STATES = {"success": "ACTIVE"}


def actor(call: Call, user_id: int, *_: Any) -> Json:
    """A user or a bot."""
    user = user_row(call.db, user_id)
    return {
        "__typename": "Bot" if user["type"] == "Bot" else "User",
        "id": node_id("User", user["id"]),
        "databaseId": user["id"],
        "login": user["login"],
        "name": user["name"],
        "url": f"{call.base}/{user['login']}",
    }


def _latest(call: Call, deployment: Row) -> Row | None:
    sql = "SELECT * FROM deployment_statuses WHERE deployment_id = ? ORDER BY id DESC LIMIT 1"
    return one(call.db, sql, deployment["id"])


def _status(call: Call, repo: Row, deployment: Row, row: Row) -> Json:
    return {
        "id": node_id("DeploymentStatus", row["id"]),
        "state": row["state"].upper(),
        "description": row["description"],
        "environment": row["environment"],
        "environmentUrl": row["environment_url"] or None,
        "logUrl": row["log_url"] or None,
        "createdAt": row["created_at"],
        "updatedAt": row["created_at"],
        "creator": partial(actor, call, row["creator_id"]),
        "deployment": lambda *_: _deployment(call, repo, deployment),
    }


def _deployment(call: Call, repo: Row, row: Row) -> Json:
    def latest(*_: Any) -> Json | None:
        found = _latest(call, row)
        return _status(call, repo, row, found) if found else None

    def state(*_: Any) -> str:
        found = _latest(call, row)
        return _STATES.get(found["state"], found["state"].upper()) if found else "PENDING"

    def statuses(_: Any, **page: Any) -> Json:
        found = "SELECT * FROM deployment_statuses WHERE deployment_id = ?"
        make = partial(_status, call, repo, row)
        return connect(call.db, "statuses", found, [row["id"]], make, newest_first=True, **page)

    return {
        "id": node_id("Deployment", row["id"]),
        "databaseId": row["id"],
        "commitOid": row["sha"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
        "creator": partial(actor, call, row["creator_id"]),
        "description": row["description"],
        "environment": row["environment"],
        "latestEnvironment": row["environment"],
        "originalEnvironment": row["original_environment"],
        "payload": row["payload"],  # JSON; a payload that was sent as a string is encoded twice, as on GitHub
        "task": row["task"],
        "ref": lambda *_: _ref(call, repo, row["ref"]),
        "repository": lambda *_: repository(call, repo),
        "state": state,
        "latestStatus": latest,
        "statuses": statuses,
    }


def _ref(call: Call, repo: Row, name: str) -> Json | None:
    """The ref that a deployment names; none for a bare sha."""
    if branch := branch_of(call.db, repo, name):
        return {"id": node_id("Ref", branch), "name": branch, "prefix": "refs/heads/"}
    tag = name.removeprefix("refs/tags/")
    found = find_ref(call.db, repo, f"refs/tags/{tag}")
    return {"id": node_id("Ref", tag), "name": tag, "prefix": "refs/tags/"} if found else None


def _demand(call: Call, scope: str) -> None:
    """The part of an answer that the token may not read is null, with an error; the rest stands."""
    if call.token is None or not allows(call.token, scope, "read"):
        raise GraphQLError("Resource not accessible by integration", extensions={"type": "FORBIDDEN"})


def _object(call: Call, repo: Row, _: Any, expression: str | None = None, oid: str | None = None) -> Json | None:
    """A git object by its oid, or by a branch, a tag, a full ref or a sha; rev-parse takes more than that."""
    _demand(call, "contents")
    git = open_git(repo)
    found: Any = git.get(oid) if oid and SHA.fullmatch(oid) else None
    if expression is not None:
        found = find_commit(call.db, repo, expression) or (git.get(expression) if SHA.fullmatch(expression) else None)
    if found is None:
        return None
    kind = found.type_str.title()
    about = {"__typename": kind, "id": node_id(kind, str(found.id)), "oid": str(found.id)}
    if kind == "Commit":
        about |= {"message": found.message.rstrip("\n"), "messageHeadline": found.message.partition("\n")[0]}
    return about


def _environment(call: Call, repo: Row, _: Any, name: str) -> Json | None:
    """An environment with its protection rules, as REST gives them."""
    _demand(call, "actions")
    environment = find_environment(call.db, repo, name)
    if environment is None:
        return None

    def rule(found: Json) -> Json:
        users = [actor(call, each["reviewer"]["id"]) for each in found.get("reviewers", [])]
        return {
            "databaseId": found["id"],
            "type": found["type"].upper(),
            "timeout": found.get("wait_timer", 0),
            "preventSelfReview": found.get("prevent_self_review"),
            "reviewers": partial(listed, "reviewers", users),
        }

    rules = [rule(found) for found in protection_rules(call, environment)]
    return {
        "id": node_id("Environment", environment["id"]),
        "databaseId": environment["id"],
        "name": environment["name"],
        "protectionRules": partial(listed, "protectionRules", rules),
    }


def repository(call: Call, repo: Row) -> Json:
    """A repository with its deployments."""

    def deployments(_: Any, environments: list[str] | None = None, orderBy: Json | None = None, **page: Any) -> Json:
        found, values = "SELECT * FROM deployments WHERE repo_id = ?", [repo["id"]]
        if environments is not None:
            marks = ", ".join("?" * len(environments))
            found += f" AND environment IN ({marks})"
            values += environments
        newest = (orderBy or {}).get("direction") == "DESC"
        make = partial(_deployment, call, repo)
        return connect(call.db, "deployments", found, values, make, newest_first=newest, **page)

    full_name = f"{repo['owner']}/{repo['name']}"
    return {
        "id": node_id("Repository", repo["id"]),
        "databaseId": repo["id"],
        "name": repo["name"],
        "nameWithOwner": full_name,
        "isPrivate": bool(repo["private"]),
        "createdAt": repo["created_at"],
        "url": f"{call.base}/{full_name}",
        "defaultBranchRef": lambda *_: _ref(call, repo, repo["default_branch"]),
        "deployments": deployments,
        "environment": partial(_environment, call, repo),
        "object": partial(_object, call, repo),
    }


def find_repository(call: Call, _: Any, owner: str, name: str, **__: Any) -> Json:
    """The repository field of a query. Raises a NOT_FOUND error for an unknown one or another's private one."""
    repo = find_repo(call.db, owner, name)
    assert call.token is not None, "GraphQL demands a token"
    hidden = repo and repo["private"] and call.token["repo_id"] not in (None, repo["id"])
    if repo is None or hidden:
        text = f"Could not resolve to a Repository with the name '{owner}/{name}'."
        raise GraphQLError(text, extensions={"type": "NOT_FOUND"})
    return repository(call, repo)
