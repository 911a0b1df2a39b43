"""The GitHub adapter, call by call; acceptance runs it against LocalHub."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses
from github import GithubException

from cicd.adapters.github import GitHub
from cicd.adapters.github_calls import explain
from cicd.core.ledger import Payload
from cicd.core.lock import Seen
from cicd.errors import GitHubRefused, GitHubUnavailable, NoToken, RateLimited, TokenRefused
from tests.core.histories import SHA, release
from tests.fakes import runner

API = "https://api.github.com:443"  # PyGithub names the port
REPO = f"{API}/repos/acme/app"
PAYLOAD = Payload(kind="promote", release=release("v1"), release_id=release("v1").id, key="run/1/deploy/production")


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> GitHub:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    return GitHub(runner({"GITHUB_REPOSITORY": "acme/app", "GITHUB_RUN_ID": "7"}), "token")


def test_without_token_or_repository_no_call_is_made() -> None:
    with pytest.raises(NoToken, match="no token"):
        GitHub(runner({"GITHUB_REPOSITORY": "acme/app"}), "")
    with pytest.raises(NoToken, match="GITHUB_REPOSITORY"):
        GitHub(runner({}), "token")


def test_an_environment_and_its_reviewers(http: responses.RequestsMock, hub: GitHub) -> None:
    rules = [
        {"type": "wait_timer", "wait_timer": 5},
        {
            "type": "required_reviewers",
            "prevent_self_review": True,
            "reviewers": [
                {"type": "User", "reviewer": {"login": "rita"}},
                {"type": "Team", "reviewer": {"slug": "platform"}},
            ],
        },
    ]
    http.get(f"{REPO}/environments/production", json={"name": "production", "protection_rules": rules})
    found = hub.environment("production")
    assert found is not None
    assert found.reviewers == ["rita", "platform"]
    assert not found.self_review


def test_an_environment_that_is_not_there(http: responses.RequestsMock, hub: GitHub) -> None:
    http.get(f"{REPO}/environments/prod", json={"message": "Not Found"}, status=404)
    assert hub.environment("prod") is None


def answer(*pages: list[dict[str, Any]]) -> dict[str, Any]:
    return {"data": {"repository": {f"e{number}": {"nodes": nodes} for number, nodes in enumerate(pages)}}}


def test_the_ledger_is_one_call(http: responses.RequestsMock, hub: GitHub) -> None:
    import msgspec

    node = {
        "databaseId": 5,
        "environment": "production",
        "task": "cicd",
        "createdAt": "1",
        "payload": msgspec.json.encode(PAYLOAD).decode(),
        "statuses": {"nodes": [{"state": "SUCCESS", "description": "stable: fine", "createdAt": "1"}]},
    }
    foreign = {**node, "task": "deploy", "payload": None}
    newer = {**node, "databaseId": 6, "environment": "staging", "createdAt": "2"}
    http.post(f"{API}/graphql", json=answer([node, foreign], [newer]))
    found = hub.ledger(["production", "staging"])
    assert [entry.id for entry in found] == [6, 5]
    assert hub.calls == 1
    sent = json.loads(http.calls[0].request.body or "")
    environments = {"e0": "production", "e1": "staging"}
    locks = {"e0lock": "refs/cicd/lock/production", "e1lock": "refs/cicd/lock/staging"}
    assert sent["variables"] == {**environments, **locks, "owner": "acme", "name": "app"}


def test_the_locks_come_with_the_ledger(http: responses.RequestsMock, hub: GitHub) -> None:
    held = {"oid": "a" * 40, "message": '{"cicd":1,"state":"held","token":3,"by":"dana"}'}
    given = answer([], [], [])
    given["data"]["repository"] |= {"e0lock": held, "e1lock": None, "e2lock": {"oid": "b" * 40, "message": "hello"}}
    http.post(f"{API}/graphql", json=given)
    locks = hub.standing(["production", "staging", "dev"]).locks
    assert locks["production"].lock is not None
    assert (locks["production"].oid, locks["production"].lock.token) == ("a" * 40, 3)
    assert locks["staging"] == Seen()
    assert locks["dev"] == Seen(oid="b" * 40), "something else's commit is seen and is no lock"
    assert hub.calls == 1


def reviewed(*nodes: dict[str, Any] | None) -> dict[str, Any]:
    reviewers = {"totalCount": len(nodes), "nodes": list(nodes)}
    wait = {"type": "WAIT_TIMER", "preventSelfReview": None, "reviewers": {"totalCount": 0, "nodes": []}}
    rule = {"type": "REQUIRED_REVIEWERS", "preventSelfReview": True, "reviewers": reviewers}
    return {"protectionRules": {"nodes": [wait, rule]}}


def test_reviewers_come_with_the_ledger_and_are_asked_for_once(http: responses.RequestsMock, hub: GitHub) -> None:
    given = answer([], [])
    given["data"]["repository"]["e0rules"] = reviewed({"login": "rita"}, {"slug": "platform"})
    given["data"]["repository"]["e1rules"] = {"protectionRules": {"nodes": []}}
    http.post(f"{API}/graphql", json=given)
    http.get(f"{REPO}/environments/staging", json={"name": "x", "protection_rules": []})
    http.get(f"{REPO}/environments/production", json={"name": "x", "protection_rules": []})
    hub.standing(["production", "staging"])
    found = hub.environment("production")
    assert found is not None
    assert (found.reviewers, found.self_review, hub.calls) == (["rita", "platform"], False, 1)
    assert hub.environment("staging") is not None, "that there are no reviewers is believed to REST alone"
    assert hub.environment("production") is not None, "what was shown before is no answer for ever"
    assert hub.calls == 3


def test_reviewers_that_may_not_be_seen_do_not_cost_the_ledger(http: responses.RequestsMock, hub: GitHub) -> None:
    given = answer([], [])
    given["data"]["repository"] |= {"e0rules": reviewed(None), "e1rules": None}
    path = ["repository", "e0rules", "protectionRules", "nodes", 1, "reviewers", "nodes", 0]
    forbidden = {"type": "FORBIDDEN", "message": "Resource not accessible by integration"}
    given["errors"] = [{**forbidden, "path": path}, {**forbidden, "path": ["repository", "e1rules"]}]
    http.post(f"{API}/graphql", json=given)
    assert hub.standing(["production", "staging"]).ledger == []
    found = hub.environment("production")
    assert found is not None
    assert found.reviewers == ["(a team that the token may not see)"]


def test_a_ledger_that_may_not_be_seen_is_an_error(http: responses.RequestsMock, hub: GitHub) -> None:
    given = answer([])
    given["errors"] = [{"type": "FORBIDDEN", "message": "no", "path": ["repository", "e0lock"]}]
    http.post(f"{API}/graphql", json=given)
    with pytest.raises(GitHubRefused):
        hub.standing(["production"])


def test_a_read_is_repeated_until_github_is_back(http: responses.RequestsMock, hub: GitHub) -> None:
    for status in (500, 502):
        http.get(f"{REPO}/compare/a...b", status=status, json={"message": "oops"})
    http.get(f"{REPO}/compare/a...b", body=requests.ConnectionError("gone"))
    http.get(f"{REPO}/compare/a...b", json={"status": "ahead"})
    assert hub.compare("a", "b") == "ahead"
    assert hub.calls == 4


def test_a_write_whose_answer_was_lost_is_looked_up_and_not_made_again(
    http: responses.RequestsMock, hub: GitHub
) -> None:
    http.post(f"{REPO}/deployments", body=requests.ConnectionError("gone"))
    listed = [{"id": 8, "payload": {"key": "another"}}, {"id": 9, "payload": {"key": PAYLOAD.key}}]
    http.get(f"{REPO}/deployments", json=listed)
    assert hub.create_deployment(PAYLOAD, "production", production=True) == 9
    assert [call.request.method for call in http.calls] == ["POST", "GET"]


def test_a_write_that_did_not_take_effect_is_made_again(http: responses.RequestsMock, hub: GitHub) -> None:
    http.post(f"{REPO}/deployments", status=502, json={"message": "bad gateway"})
    http.get(f"{REPO}/deployments", json=[])
    made = {"id": 10, "url": f"{REPO}/deployments/10"}
    http.post(f"{REPO}/deployments", status=201, json=made)
    assert hub.create_deployment(PAYLOAD, "production", production=True) == 10


def test_what_a_deployment_says(http: responses.RequestsMock, hub: GitHub) -> None:
    http.post(f"{REPO}/deployments", status=201, json={"id": 1, "url": f"{REPO}/deployments/1"})
    hub.create_deployment(PAYLOAD, "staging", production=False)
    sent = json.loads(http.calls[0].request.body or "")
    assert sent["auto_merge"] is False
    assert sent["required_contexts"] == []
    assert sent["production_environment"] is False
    assert sent["task"] == "cicd"
    assert sent["ref"] == SHA
    assert len(sent["description"]) <= 140


def test_a_verdict_whose_answer_was_lost_is_looked_up(http: responses.RequestsMock, hub: GitHub) -> None:
    http.post(f"{REPO}/deployments/3/statuses", body=requests.ReadTimeout("silence"))
    http.get(f"{REPO}/deployments/3/statuses", json=[{"description": "stable: fine"}])
    hub.set_verdict(3, "stable", "fine")
    assert [call.request.method for call in http.calls] == ["POST", "GET"]


def test_a_wrong_token(http: responses.RequestsMock, hub: GitHub) -> None:
    http.get(f"{REPO}/compare/a...b", status=401, json={"message": "Bad credentials"})
    with pytest.raises(TokenRefused, match="Bad credentials"):
        hub.compare("a", "b")
    assert hub.calls == 1


@pytest.mark.parametrize("status", [403, 422, 409])
def test_a_refusal_is_not_repeated(http: responses.RequestsMock, hub: GitHub, status: int) -> None:
    http.get(f"{REPO}/compare/a...b", status=status, json={"message": "Resource not accessible by integration"})
    with pytest.raises(GitHubRefused, match="not accessible") as caught:
        hub.compare("a", "b")
    assert caught.value.status == status
    assert hub.calls == 1


def test_a_commit_that_was_forced_away_has_diverged(http: responses.RequestsMock, hub: GitHub) -> None:
    http.get(f"{REPO}/compare/a...b", status=404, json={"message": "Not Found"})
    assert hub.compare("a", "b") == "diverged"


def test_a_limit_that_ends_soon_is_waited_for(http: responses.RequestsMock, hub: GitHub) -> None:
    said = {"message": "You have exceeded a secondary rate limit."}
    http.get(f"{REPO}/compare/a...b", status=429, json=said, headers={"retry-after": "2"})
    http.get(f"{REPO}/compare/a...b", json={"status": "ahead"})
    assert hub.compare("a", "b") == "ahead"


@pytest.mark.parametrize("headers", [{"retry-after": "3600"}, {"x-ratelimit-remaining": "0"}])
def test_a_limit_that_lasts_is_said(http: responses.RequestsMock, hub: GitHub, headers: dict[str, str]) -> None:
    http.get(f"{REPO}/compare/a...b", status=403, json={"message": "API rate limit exceeded"}, headers=headers)
    with pytest.raises(RateLimited, match="rate limit"):
        hub.compare("a", "b")


def test_github_away_for_long(http: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = GitHub(runner({"GITHUB_REPOSITORY": "acme/app", "CICD_GITHUB_PATIENCE": "0.05"}), "token")
    http.get(f"{REPO}/compare/a...b", status=500, json={"message": "oops"})
    with pytest.raises(GitHubUnavailable, match="500 oops"):
        hub.compare("a", "b")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://api.github.com/repos/acme/app", "when https://www.githubstatus.com is green"),
        ("http://127.0.0.1:8180/graphql?x=1", "when http://127.0.0.1:8180 answers"),
        ("", "GITHUB_API_URL answers"),
    ],
)
def test_who_is_away_is_named(url: str, said: str) -> None:
    request = requests.Request("GET", url).prepare() if url else None
    error = explain(requests.ConnectionError("refused", request=request), "the ledger")
    assert said in error.next_step


@pytest.mark.parametrize("kind", ["RATE_LIMITED", "RATE_LIMIT"])
def test_a_limit_of_graphql_is_said_with_status_200_and_is_no_lack_of_permissions(kind: str) -> None:
    data = {"errors": [{"type": kind, "message": "API rate limit already exceeded for user ID 1."}]}
    error = explain(GithubException(400, data, {"x-ratelimit-remaining": "0"}), "the ledger")
    assert isinstance(error, RateLimited)


def test_what_graphql_forbids_is_refused_as_rest_would() -> None:
    data = {"data": None, "errors": [{"type": "FORBIDDEN", "message": "Resource not accessible"}]}
    error = explain(GithubException(400, data), "the ledger")
    assert isinstance(error, GitHubRefused)
    assert error.status == 403


def test_an_error_of_graphql_is_told_in_its_own_words() -> None:
    data = {"data": None, "errors": [{"type": "NOT_FOUND", "message": "Could not resolve to a Repository"}]}
    error = explain(GithubException(404, data), "the ledger")
    assert error.what == "GitHub answered 404 for the ledger: Could not resolve to a Repository"
    assert "GITHUB_REPOSITORY" in error.next_step
