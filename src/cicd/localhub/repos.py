"""Repositories, their branches and tags."""

from __future__ import annotations

from dataclasses import replace

import pygit2

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.commits import commit_json
from cicd.localhub.history import all_refs, find_commit, open_git
from cicd.localhub.problems import not_found
from cicd.localhub.store import Db, Row, count, many, one
from cicd.localhub.users import simple_user

_TEMPLATES = {
    "archive_url": "{archive_format}{/ref}",
    "assignees_url": "assignees{/user}",
    "blobs_url": "git/blobs{/sha}",
    "branches_url": "branches{/branch}",
    "collaborators_url": "collaborators{/collaborator}",
    "comments_url": "comments{/number}",
    "commits_url": "commits{/sha}",
    "compare_url": "compare/{base}...{head}",
    "contents_url": "contents/{+path}",
    "contributors_url": "contributors",
    "deployments_url": "deployments",
    "downloads_url": "downloads",
    "events_url": "events",
    "forks_url": "forks",
    "git_commits_url": "git/commits{/sha}",
    "git_refs_url": "git/refs{/sha}",
    "git_tags_url": "git/tags{/sha}",
    "hooks_url": "hooks",
    "issue_comment_url": "issues/comments{/number}",
    "issue_events_url": "issues/events{/number}",
    "issues_url": "issues{/number}",
    "keys_url": "keys{/key_id}",
    "labels_url": "labels{/name}",
    "languages_url": "languages",
    "merges_url": "merges",
    "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}",
    "pulls_url": "pulls{/number}",
    "releases_url": "releases{/id}",
    "stargazers_url": "stargazers",
    "statuses_url": "statuses/{sha}",
    "subscribers_url": "subscribers",
    "subscription_url": "subscription",
    "tags_url": "tags",
    "teams_url": "teams",
    "trees_url": "git/trees{/sha}",
}


def find_repo(db: Db, owner: str, name: str) -> Row | None:
    """A repository by its name; GitHub ignores the case."""
    return one(db, "SELECT * FROM repos WHERE owner = ? AND name = ?", owner, name)


def minimal_repository(call: Call) -> Json:
    """GitHub's `minimal-repository` of the repository that the call is about."""
    repo, url, html = call.repo, call.repo_url, call.html_url
    return {
        "id": repo["id"],
        "node_id": node_id("Repository", repo["id"]),
        "name": repo["name"],
        "full_name": f"{repo['owner']}/{repo['name']}",
        "owner": _owner(call),
        "private": bool(repo["private"]),
        "html_url": html,
        "description": None,
        "fork": False,
        "url": url,
        **{key: f"{url}/{rest}" for key, rest in _TEMPLATES.items()},
    }


def _owner(call: Call) -> Json:
    row = one(call.db, "SELECT * FROM users WHERE login = ?", call.repo["owner"])
    assert row is not None, "a repository is registered together with its owner"
    return simple_user(call.base, row)


def repository_json(call: Call) -> Json:
    """GitHub's `full-repository` of the repository that the call is about."""
    repo, html = call.repo, call.html_url
    issues = count(call.db, "SELECT count(*) FROM issues WHERE repo_id = ? AND state = 'open'", repo["id"])
    zeros = ("forks_count", "stargazers_count", "watchers_count", "subscribers_count", "network_count")
    return {
        **minimal_repository(call),
        **{key: f"{html}.git" for key in ("git_url", "ssh_url", "clone_url", "svn_url")},
        **dict.fromkeys(("mirror_url", "homepage", "language", "license")),
        **dict.fromkeys((*zeros, "size", "forks", "watchers"), 0),
        "default_branch": repo["default_branch"],
        "open_issues_count": issues,
        "open_issues": issues,
        "has_issues": True,
        **dict.fromkeys(("has_projects", "has_wiki", "has_pages", "has_discussions"), False),
        "archived": False,
        "disabled": False,
        "visibility": "private" if repo["private"] else "public",
        **dict.fromkeys(("pushed_at", "created_at", "updated_at"), repo["created_at"]),
        "permissions": {"admin": False, "push": True, "pull": True},
    }


