"""What is no answer of GitHub's is an expected error, whatever it is, and never a bug report."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import responses

from cicd.adapters.github import GitHub
from cicd.core.issue_gate import Asked, body
from cicd.core.lock import Claimant, Seen
from cicd.errors import GitHubUnavailable
from tests.adapters.test_github import PAYLOAD, REPO
from tests.fakes import runner

ASKED = Asked(environment="staging", image="sha256:1", sha="2" * 40, plan="p")
ISSUE = {
    "number": 3,
    "body": body(ASKED, "x", ["rita"], b"key", "acme/app#3"),
    "state": "open",
    "user": {"type": "Bot", "login": "b"},
}
RULE = {"type": "required_reviewers", "prevent_self_review": True, "reviewers": [{"reviewer": {"login": "rita"}}]}
REVIEW = {"state": "approved", "user": {"login": "rita"}, "comment": "", "environments": [{"name": "staging"}]}
Call = Callable[[GitHub], object]
# What is asked, which answer of it is changed, and what GitHub answers.
READS: dict[str, tuple[Call, str, Any]] = {
    "environment": (
        lambda hub: hub.environment("staging", whole=True),
        "/environments/staging",
        {"name": "staging", "protection_rules": [RULE]},
    ),
    "may write": (lambda hub: hub.may_write("rita"), "/collaborators/rita/permission", {"permission": "admin"}),
    "reviews": (lambda hub: hub.reviews("7"), "/actions/runs/7/approvals", [REVIEW]),
    "pending": (
        lambda hub: hub.pending("7"),
        "/actions/runs/7/pending_deployments",
        [{"environment": {"name": "staging"}}],
    ),
    "compare": (lambda hub: hub.compare("a", "b"), "/compare/a...b", {"status": "ahead"}),
    "checks": (
        lambda hub: hub.checks("a", ["test"]),
        "/commits/a/check-runs",
        {"check_runs": [{"id": 1, "name": "test", "conclusion": "success", "status": "completed"}]},
    ),
    "statuses": (
        lambda hub: hub.checks("b", ["test"]),
        "/commits/b/status",
        {"statuses": [{"context": "test", "state": "success"}]},
    ),
    "deployments": (
        lambda hub: hub.create_deployment(PAYLOAD, "staging", production=False, maybe_there=True),
        "/deployments",
        [{"id": 5, "payload": {"key": PAYLOAD.key}}],
    ),
    "issue": (lambda hub: hub.issues().get(3), "/issues/3", {**ISSUE, "html_url": "https://x/3"}),
    "issues": (
        lambda hub: hub.issues().ask(ASKED, "x", [], b"key", "acme/app"),
        "/issues",
        [{**ISSUE, "html_url": "https://x/3"}],
    ),
    "a lock's history": (
        lambda hub: hub.locks()._last_token("9" * 40),
        "/commits",
        [{"commit": {"message": "hello"}}],
    ),
}
NO_ANSWER: list[Any] = [None, True, 7, "x", [None], [[]], {"a": None}]


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.get(f"{REPO}/commits/b/check-runs", json={"check_runs": []})
        mock.get(f"{REPO}/commits/a/status", json={"statuses": []})
        mock.patch(re.compile(f"{REPO}/issues/"), json={})
        yield mock


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> GitHub:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    env = {"GITHUB_REPOSITORY": "acme/app", "GITHUB_RUN_ID": "7", "CICD_GITHUB_PATIENCE": "0.01"}
    return GitHub(runner(env), "token")


def spoilt(answer: Any) -> Iterator[Any]:
    """The answer with one of its values, or all of it, put in place by something else."""
    yield from ([] if isinstance(answer, dict) else {}, *NO_ANSWER)
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield from ({**answer, name: other} for other in spoilt(value))
    elif isinstance(answer, list) and answer:
        yield from ([other] for other in spoilt(answer[0]))


@pytest.mark.parametrize("name", READS)
def test_an_answer_with_other_types_is_read_or_refused(http: responses.RequestsMock, hub: GitHub, name: str) -> None:
    ask, path, answer = READS[name]
    refused: list[str] = []
    for odd in spoilt(answer):
        http.upsert("GET", f"{REPO}{path}", json=odd)
        http.upsert("POST", f"{REPO}{path}", json={"id": 1})
        try:
            ask(hub)
        except GitHubUnavailable as error:
            refused.append(error.what)
    assert len(refused) > len(NO_ANSWER)
    assert all("is not GitHub" in what for what in refused)


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("text", ["<html>sign in</html>", "", '{"message": "welcome"}'])
def test_a_page_is_no_answer(http: responses.RequestsMock, hub: GitHub, name: str, text: str) -> None:
    ask, path, _ = READS[name]
    http.get(f"{REPO}{path}", body=text)
    with pytest.raises(GitHubUnavailable, match="proxy"):
        ask(hub)


@pytest.mark.parametrize("data", [None, {}, [], "x", {"viewer": None}, {"viewer": {}}])
def test_a_query_without_its_data_is_not_answered(http: responses.RequestsMock, hub: GitHub, data: Any) -> None:
    http.post("https://api.github.com:443/graphql", json={"data": data})
    with pytest.raises(GitHubUnavailable):
        hub.viewer()
    with pytest.raises(GitHubUnavailable):
        hub.standing(["staging"])  # not an empty ledger, in which nothing was ever bad


@pytest.mark.parametrize("sha", [None, "", "x", 7, {}])
def test_a_lock_is_not_moved_to_what_is_no_commit(http: responses.RequestsMock, hub: GitHub, sha: Any) -> None:
    http.post(f"{REPO}/git/commits", json={"sha": sha})
    claimant = Claimant(key="7/1/deploy/staging", by="dana", what="promote")
    with pytest.raises(GitHubUnavailable):
        hub.locks().claim("staging", claimant, Seen())


def test_of_two_checks_of_one_name_the_newest_counts(http: responses.RequestsMock, hub: GitHub) -> None:
    """A push and a pull request make a check run each, in suites of their own: GitHub's `latest` is by suite."""
    newest = {"id": 9, "name": "test", "status": "completed", "conclusion": "failure"}
    older = {"id": 8, "name": "test", "status": "completed", "conclusion": "success"}
    for runs in ([newest, older], [older, newest]):
        http.upsert("GET", f"{REPO}/commits/a/check-runs", json={"check_runs": runs})
        assert hub.checks("a", ["test"]) == {"test": "failure"}
