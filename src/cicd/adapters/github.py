"""GitHub: what we read there and write there. The only user of PyGithub, which is imported when first needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from cicd.adapters.github_answers import (
    Access,
    Approval,
    Attestations,
    CheckRuns,
    CommitStatuses,
    Comparison,
    Environment,
    ListedRepository,
    Made,
    Pending,
    Status,
    Viewer,
    read_answer,
)
from cicd.adapters.github_calls import PATIENCE, Calls
from cicd.adapters.github_issues import GitHubIssues
from cicd.adapters.github_lock import GitHubLocks
from cicd.adapters.github_reports import GitHubReports
from cicd.adapters.github_standing import Standing, part_of, read_standing, standing_query
from cicd.adapters.runner import Runner
from cicd.core.approval import Protection, Review
from cicd.core.ledger import STATES, TASK, Deployment, Payload, Verdict, description
from cicd.errors import GitHubRefused, NoToken

if TYPE_CHECKING:
    from github.Repository import Repository

T = TypeVar("T")
TIMEOUT = 10  # seconds for one answer
API_VERSION = {"X-GitHub-Api-Version": "2022-11-28"}  # from 2026-03-10 on an attestation comes without its bundle


class GitHub:
    """One repository.

    Attributes:
        is_local: whether it is LocalHub that answers; known after the first answer of standing() or environment().
    """

    def __init__(self, runner: Runner, token: str) -> None:
        """Raises NoToken when there is no token or no repository to speak of; makes no request."""
        if not token or not runner.repository:
            missing = "token" if not token else "repository (GITHUB_REPOSITORY)"
            raise NoToken(
                f"GitHub is needed and no {missing} was given",
                cause="outside of a workflow nothing sets it, and a step only has it if it is passed on",
                next_step="set GITHUB_TOKEN and GITHUB_REPOSITORY=owner/name, or give `token`; on the target itself"
                " `cicd rollback --offline` needs neither",
            )
        self.repository = runner.repository
        self.is_local = False
        self._runner = runner
        self._token = token
        self._made = Calls(float(runner.env.get("CICD_GITHUB_PATIENCE") or PATIENCE))
        self._protections: dict[str, Protection] = {}
        self._repo: Repository | None = None

    @property
    def calls(self) -> int:
        """Requests made so far."""
        return self._made.count

    def environment(self, name: str, *, whole: bool = False) -> Protection | None:
        """How an environment is protected; None if there is none of that name.

        No call is made if standing() has just shown reviewers, unless the `whole` is wanted, branches included.
        """
        if name in self._protections and not whole:
            return self._protections.pop(name)
        try:
            return self._get(f"/environments/{name}", Environment).protection()
        except GitHubRefused as error:
            if error.status == 404:
                return None
            raise

    def may_write(self, login: str) -> bool:
        """Whether a person may write to the repository; GitHub ignores reviewers who have no access."""
        try:
            access = self._get(f"/collaborators/{login}/permission", Access)
        except GitHubRefused as error:
            if error.status == 404:
                return False
            raise
        return access.permission in ("admin", "write")

    def ledger(self, environments: list[str]) -> list[Deployment]:
        """Our deployments in these environments, newest first, in one call; of each the newest hundred."""
        return self.standing(environments).ledger

    def standing(self, environments: list[str]) -> Standing:
        """Ledger, locks and protection of these environments, in one call."""
        owner, _, name = self.repository.partition("/")
        query, variables = standing_query(owner, name, environments)
        found = read_standing(self._graphql(query, variables, dict[str, Any]), environments)
        self._protections |= found.protections
        return found

    def query(self, query: str, variables: dict[str, Any]) -> Mapping[str, Any]:
        """The data of a query about any repository that the token may see."""
        return self._graphql(query, variables, dict[str, Any])

    def repositories_of(self, org: str, team: str = "") -> list[str]:
        """`owner/name` of an organisation's repositories, or of those of one of its teams."""
        path, found = f"/orgs/{org}/teams/{team}/repos" if team else f"/orgs/{org}/repos", list[str]()
        for page in range(1, 1001):
            asked = f"{path}?per_page=100&page={page}"

            def ask(asked: str = asked) -> list[ListedRepository]:
                headers, answer = self._requester().requestJsonAndCheck("GET", asked)
                return self._take(headers, answer, list[ListedRepository])

            names = [entry.full_name for entry in self._made.read(ask, path)]
            found += names
            if len(names) < 100:
                break
        return found

    def viewer(self) -> str:
        """Login of the token's owner."""
        return self._graphql("{ viewer { login } }", {}, Viewer).viewer.login

    def _graphql(self, query: str, variables: dict[str, Any], kind: type[T]) -> T:
        """The `data` of the answer, also where parts of it may not be seen."""

        def ask() -> T:
            try:
                headers, answer = self._requester().graphql_query(query, variables)
            except Exception as error:
                if (part := part_of(getattr(error, "data", None))) is None:
                    raise
                headers, answer = getattr(error, "headers", None) or {}, {"data": part}
            return self._take(headers, answer["data"], kind)

        return self._made.read(ask, "the ledger")

    def locks(self) -> GitHubLocks:
        """The environments' locks. Over a connection of its own: a heartbeat uses it from another thread."""
        other = GitHub(self._runner, self._token)
        other._made = self._made
        return GitHubLocks(self._made, other._request, lambda name: other.standing([name]).locks[name])

    def issues(self) -> GitHubIssues:
        """The issues in which approvals are asked for."""
        return GitHubIssues(self._made, self._request)

    def reports(self) -> GitHubReports:
        """Where verdicts are published."""
        return GitHubReports(self._made, self._request, self.viewer)

    def reviews(self, run_id: str) -> list[Review]:
        """The reviews of a run."""
        return [entry.review() for entry in self._get(f"/actions/runs/{run_id}/approvals", list[Approval])]

    def pending(self, run_id: str) -> list[str]:
        """Environments for which GitHub still waits for a review of this run."""
        found = self._get(f"/actions/runs/{run_id}/pending_deployments", list[Pending])
        return [entry.environment.name for entry in found]

    def compare(self, base: str, head: str) -> str:
        """`ahead`, `behind`, `diverged` or `identical`: how head stands to base.

        A base that is no longer in the repository (a forced push) has diverged.
        """
        try:
            return self._get(f"/compare/{base}...{head}?per_page=1", Comparison).status
        except GitHubRefused as error:
            if error.status == 404:
                return "diverged"
            raise

    def checks(self, sha: str, wanted: list[str]) -> dict[str, str]:
        """How these checks ended on a commit, in one call, or two if some are no check runs but commit statuses.

        Gives name → `success`, `failure`, … of the newest run, or its status such as `in_progress` if it has not ended.
        """
        if not wanted:
            return {}
        found = self._get(f"/commits/{sha}/check-runs?filter=latest&per_page=100", CheckRuns).ended()
        if not set(wanted) <= found.keys():
            others = self._get(f"/commits/{sha}/status?per_page=100", CommitStatuses)
            found = {entry.context: entry.state for entry in others.statuses} | found
        return {name: found[name] for name in wanted if name in found}

    def attestations(self, repository: str, digest: str) -> list[dict[str, Any]]:
        """Sigstore bundles of a repository about an image's build, newest first, at most a hundred; none is verified.

        GitHub tells by 404 that there is none, and that the token may not see them.
        """
        path = f"/repos/{repository}/attestations/{digest}?per_page=100&predicate_type=provenance"

        def ask() -> Attestations:
            headers, answer = self._requester().requestJsonAndCheck("GET", path, headers=API_VERSION)
            return self._take(headers, answer, Attestations)

        try:
            found = self._made.read(ask, "attestations")
        except GitHubRefused as error:
            if error.status == 404:
                return []
            raise
        return [entry.bundle or {} for entry in found.attestations]

    def create_deployment(
        self, payload: Payload, environment: str, production: bool, *, maybe_there: bool = False
    ) -> int:
        """Open a deployment in the ledger; gives its number. One with the same key is found, not made again.

        Args:
            maybe_there: an earlier run may have made it already.
        """

        def post() -> int:
            made = self._repository().create_deployment(
                ref=payload.release.sha,
                task=TASK,
                auto_merge=False,
                required_contexts=[],
                payload=dict(msgspec.to_builtins(payload)),
                environment=environment,
                description=f"{payload.kind} {payload.release.name}"[:140],
                production_environment=production,
            )
            return int(made.id)

        def find() -> int | None:
            query = f"?environment={environment}&task={TASK}&sha={payload.release.sha}&per_page=20"
            found = self._get(f"/deployments{query}", list[Made])
            return next((entry.id for entry in found if entry.key == payload.key), None)

        return self._made.write(post, find, "a deployment", unclear=maybe_there)

    def set_verdict(self, deployment: int, verdict: Verdict, note: str, environment_url: str = "") -> None:
        """Write a verdict to a deployment."""
        text = description(verdict, note)
        body: dict[str, Any] = {"state": STATES[verdict], "description": text, "auto_inactive": verdict == "stable"}
        if self._runner.run_url:
            body["log_url"] = self._runner.run_url
        if environment_url:
            body["environment_url"] = environment_url

        def post() -> bool:
            self._request("POST", f"/deployments/{deployment}/statuses", body)
            return True

        def find() -> bool | None:
            found = self._get(f"/deployments/{deployment}/statuses", list[Status])
            return True if any(entry.description == text for entry in found) else None

        self._made.write(post, find, "a verdict")

    def announce(self, run_id: str, environment: str) -> None:
        """Tell LocalHub that a job of this run has reached an environment; GitHub knows that by itself."""
        if self.is_local and run_id:
            env = self._runner.env
            body = {
                "name": env.get("GITHUB_JOB", environment),
                "environment": environment,
                "repo": self.repository,
                "sha": self._runner.sha,
                "workflow": env.get("GITHUB_WORKFLOW", ""),
                "actor": self._runner.actor,
            }
            self._local("POST", f"/_localhub/runs/{run_id}/jobs", body)

    def show_plan(self, run_id: str, environment: str, markdown: str) -> None:
        """Put the plan beside LocalHub's Approve button; on GitHub it is in the job's summary."""
        if self.is_local and run_id:
            body = {"environment": environment, "markdown": markdown}
            self._local("POST", f"/_localhub/runs/{run_id}/plan", body)

    def _local(self, verb: str, path: str, body: dict[str, Any]) -> None:
        self._made.read(
            lambda: self._requester().requestJsonAndCheck(verb, path, input=body), "LocalHub", counted=False
        )

    def _repository(self) -> Repository:
        if self._repo is None:
            import github

            from cicd.adapters.github_connection import keep_connections

            keep_connections()
            hub = github.Github(
                base_url=self._runner.api_url,
                auth=github.Auth.Token(self._token),
                timeout=TIMEOUT,
                retry=None,
                seconds_between_requests=0,
                seconds_between_writes=0,
                user_agent="cicd",
                lazy=True,
            )
            self._repo = hub.get_repo(self.repository)
        return self._repo

    def _requester(self) -> Any:
        return self._repository().requester

    def _request(self, verb: str, path: str, body: dict[str, Any] | None = None) -> tuple[dict[str, Any], Any]:
        answer: tuple[dict[str, Any], Any] = self._requester().requestJsonAndCheck(
            verb, f"/repos/{self.repository}{path}", input=body
        )
        return answer

    def _get(self, path: str, kind: type[T]) -> T:
        """Read what must be of this type; another answer is none, and is asked for again."""
        return self._made.read(lambda: self._take(*self._request("GET", path), kind), path.split("?")[0])

    def _take(self, headers: dict[str, Any], answer: Any, kind: type[T]) -> T:
        taken = read_answer(answer, kind)
        self.is_local = "x-localhub-version" in headers
        return taken
