"""`cicd rollback`: back to the last healthy release, or to a given one: code, configuration and schema."""

from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.adapters.together import interruptible
from cicd.commands.deploy import carry_out, recover
from cicd.commands.plan import SHORTEST_SECRET
from cicd.commands.read import Site
from cicd.contract import Rollback
from cicd.core.deployment_summary import plan_markdown
from cicd.core.ledger import Deployment, current, last_healthy
from cicd.core.migrations import Migration, between
from cicd.core.plan import Plan, Running, plan_rollback
from cicd.core.results import Result
from cicd.errors import CicdError, NothingToRollBackTo

PATIENCE = 120.0  # seconds that a rollback waits for a deployment that is under way to end


def main(inputs: Rollback, runner: Runner) -> Result:
    """Build what rollback needs, and run it."""
    site = Site.of(inputs.working_directory, inputs.config, inputs.environment, runner)
    with interruptible():
        return rollback(inputs, runner, site, GitHub(runner, inputs.token))


def rollback(inputs: Rollback, runner: Runner, site: Site, hub: GitHub) -> Result:
    """read → decide → lock → do → record. The gate is the job: going back must not wait for a second look."""
    ledger = hub.ledger([site.name])
    with site.target.lock({"run": runner.run_id, "actor": runner.actor, "what": "rollback"}, wait=PATIENCE):
        recover(site, runner, hub, ledger)
        running = site.running()
        release_id = inputs.to or choose(site, ledger, running)
        plan = propose_rollback(site, release_id, running)
        if inputs.dry_run == "true":
            return Result(
                decision="planned",
                message=f"Would go back to {plan.release.name}: {' → '.join(map(str, plan.steps))}",
                data={"release": release_id, "steps": [str(step) for step in plan.steps]},
                summary=plan_markdown(plan),
            )
        runner.say(f"Going back because: {inputs.reason or 'no reason given'}")
        secrets = [value for one in (running.release, plan.release) if one for value in site.target.secrets(one.id)]
        for value in secrets:
            if len(value) >= SHORTEST_SECRET:
                runner.mask(value)
        steps, replaced = site.steps(runner, running), current(ledger, site.name)
        return carry_out(plan, steps, site, runner, hub, approvers(hub, runner, site.name), replaced, secrets)


def approvers(hub: GitHub, runner: Runner, environment: str) -> list[str]:
    """Who let the job of this run through, as far as GitHub says; going back does not depend on it."""
    try:
        reviews = hub.reviews(runner.run_id) if runner.run_id else []
    except CicdError:
        return []
    return [one.by for one in reviews if one.state == "approved" and environment in one.environments]


def choose(site: Site, ledger: list[Deployment], running: Running) -> str:
    """The newest stable release, by the ledger, that still lies on the target. Raises NothingToRollBackTo."""
    if running.release is None:
        raise NothingToRollBackTo(
            f"Nothing runs in `{site.name}`", next_step=f"promote a release into `{site.name}` first"
        )
    for entry in last_healthy(ledger, site.name, running.release.id):
        if site.target.has(entry.release.id):
            return entry.release.id
    raise NothingToRollBackTo(
        f"No other release than {running.release.name} was ever stable in `{site.name}`, or none lies on the target",
        cause="this is the first release, or all others failed",
        next_step="promote a mended release instead",
    )


def propose_rollback(site: Site, release_id: str, running: Running) -> Plan:
    """What going back to a release means now. Raises NothingToRollBackTo."""
    record = site.target.record(release_id)
    if running.release and running.release.id == release_id:
        raise NothingToRollBackTo(
            f"{running.release.name} is what runs in `{site.name}`", next_step="name another release with `to`"
        )
    back = to_take_back(site, record.release.schema, running)
    stuck = [migration.revision for migration in back if migration.kind == "irreversible"]
    if stuck:
        raise NothingToRollBackTo(
            f"Migration {', '.join(stuck)} has no way back",
            cause=f"the release that runs brought it, and {record.release.name} has another schema",
            next_step="promote a mended release instead; what runs was not touched",
        )
    return plan_rollback(site.name, record.release, running, back)


def to_take_back(site: Site, schema: str, running: Running) -> list[Migration]:
    """The migrations between the old release's schema and what runs, last first."""
    if running.release is None or not site.target.has(running.release.id):
        return []
    known = site.target.record(running.release.id).migrations
    return between(known, schema, running.release.schema)[::-1]
