"""Waiting for, or proving, the approval of a deployment."""

import time
from collections.abc import Callable

from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.core.approval import Protection, Ruling, rule
from cicd.errors import CicdError, NotApproved, NotProtected, Rejected

# Seconds between two looks, from the first to the longest. Only LocalHub ever lets a job come this far unapproved; its
# token has 1,000 calls an hour, as GitHub's.
POLLS = (0.5, 5.0)


def require_approval(
    hub: GitHub,
    runner: Runner,
    environment: str,
    demanded: bool,
    protection: Protection | None,
    timeout: float,
    plan_text: str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Who approved; empty where nobody had to.

    On GitHub the job starts after the approval, so that the answer is there at once. LocalHub's job is not held back:
    there this waits, with the plan on the board.

    Args:
        demanded: whether the config says `approval: required`.
        protection: of the environment on GitHub; None if it has none of that name.
        timeout: seconds to wait.
        plan_text: Markdown for the approver.

    Raises:
        NotProtected, Rejected, NotApproved.
    """
    needed = bool(protection and protection.reviewers)
    if needed:
        require_run(runner, environment)
        hub.announce(runner.run_id, environment)
        hub.show_plan(runner.run_id, environment, plan_text)
    deadline, told, pause = clock() + timeout, False, POLLS[0]
    while True:
        # First what waits, then the reviews: the other way round, one that comes in between is seen by neither.
        waiting = needed and environment in hub.pending(runner.run_id)
        reviews = hub.reviews(runner.run_id) if needed and not waiting else []
        ruling = rule(environment, demanded, protection, reviews, waiting)
        if ruling.decision == "go":
            runner.say(f"  ✓ {ruling.message}")
            return ruling.approved_by
        if ruling.decision != "wait":
            raise refused(ruling, environment)
        if clock() > deadline:
            raise NotApproved(
                f"Nobody approved `{environment}` within {timeout / 60:g} minutes",
                next_step="run it again when a reviewer is there",
            )
        if not told:
            runner.say(f"  … {ruling.message}: {runner.env.get('GITHUB_SERVER_URL', '')}/board")
            told = True
        sleep(pause)
        pause = min(pause * 1.2, POLLS[1])


def require_run(runner: Runner, environment: str) -> None:
    """Raises NotApproved from a terminal: what is approved is a run."""
    if not runner.run_id:
        raise NotApproved(
            f"`{environment}` demands an approval, and this is no run of a workflow",
            cause="what is approved is a run, and an issue that a person's token opens is not believed",
            next_step=f"start the workflow that promotes into `{environment}`; `cicd plan` says here what it would do",
        )


def refused(ruling: Ruling, environment: str) -> CicdError:
    """The error that a ruling is."""
    if ruling.decision == "not-protected":
        return NotProtected(
            ruling.message,
            cause="a misspelled or new environment is unprotected, and anybody could deploy to it",
            next_step=f"add required reviewers to `{environment}` under Settings → Environments",
        )
    if ruling.decision == "rejected":
        return Rejected(ruling.message, next_step="talk to the reviewer, then start a new run")
    return NotApproved(ruling.message, next_step=f"let a job with `environment: {environment}` run this command")
