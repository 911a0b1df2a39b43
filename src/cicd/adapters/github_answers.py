"""GitHub's answers by REST: of each the part that we read, and its types.

What is between us and GitHub may answer in its place: with a page, with nothing, with JSON of another shape. Whoever
reads an answer gives its type; what is not of that type is no answer of GitHub's.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from cicd.core.approval import Protection, Review
from cicd.core.issue_gate import Issue

T = TypeVar("T")
Id = Annotated[int, msgspec.Meta(gt=0)]
Sha = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{40,64}$")]


class NotUnderstood(ValueError):
    """An answer that is not GitHub's."""


def read_answer(answer: Any, kind: type[T]) -> T:
    """An answer as what it must be. Raises NotUnderstood."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise NotUnderstood(str(error)) from error


class Attestation(msgspec.Struct):
    """`bundle`: None where GitHub only says where it lies."""

    bundle: dict[str, Any] | None = None


class Attestations(msgspec.Struct):
    attestations: list[Attestation]


class Named(msgspec.Struct):
    name: str


class Person(msgspec.Struct):
    login: str
    type: str = ""


class Reviewer(msgspec.Struct):
    """A person has a login, a team a slug."""

    login: str = ""
    slug: str = ""


class ReviewerEntry(msgspec.Struct):
    reviewer: Reviewer | None = None

    @property
    def name(self) -> str:
        who = self.reviewer or Reviewer()
        return who.login or who.slug or "(somebody without a name)"


class Rule(msgspec.Struct):
    type: str
    prevent_self_review: bool | None = None
    reviewers: list[ReviewerEntry] = []


class Environment(msgspec.Struct):
    """https://docs.github.com/en/rest/deployments/environments#get-an-environment"""

    name: str
    protection_rules: list[Rule] = []
    deployment_branch_policy: dict[str, Any] | None = None

    def protection(self) -> Protection:
        rules = [rule for rule in self.protection_rules if rule.type == "required_reviewers"]
        return Protection(
            reviewers=[entry.name for rule in rules for entry in rule.reviewers],
            self_review=not any(rule.prevent_self_review for rule in rules),
            any_branch=self.deployment_branch_policy is None,
        )


class Access(msgspec.Struct):
    permission: str


class Approval(msgspec.Struct):
    """https://docs.github.com/en/rest/actions/workflow-runs#get-the-review-history-for-a-workflow-run"""

    state: Literal["approved", "rejected", "pending"]
    user: Person
    environments: list[Named]
    comment: str | None = None

    def review(self) -> Review:
        names = [environment.name for environment in self.environments]
        return Review(state=self.state, by=self.user.login, comment=self.comment or "", environments=names)


class Pending(msgspec.Struct):
    environment: Named


class Comparison(msgspec.Struct):
    status: Literal["ahead", "behind", "diverged", "identical"]


class CheckRun(msgspec.Struct):
    id: Id
    name: str
    status: str
    conclusion: str | None = None


class CheckRuns(msgspec.Struct):
    """https://docs.github.com/en/rest/checks/runs#list-check-runs-for-a-git-reference"""

    check_runs: list[CheckRun]

    def ended(self) -> dict[str, str]:
        """Name → how its newest run ended: several suites of a commit may have a check of the same name."""
        newest_last = sorted(self.check_runs, key=lambda run: run.id)
        return {run.name: run.conclusion or run.status for run in newest_last}


class CommitStatus(msgspec.Struct):
    context: str
    state: str


class CommitStatuses(msgspec.Struct):
    statuses: list[CommitStatus]


class Made(msgspec.Struct):
    """A deployment, or another thing with a number."""

    id: Id
    payload: Any = None

    @property
    def key(self) -> Any:
        return self.payload.get("key") if isinstance(self.payload, dict) else None


class Status(msgspec.Struct):
    description: str | None = None


class Viewer(msgspec.Struct):
    viewer: Person


class IssueAnswer(msgspec.Struct):
    """https://docs.github.com/en/rest/issues/issues#get-an-issue; the user of a deleted account is null."""

    number: Id
    state: str
    html_url: str
    user: Person | None = None
    body: str | None = None

    def issue(self) -> Issue:
        return Issue(
            number=self.number,
            body=self.body or "",
            open=self.state == "open",
            by_app=self.user is not None and self.user.type == "Bot",
            url=self.html_url,
        )


class Comment(msgspec.Struct):
    body: str | None = None


class Commit(msgspec.Struct):
    """A commit that was just made."""

    sha: Sha


class Message(msgspec.Struct):
    message: str


class Listed(msgspec.Struct):
    """A commit in a list."""

    commit: Message


def messages(commits: Sequence[Listed]) -> list[str]:
    """What the commits say, in their order."""
    return [each.commit.message for each in commits]


class Marks(msgspec.Struct):
    annotations_count: int = 0


class OwnCheck(msgspec.Struct):
    """https://docs.github.com/en/rest/checks/runs#get-a-check-run"""

    id: Id
    html_url: str | None = None
    external_id: str | None = None
    output: Marks = msgspec.field(default_factory=Marks)


class OwnChecks(msgspec.Struct):
    check_runs: list[OwnCheck]


class CommentAnswer(msgspec.Struct):
    """https://docs.github.com/en/rest/issues/comments#list-issue-comments; the user of a deleted account is null."""

    id: Id
    body: str | None = None
    user: Person | None = None

    def is_by(self, me: str) -> bool:
        """Whether somebody of this login wrote it; GitHub's two interfaces tell bots with and without `[bot]`."""
        user = self.user
        return user is not None and (user.login == me or (user.type == "Bot" and user.login == f"{me}[bot]"))


class Owned(msgspec.Struct):
    full_name: str
    owner: Person


class HeadAnswer(msgspec.Struct):
    sha: Sha


class PullAnswer(msgspec.Struct):
    """https://docs.github.com/en/rest/pulls/pulls#list-pull-requests"""

    number: Id
    head: HeadAnswer


class RunAnswer(msgspec.Struct):
    """https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run; a fork that was deleted is null."""

    id: Id
    event: str
    head_sha: Sha
    path: str
    html_url: str
    head_branch: str | None = None
    conclusion: str | None = None
    run_attempt: Id = 1
    head_repository: Owned | None = None


class ArtifactAnswer(msgspec.Struct):
    id: Id
    name: str
    size_in_bytes: int = 0
    expired: bool = False


class ArtifactAnswers(msgspec.Struct):
    """https://docs.github.com/en/rest/actions/artifacts#list-workflow-run-artifacts"""

    artifacts: list[ArtifactAnswer]


class ListedRepository(msgspec.Struct, frozen=True):
    """A repository in a list of them."""

    full_name: str
