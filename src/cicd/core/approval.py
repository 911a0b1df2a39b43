"""Whether a run may go into an environment: the environment's protection, the run's approvals, and the config."""

from collections.abc import Sequence
from typing import Literal

import msgspec


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """How GitHub protects an environment.

    Attributes:
        reviewers: logins and team slugs of which one must approve; empty for none.
        self_review: whether the one who started the run may approve it.
        any_branch: whether a run of any branch may get there; None where the answer did not say.
    """

    reviewers: list[str] = []
    self_review: bool = True
    any_branch: bool | None = None


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """One review of a run. GitHub gives neither its time nor its attempt."""

    state: Literal["approved", "rejected", "pending"]
    by: str
    comment: str = ""
    environments: list[str] = []


Decision = Literal["go", "wait", "not-protected", "rejected", "not-approved"]


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """May it go on?

    Attributes:
        decision: `go`, or why not (yet).
        approved_by: logins, when somebody had to approve and did.
        message: for people.
    """

    decision: Decision
    approved_by: list[str] = []
    message: str = ""


def rule(
    environment: str, demanded: bool, protection: Protection | None, reviews: Sequence[Review], pending: bool
) -> Ruling:
    """Decide, failing closed.

    Args:
        environment: its name.
        demanded: whether the config says `approval: required`.
        protection: None if GitHub has no such environment.
        reviews: of this run.
        pending: whether GitHub still waits for a review of this run and environment.
    """
    reviewers = protection.reviewers if protection else []
    if demanded and not reviewers:
        missing = "has no environment" if protection is None else "has no required reviewers for"
        return Ruling(
            decision="not-protected", message=f"GitHub {missing} `{environment}`, and the config demands approval"
        )
    if not reviewers:
        return Ruling(decision="go", message=f"`{environment}` needs no approval")
    ours = [review for review in reviews if environment in review.environments]
    for review in ours:
        if review.state == "rejected":
            said = f": {review.comment}" if review.comment else ""
            return Ruling(decision="rejected", message=f"{review.by} rejected `{environment}`{said}")
    if pending:
        return Ruling(decision="wait", message=f"`{environment}` waits for one of {', '.join(reviewers)}")
    approved = list(dict.fromkeys(review.by for review in ours if review.state == "approved"))
    if approved:
        return Ruling(decision="go", approved_by=approved, message=f"approved by {', '.join(approved)}")
    return Ruling(
        decision="not-approved",
        message=f"`{environment}` demands a review by {', '.join(reviewers)}, and this run has none",
    )
