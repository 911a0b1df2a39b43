"""`cicd rollback`: back to the last healthy release, or to a given one: code, configuration and schema."""

from pathlib import Path

from cicd.adapters.github import GitHub
from cicd.adapters.github_standing import Standing
from cicd.adapters.runner import Runner
from cicd.adapters.together import interruptible
from cicd.commands.answer import counted
from cicd.commands.deploy import Deployer, secrets_of
from cicd.commands.hold import locked
from cicd.commands.propose import SHORTEST_SECRET
from cicd.commands.read import Site, read_config, site_of_target
from cicd.contract import Rollback
from cicd.core.alert import attempts_by_alert, require_asked_for, require_first, require_running
from cicd.core.config import environment_of
from cicd.core.deployment_summary import plan_markdown
from cicd.core.ledger import last_healthy, poisoned
from cicd.core.migrations import Migration, between, why_no_way_back
from cicd.core.plan import Plan, Running, plan_rollback
from cicd.core.results import Result
from cicd.errors import CicdError, GitHubRefused, GitHubUnavailable, NothingToRollBackTo, RateLimited

PATIENCE = 120.0  # seconds that a rollback waits for a deployment that is under way to end


def main(inputs: Rollback, runner: Runner) -> Result:
    """Build what rollback needs, and run it: the target alone, and GitHub unless it is to be left out."""
    app, hosts = place_of(inputs)
    site = site_of_target(inputs.environment, inputs.app or app, runner, hosts)
    with interruptible():
        return rollback(inputs, runner, site, None if inputs.offline == "true" else GitHub(runner, inputs.token))


def place_of(inputs: Rollback) -> tuple[str, list[str]]:
    """The application and its hosts, as the config says; without one, what lies on this machine.

    Raises:
        UnknownEnvironment: the config has other ones: a misspelled name is told as such.
    """
    if not (Path(inputs.working_directory) / inputs.config).exists():
        return "", ["local"]
    config = read_config(inputs.working_directory, inputs.config)
    return config.app, environment_of(config, inputs.environment).hosts


def rollback(inputs: Rollback, runner: Runner, site: Site, hub: GitHub | None) -> Result:
    """read → decide → lock → do → record. The gate is the job: going back must not wait for a second look."""
    require_asked_for(inputs.alert, inputs.if_release, runner.env.get("GITHUB_EVENT_NAME", ""))
    hub, standing = look(hub, site, runner)
    if inputs.dry_run == "true":
        return planned(inputs, site, Deployer(site, runner, hub, standing.ledger))
    seen, tolerate = standing.locks.get(site.name), (*AWAY, GitHubRefused)
    with locked(site, runner, hub, "rollback", seen, wait=PATIENCE, tolerate=tolerate) as beat:
        deployer = Deployer(site, runner, hub, standing.ledger, beat)
        deployer.recover()
        catch_up(deployer)
        running = site.running()
        require_due(inputs, deployer, running)
        plan = propose_rollback(site, inputs.to or choose(deployer, running), running)
        reason = reason_of(inputs)
        runner.say(f"Going back because: {reason or 'no reason given'}")
        secrets = secrets_of(site, plan)
        for value in secrets:
            if len(value) >= SHORTEST_SECRET:
                runner.mask(value)
        who = approvers(hub, runner, site.name) if hub else []
        result = deployer.carry_out(plan, site.steps(running), who, secrets, reason, alert=inputs.alert)
    return counted(result, hub)


def planned(inputs: Rollback, site: Site, deployer: Deployer) -> Result:
    """The answer of a dry run: nothing is touched, not even what a killed run has left."""
    running = site.running()
    require_due(inputs, deployer, running)
    plan = propose_rollback(site, inputs.to or choose(deployer, running), running)
    return Result(
        decision="planned",
        message=f"Would go back to {plan.release.name}: {' → '.join(map(str, plan.steps))}",
        data={
            "release": plan.release.id,
            "steps": [str(step) for step in plan.steps],
            "github_calls": deployer.hub.calls if deployer.hub else 0,
        },
        summary=plan_markdown(plan),
    )


def reason_of(inputs: Rollback) -> str:
    return inputs.reason or (f"alert {inputs.alert}" if inputs.alert else "")


def require_due(inputs: Rollback, deployer: Deployer, running: Running) -> None:
    """Raises Replaced, AlertAnswered: what was to be left has gone already, or this alert was tried to help."""
    attempts = attempts_by_alert(deployer.ledger, deployer.site.target.entries(), deployer.site.name)
    require_first(inputs.alert, attempts, deployer.site.name)
    require_running(inputs.if_release, running.release, deployer.site.name)


