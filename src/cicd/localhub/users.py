"""Users."""

from __future__ import annotations

from urllib.parse import quote

from cicd.localhub.auth import BOT
from cicd.localhub.calls import Answer, Call, Json, Route, node_id
from cicd.localhub.problems import forbidden, not_found
from cicd.localhub.store import Db, Row, insert, now, one

_TEMPLATES = {
    "followers_url": "followers",
    "following_url": "following{/other_user}",
    "gists_url": "gists{/gist_id}",
    "starred_url": "starred{/owner}{/repo}",
    "subscriptions_url": "subscriptions",
    "organizations_url": "orgs",
    "repos_url": "repos",
    "events_url": "events{/privacy}",
    "received_events_url": "received_events",
}


def user_row(db: Db, user_id: int) -> Row:
    """The user with this id, which exists."""
    row = one(db, "SELECT * FROM users WHERE id = ?", user_id)
    assert row is not None, "users are never deleted"
    return row


def ensure_user(db: Db, login: str, name: str | None = None) -> Row:
    """The user with this login; made if there is none."""
    row = one(db, "SELECT * FROM users WHERE login = ?", login)
    return row or insert(db, "users", login=login, name=name, created_at=now())


def simple_user(base: str, user: Row) -> Json:
    """GitHub's `simple-user`."""
    url = f"{base}/users/{quote(user['login'])}"
    return {
        "login": user["login"],
        "id": user["id"],
        "node_id": node_id("User", user["id"]),
        "avatar_url": f"{base}/_localhub/avatars/{quote(user['login'])}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{base}/{quote(user['login'])}",
        **{key: f"{url}/{rest}" for key, rest in _TEMPLATES.items()},
        "type": user["type"],
        "site_admin": False,
    }


def user_json(call: Call, user_id: int | None) -> Json | None:
    """`simple-user` by id; None for None."""
    return None if user_id is None else simple_user(call.base, user_row(call.db, user_id))


def _public_user(call: Call, user: Row) -> Json:
    empty = ("company", "location", "email", "hireable", "bio", "twitter_username")
    return {
        **simple_user(call.base, user),
        "name": user["name"],
        "blog": "",
        **dict.fromkeys(empty),
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": user["created_at"],
        "updated_at": user["created_at"],
    }


def get_authenticated(call: Call) -> Answer:
    """GET /user: who the token belongs to; a run's token is no user."""
    if call.user_id == BOT:
        raise forbidden()
    user = _public_user(call, user_row(call.db, call.user_id))
    private = ("private_gists", "total_private_repos", "owned_private_repos", "disk_usage", "collaborators")
    return Answer(200, {**user, **dict.fromkeys(private, 0), "two_factor_authentication": True})


def get_by_username(call: Call) -> Answer:
    """GET /users/{username}."""
    row = one(call.db, "SELECT * FROM users WHERE login = ?", call.params["username"])
    if row is None:
        raise not_found()
    return Answer(200, _public_user(call, row))


def get_permission(call: Call) -> Answer:
    """GET collaborators/{username}/permission: what a person may do in the repository."""
    row = one(call.db, "SELECT * FROM users WHERE login = ?", call.params["username"])
    if row is None:
        raise not_found()
    access = "admin" if row["login"].lower() == call.repo["owner"].lower() else row["access"]
    rights = {name: access in grades for name, grades in _GRADES.items()}
    user = {**simple_user(call.base, row), "permissions": rights, "role_name": access}
    return Answer(200, {"permission": access, "role_name": access, "user": user})


_GRADES = {
    "pull": ("read", "write", "admin"),
    "triage": ("write", "admin"),
    "push": ("write", "admin"),
    "maintain": ("admin",),
    "admin": ("admin",),
}


ROUTES = [
    Route("GET", "/user", get_authenticated),
    Route("GET", "/users/{username}", get_by_username, "open"),
    Route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", get_permission),
]
