"""What GitHub says about itself: the root, /meta, /rate_limit."""

from __future__ import annotations

from cicd.localhub.calls import Answer, Call, Route

_LINKS = {
    "current_user_url": "user",
    "current_user_authorizations_html_url": "settings/connections/applications{/client_id}",
    "authorizations_url": "authorizations",
    "code_search_url": "search/code?q={query}{&page,per_page,sort,order}",
    "commit_search_url": "search/commits?q={query}{&page,per_page,sort,order}",
    "emails_url": "user/emails",
    "emojis_url": "emojis",
    "events_url": "events",
    "feeds_url": "feeds",
    "followers_url": "user/followers",
    "following_url": "user/following{/target}",
    "gists_url": "gists{/gist_id}",
    "issue_search_url": "search/issues?q={query}{&page,per_page,sort,order}",
    "issues_url": "issues",
    "keys_url": "user/keys",
    "label_search_url": "search/labels?q={query}&repository_id={repository_id}{&page,per_page}",
    "notifications_url": "notifications",
    "organization_url": "orgs/{org}",
    "organization_repositories_url": "orgs/{org}/repos{?type,page,per_page,sort}",
    "organization_teams_url": "orgs/{org}/teams",
    "public_gists_url": "gists/public",
    "rate_limit_url": "rate_limit",
    "repository_url": "repos/{owner}/{repo}",
    "repository_search_url": "search/repositories?q={query}{&page,per_page,sort,order}",
    "current_user_repositories_url": "user/repos{?type,page,per_page,sort}",
    "starred_url": "user/starred{/owner}{/repo}",
    "starred_gists_url": "gists/starred",
    "user_url": "users/{user}",
    "user_organizations_url": "user/orgs",
    "user_repositories_url": "users/{user}/repos{?type,page,per_page,sort}",
    "user_search_url": "search/users?q={query}{&page,per_page,sort,order}",
}


def get_root(call: Call) -> Answer:
    """GET /: where things are."""
    return Answer(200, {key: f"{call.base}/{rest}" for key, rest in _LINKS.items()})


def get_meta(call: Call) -> Answer:
    """GET /meta: addresses of the server."""
    loopback = ["127.0.0.0/8", "::1/128"]
    return Answer(
        200,
        {"verifiable_password_authentication": False, "web": loopback, "api": loopback, "git": loopback},
    )


def get_rate_limit(call: Call) -> Answer:
    """GET /rate_limit: does not itself count."""
    rate = {key: call.rate[key] for key in ("limit", "used", "remaining", "reset")}
    unused = {**rate, "used": 0, "remaining": rate["limit"]}
    return Answer(200, {"resources": {"core": rate, "graphql": rate, "search": unused}, "rate": rate})


ROUTES = [
    Route("GET", "/", get_root, "open"),
    Route("GET", "/meta", get_meta, "open"),
    Route("GET", "/rate_limit", get_rate_limit, "open"),
]
