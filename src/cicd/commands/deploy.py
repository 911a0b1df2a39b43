"""What promote and rollback have in common: recover, lock, execute, record, answer."""

import time
from collections.abc import Callable

from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.commands.execute import Execution, Outcome
from cicd.commands.read import Site
from cicd.commands.steps import TargetSteps
from cicd.core.deployment_summary import outcome_markdown
from cicd.core.ledger import Deployment, Payload, Verdict
from cicd.core.plan import Plan
from cicd.core.results import Result
from cicd.errors import CicdError, Inconclusive, RolledBack


def recover(site: Site, runner: Runner) -> None:
    """Undo what a killed run left on the target; nothing to do is the usual case."""
    state = site.target.state()
    if state.unfinished is None:
        return
    plan = state.unfinished
    runner.say(f"A run was killed while it did `{plan.kind} {plan.release.name}`; undoing what it began")
    steps = site.steps(runner, state.running)
    Execution(state.deployment, steps, site.target.journal, runner.say).recover(plan, state.running, state.begun)


def key_of(runner: Runner, environment: str) -> str:
    """Names one attempt: the same for a repeated call, another for a re-run of the job."""
    attempt = runner.env.get("GITHUB_RUN_ATTEMPT", "1")
    run = runner.run_id or f"local-{int(time.time() * 1000)}"
    return f"{run}/{attempt}/{runner.env.get('GITHUB_JOB', 'cli')}/{environment}"


def carry_out(
    plan: Plan,
    steps: TargetSteps,
    site: Site,
    runner: Runner,
    hub: GitHub,
    approved_by: list[str],
    replaced: Deployment | None,
) -> Result:
    """Open the ledger, execute, close the ledger. The lock is held by the caller."""
    key = key_of(runner, site.name)
    payload = Payload(
        kind=plan.kind,
        release=plan.release,
        release_id=plan.release.id,
        key=key,
        run=runner.run_id,
        approved_by=approved_by,
        replaces=plan.replaces.id if plan.replaces else "",
    )
    number = hub.create_deployment(payload, site.name, production=is_last(site))
    hub.set_verdict(number, "in-progress", f"{plan.kind} {plan.release.name}")
    runner.say(f"{plan.kind} {plan.release.name} → {site.name}")
    outcome = Execution(key, steps, site.target.journal, runner.say).run(plan, steps.before_running)
    unrecorded = record(hub, number, outcome, plan, site, replaced)
    result = answer(plan, outcome, number, hub.calls, approved_by)
    if unrecorded:
        runner.annotate("warning", f"The verdict could not be recorded on GitHub: {unrecorded}", title="cicd")
    return result


def is_last(site: Site) -> bool:
    """Whether no environment comes after this one: that is production."""
    return not any(other.after == site.name for other in site.config.environments.values())


def record(
    hub: GitHub, number: int, outcome: Outcome, plan: Plan, site: Site, replaced: Deployment | None
) -> CicdError | None:
    """Write the verdict; what has happened on the target stays true if GitHub is away. Gives the error then."""
    note = outcome.error.what if outcome.error else settled(plan)
    writes: list[Callable[[], None]] = [lambda: hub.set_verdict(number, outcome.verdict, note, site.url)]
    if plan.kind == "rollback" and outcome.verdict == "stable" and replaced:
        gone: Verdict = "rolled-back"
        writes.append(lambda: hub.set_verdict(replaced.id, gone, f"to {plan.release.name}"))
    try:
        for write in writes:
            write()
    except CicdError as error:
        return error
    return None


def settled(plan: Plan) -> str:
    """What a deployment that held is worth saying in the ledger."""
    if plan.kind == "rollback":
        return f"back to {plan.release.name}" + (f" from {plan.replaces.name}" if plan.replaces else "")
    return f"{plan.release.name}, rollback class {plan.rollback_class}"


def answer(plan: Plan, outcome: Outcome, number: int, calls: int, approved_by: list[str]) -> Result:
    """The result of a deployment."""
    error = explained(plan, outcome)
    running = outcome.running.release
    message = str(error) if error else f"{plan.release.name} is {outcome.verdict} in {plan.environment}"
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
            "github_calls": calls,
            "approved_by": approved_by,
        },
        summary=outcome_markdown(plan, outcome.verdict, message, outcome.seconds, approved_by, calls),
        exit_code=error.code if error else 0,
    )


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