AWAY = (GitHubUnavailable, RateLimited)


def look(hub: GitHub | None, site: Site, runner: Runner) -> tuple[GitHub | None, Standing]:
    """Ledger and lock, and the hub if it is there: one that is away must not keep anybody from going back."""
    if hub is None:
        return None, Standing()
    try:
        return hub, hub.standing([site.name])
    except AWAY as error:
        runner.annotate("warning", f"Going by the journal of the target alone: {error}", title="cicd")
        return None, Standing()


def catch_up(deployer: Deployer) -> None:
    """Tell the ledger what it does not know yet, if it can be reached."""
    try:
        deployer.catch_up()
    except AWAY as error:
        deployer.runner.annotate("warning", f"The ledger stays behind for now: {error}", title="cicd")


def approvers(hub: GitHub, runner: Runner, environment: str) -> list[str]:
    """Who let the job of this run through, as far as GitHub says; going back does not depend on it."""
    try:
        reviews = hub.reviews(runner.run_id) if runner.run_id else []
    except CicdError:
        return []
    return [one.by for one in reviews if one.state == "approved" and environment in one.environments]


def choose(deployer: Deployer, running: Running) -> str:
    """The newest healthy release that still lies on the target: by the ledger, or by the journal without GitHub.

    A ledger page holds the newest hundred deployments; a release that was stable before them is known to the journal.

    Raises:
        NothingToRollBackTo.
    """
    site = deployer.site
    if running.release is None:
        raise NothingToRollBackTo(
            f"Nothing runs in `{site.name}`", next_step=f"promote a release into `{site.name}` first"
        )
    here = [release for release in site.target.state().history if release.id != running.release.id]
    if deployer.hub:
        bad = poisoned(deployer.ledger, site.name)
        known = last_healthy(deployer.ledger, site.name, running.release.id)
        here = [*known, *(release for release in here if release.content not in bad)]
    for release in here:
        if site.engine.has(release.id):
            return release.id
    others = names(site, running)
    raise NothingToRollBackTo(
        f"No other release than {running.release.name} is known to be healthy in `{site.name}`",
        cause="the others that lie there failed, or were taken back" if others else "no other lies on the target",
        next_step=f"promote a mended release, or go to one of these by its id with `--to`: {', '.join(others)}"
        if others
        else "promote a mended release instead",
    )


def names(site: Site, running: Running) -> list[str]:
    """The releases that lie on the target and do not run, such as `v2 (1308c4665996)`, newest first."""
    here = [one for one in site.target.releases() if site.target.has(one)]
    return [site.target.record(one).release.name for one in here if not running.release or one != running.release.id]


def require_there(site: Site, release_id: str, running: Running) -> None:
    """Raises NothingToRollBackTo, which names what lies there."""
    if not site.target.has(release_id):
        raise NothingToRollBackTo(
            f"Release {release_id} does not lie on the target",
            cause="it was never there, or was pruned; a release goes by its id, not by its version",
            next_step=f"give the id of one that lies there: {', '.join(names(site, running)) or 'there is no other'}",
        )


def propose_rollback(site: Site, release_id: str, running: Running) -> Plan:
    """What going back to a release means now. Raises NothingToRollBackTo."""
    require_there(site, release_id, running)
    record = site.target.record(release_id)
    if running.release and running.release.id == release_id:
        raise NothingToRollBackTo(
            f"{running.release.name} is what runs in `{site.name}`", next_step="name another release with `to`"
        )
    known = site.target.record(running.release.id).migrations if running.release else []
    if record.release.schema and record.release.schema not in [one.revision for one in known]:
        raise NothingToRollBackTo(
            f"{record.release.name} has the schema {record.release.schema}, which the release that runs does not know",
            cause="it is newer than what runs: that would not be going back",
            next_step="promote it",
        )
    back = to_take_back(site, record.release.schema, running)
    if why := why_no_way_back(back):
        raise NothingToRollBackTo(
            f"The schema has no way back to {record.release.name}",
            cause=why,
            next_step="promote a mended release instead; what runs was not touched",
        )
    services = record.services != running.services
    return plan_rollback(site.name, record.release, running, back, services=services)


def to_take_back(site: Site, schema: str, running: Running) -> list[Migration]:
    """The migrations between the old release's schema and what runs, last first."""
    if running.release is None or not site.target.has(running.release.id):
        return []
    known = site.target.record(running.release.id).migrations
    return between(known, schema, running.release.schema)[::-1]
