"""What promote and rollback answer."""

import msgspec

from cicd.adapters.github import GitHub
from cicd.commands.execute import Outcome
from cicd.core.deployment_summary import outcome_markdown
from cicd.core.plan import Plan
from cicd.core.release import redact
from cicd.core.results import Result
from cicd.errors import CicdError, Inconclusive, RolledBack


def answer(plan: Plan, outcome: Outcome, number: int, approved_by: list[str], secrets: list[str]) -> Result:
    """The result of a deployment."""
    error = explained(plan, outcome)
    running = outcome.running.release
    message = f"{plan.release.name} is {outcome.verdict} in {plan.environment}"
    if error:
        message = redact(str(error), secrets)
    return Result(
        decision="failed" if error else "done",
        reason_code=error.reason if error else "ok",
        message=message,
        outputs={
            "release": running.id if running else "",
            "deployment": str(number),
            "verdict": outcome.verdict,
        },
        data={
            "environment": plan.environment,
            "release": plan.release.id,
            "version": plan.release.version,
            "image": plan.release.image,
            "schema_revision": running.schema if running else "",
            "replaces": plan.replaces.id if plan.replaces else "",
            "rollback_class": plan.rollback_class,
            "seconds": outcome.seconds,
            "rollback_seconds": outcome.rollback_seconds,
            "approved_by": approved_by,
        },
        summary=outcome_markdown(plan, outcome.verdict, message, outcome.seconds, approved_by),
        exit_code=error.code if error else 0,
    )


def counted(result: Result, hub: GitHub | None) -> Result:
    """With the number of calls that it took, the last ones included."""
    calls = hub.calls if hub else 0
    return msgspec.structs.replace(result, data={**result.data, "github_calls": calls})


def explained(plan: Plan, outcome: Outcome) -> CicdError | None:
    """The error to end with: a failure after the switch says that, and how, the environment went back."""
    error = outcome.error
    if error is None or isinstance(error, Inconclusive) or outcome.verdict != "rolled-back":
        return error
    back = plan.replaces.name if plan.replaces else "nothing (there was no release before)"
    took = f" in {outcome.rollback_seconds:.2f} s" if outcome.rollback_seconds is not None else ""
    return RolledBack(
        f"{plan.release.name} was taken back and {back} has the traffic again{took}. {error.what}",
        cause=error.cause,
        next_step=error.next_step,
    )