def get_repo(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}."""
    return Answer(200, repository_json(call))


def repository_of(call: Call, owner: str) -> Json:
    """GitHub's `repository`: this one, or its fork that somebody has."""
    whole = {**repository_json(call), "has_downloads": False}
    return _named(call, {key: whole[key] for key in whole.keys() - {"subscribers_count", "network_count"}}, owner)


def fork_of(call: Call, owner: str) -> Json:
    """GitHub's `minimal-repository` of somebody's fork."""
    return _named(call, minimal_repository(call), owner)


def _named(call: Call, here: Json, owner: str) -> Json:
    user = one(call.db, "SELECT * FROM users WHERE login = ?", owner)
    if user is None or owner.lower() == call.repo["owner"].lower():
        return here
    name = f"{owner}/{call.repo['name']}"
    return {**here, "id": 10**9 + user["id"], "full_name": name, "owner": simple_user(call.base, user), "fork": True}


def _heads(call: Call, prefix: str) -> list[tuple[str, str]]:
    refs = all_refs(call.db, call.repo)
    return [(name.removeprefix(prefix), sha) for name, sha in refs.items() if name.startswith(prefix)]


def list_branches(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/branches."""
    page, heads = page_of(call), _heads(call, "refs/heads/")
    size, start = page.limits
    body = [
        {"name": name, "commit": {"sha": sha, "url": f"{call.repo_url}/commits/{sha}"}, "protected": False}
        for name, sha in heads[start : start + size]
    ]
    return paged(call, body, page, len(heads))


def get_branch(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/branches/{branch}."""
    name = call.params["branch"]
    commit = find_commit(call.db, call.repo, f"refs/heads/{name}")
    if commit is None:
        raise not_found()
    url = f"{call.repo_url}/branches/{name}"
    body = {
        "name": name,
        "commit": commit_json(call, commit),
        "_links": {"self": url, "html": f"{call.html_url}/tree/{name}"},
        "protected": False,
        "protection": {"enabled": False},
        "protection_url": f"{url}/protection",
    }
    return Answer(200, body)


def list_tags(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/tags."""
    page, tags, git = page_of(call), _heads(call, "refs/tags/"), open_git(call.repo)
    size, start = page.limits
    body = []
    for name, sha in tags[start : start + size]:
        commit = str(git[sha].peel(pygit2.Commit).id)
        archive = {f"{kind}_url": f"{call.repo_url}/{kind}/refs/tags/{name}" for kind in ("zipball", "tarball")}
        where = {"sha": commit, "url": f"{call.repo_url}/commits/{commit}"}
        body.append({"name": name, **archive, "commit": where, "node_id": node_id("Ref", name)})
    return paged(call, body, page, len(tags))


def list_org_repos(call: Call) -> Answer:
    """GET /orgs/{org}/repos: those of this owner that the token may see; a run's token sees its own and public ones."""
    owner, token = call.params["org"], call.token or {}
    if one(call.db, "SELECT * FROM users WHERE login = ?", owner) is None:
        raise not_found()
    page = page_of(call)
    size, start = page.limits
    rows = many(call.db, "SELECT * FROM repos WHERE owner = ? COLLATE NOCASE ORDER BY name", owner)
    seen = [row for row in rows if not row["private"] or token.get("repo_id") in (None, row["id"])]
    body = [minimal_repository(replace(call, repo=row)) for row in seen[start : start + size]]
    return paged(call, body, page, len(seen))


ROUTES = [
    Route("GET", "/orgs/{org}/repos", list_org_repos),
    Route("GET", "/repos/{owner}/{repo}", get_repo, "metadata"),
    Route("GET", "/repos/{owner}/{repo}/branches", list_branches, "contents"),
    Route("GET", "/repos/{owner}/{repo}/branches/{branch}", get_branch, "contents", rest="branch"),
    Route("GET", "/repos/{owner}/{repo}/tags", list_tags, "metadata"),
]
