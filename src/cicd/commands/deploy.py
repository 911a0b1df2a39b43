"""What promote and rollback have in common: recover, lock, execute, record, answer."""

import time
from collections.abc import Callable

from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.commands.execute import Execution, Outcome
from cicd.commands.read import Site
from cicd.commands.steps import TargetSteps
from cicd.core.deployment_summary import outcome_markdown
from cicd.core.ledger import Deployment, Payload, Verdict, without_verdict
from cicd.core.plan import Plan
from cicd.core.release import redact
from cicd.core.results import Result
from cicd.errors import CicdError, Inconclusive, Interrupted, RolledBack, Unfinished


def recover(site: Site, runner: Runner, hub: GitHub, ledger: list[Deployment]) -> None:
    """Undo what killed runs left on the target, and close what they left open in the ledger. The lock is held.

    Raises:
        Unfinished: something still cannot be undone.
    """
    state, verdict = site.target.state(), "failed"
    if state.unfinished is not None:
        plan = state.unfinished
        runner.say(f"A run was killed while it did `{plan.kind} {plan.release.name}`; undoing what it began")
        steps = site.steps(runner, state.running)
        execution = Execution(state.deployment, steps, site.target.journal, runner.say)
        outcome = execution.recover(plan, state.running, state.begun)
        if isinstance(outcome.error, Unfinished):
            raise outcome.error
        verdict = outcome.verdict
    for entry in without_verdict(ledger, site.name):
        ours = entry.payload.key == state.deployment
        ended: Verdict = "rolled-back" if ours and verdict == "rolled-back" else "failed"
        hub.set_verdict(entry.id, ended, f"{Interrupted.reason}: its run ended without a verdict")


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
    secrets: list[str],
) -> Result:
    """Open the ledger, execute, close the ledger. The lock is held by the caller.

    Args:
        secrets: values that must not get into any text.
    """
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
    unrecorded = record(hub, number, outcome, plan, site, replaced, secrets)
    result = answer(plan, outcome, number, hub.calls, approved_by, secrets)
    if outcome.verdict == "stable":
        tidy(steps, plan.release.id, runner)
    if unrecorded:
        runner.annotate("warning", f"The verdict could not be recorded on GitHub: {unrecorded}", title="cicd")
    return result


def tidy(steps: TargetSteps, release_id: str, runner: Runner) -> None:
    """Remove old releases. The verdict stands whatever comes of it."""
    try:
        removed = steps.prune(release_id)
    except (CicdError, OSError) as error:
        runner.annotate("warning", f"Old releases could not be removed: {error}", title="cicd")
    else:
        if removed:
            runner.say(f"  · removed old releases: {', '.join(removed)}")


def is_last(site: Site) -> bool:
    """Whether no environment comes after this one: that is production."""
    return not any(other.after == site.name for other in site.config.environments.values())


def record(
    hub: GitHub,
    number: int,
    outcome: Outcome,
    plan: Plan,
    site: Site,
    replaced: Deployment | None,
    secrets: list[str],
) -> CicdError | None:
    """Write the verdict; what has happened on the target stays true if GitHub is away. Gives the error then."""
    error = outcome.error
    note = f"{error.reason}: {redact(error.what.partition(chr(10))[0], secrets)}" if error else settled(plan)
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


def answer(plan: Plan, outcome: Outcome, number: int, calls: int, approved_by: list[str], secrets: list[str]) -> Result:
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
