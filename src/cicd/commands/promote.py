"""`cicd promote`: take one release into an environment."""

from dataclasses import replace

from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.adapters.store import changed_at
from cicd.adapters.together import interruptible
from cicd.commands.answer import counted
from cicd.commands.approval import require_approval, require_run
from cicd.commands.deploy import Deployer
from cicd.commands.hold import locked
from cicd.commands.preflight import examine, get_ready
from cicd.commands.propose import Proposal, lost_secrets, propose
from cicd.commands.read import Project, Site
from cicd.commands.rehearse import rehearse
from cicd.contract import Promote
from cicd.core.deployment_summary import plan_markdown
from cicd.core.issue_gate import Asked
from cicd.core.ledger import current
from cicd.core.preflight import first_of, refusals
from cicd.core.release import bare_digest, full_sha
from cicd.core.results import Result
from cicd.errors import ConfigError, NotApproved, UsageError


def main(inputs: Promote, runner: Runner) -> Result:
    """Build what promote needs, and run it."""
    project = Project.of(inputs.working_directory, inputs.config, inputs.environment, runner)
    with interruptible():
        return promote(inputs, runner, project, GitHub(runner, inputs.token))


def promote(
    inputs: Promote, runner: Runner, project: Project, hub: GitHub, approved_by: list[str] | None = None
) -> Result:
    """read → recover → decide → refuse → approve → lock → do → record.

    Args:
        approved_by: who has approved this plan already, by an issue; None: nobody yet.
    """
    site, dry = project.site, inputs.dry_run == "true"
    image, sha = bare_digest(inputs.image), inputs.sha and full_sha(inputs.sha)
    ahead = get_ready(project, runner, hub, image, inputs.app_env, whole=not dry)
    standing = ahead.standing
    deployer = Deployer(site, runner, hub, standing.ledger)
    if deployer.behind() and not dry:
        with locked(site, runner, hub, "recover", standing.locks[site.name]) as deployer.beat:
            deployer.recover()
            deployer.catch_up()
    facts, proposal = examine(
        project,
        runner,
        hub,
        replace(standing, ledger=deployer.ledger),
        image,
        sha,
        inputs.version,
        inputs.app_env,
        whole=not dry,
        ahead=ahead,
    )
    if found := refusals(facts, force=inputs.force == "true"):
        raise first_of(found)
    assert proposal is not None, "what failed is among the refusals"
    running = current(deployer.ledger, site.name)
    if running and running.verdict == "stable" and runs_already(proposal, site) and inputs.force != "true":
        return nothing_to_do(proposal, running.id)
    if dry:
        return planned(proposal, hub)
    if lost := lost_secrets(site, proposal):
        raise ConfigError(
            f"`app-env` is empty, and the release that runs has {', '.join(lost)}",
            cause="the workflow does not pass the secret APP_ENV on, or the environment has none of that name",
            next_step="give `app-env`: the secret settings as lines of NAME=value",
        )
    if inputs.plan and inputs.plan != proposal.plan.hash:
        raise another_plan(inputs.plan, proposal)
    if approved_by is None and project.environment.approval == "issue":
        return ask(project, runner, hub, proposal)
    if approved_by is None:
        approved_by = require_approval(
            hub,
            runner,
            site.name,
            project.environment.approval == "required",
            facts.protection,
            minutes(inputs.approval_timeout) * 60,
            plan_markdown(proposal.plan),
        )
    what = f"promote {proposal.plan.release.name}"
    with locked(site, runner, hub, what, standing.locks[site.name]) as deployer.beat:
        deployer.recover()
        deployer.catch_up()
        now = propose(project, runner, image, sha, inputs.version, inputs.app_env, layout=proposal.layout)
        if now.plan.hash != proposal.plan.hash:
            raise another_plan(proposal.plan.hash, now)
        steps = site.steps(now.running, now.record, now.settings, now.layout)
        before = now.running.release.sha if now.running.release else ""
        changes = changed_at(project.folder, before, now.plan.release.sha)
        result = deployer.carry_out(now.plan, steps, approved_by, now.secrets, changes=changes)
        result = rehearse(project, deployer, now, result, approved_by)
    return counted(result, hub)


def ask(project: Project, runner: Runner, hub: GitHub, proposal: Proposal) -> Result:
    """Ask for an approval by an issue, and end: no runner waits for it. Raises NotApproved from a terminal."""
    plan = proposal.plan
    require_run(runner, plan.environment)
    asked = Asked(
        environment=plan.environment,
        image=plan.release.image,
        sha=plan.release.sha,
        plan=plan.hash,
        version=plan.release.version,
        by=runner.actor,
        run=runner.run_id,
    )
    key = project.site.target.key()
    issue = hub.issues().ask(asked, plan_markdown(plan), project.environment.approvers, key, hub.repository)
    return Result(
        decision="waiting",
        message=f"`{plan.environment}` waits for an approval: issue #{issue.number}, {issue.url}. To give it, one of "
        f"{', '.join(project.environment.approvers)} starts the workflow that calls `approve.yml` with this number",
        data={"issue": issue.number, "plan": plan.hash, "github_calls": hub.calls},
        summary=f"Asked for approval in #{issue.number}.\n\n{plan_markdown(plan)}",
    )


def runs_already(proposal: Proposal, site: Site) -> bool:
    """Whether this very release has the traffic and lives: a job that was run again finds its work done."""
    release = proposal.running.release
    if (
        release is None
        or release.id != proposal.plan.release.id
        or proposal.record.services != proposal.running.services
    ):
        return False
    return site.engine.alive(proposal.running.slot) == release.id


def nothing_to_do(proposal: Proposal, deployment: int) -> Result:
    """The answer when the release runs already."""
    release = proposal.plan.release
    return Result(
        decision="nothing-to-do",
        message=f"{release.name} is stable in {proposal.plan.environment} already",
        outputs={"release": release.id, "deployment": str(deployment), "verdict": "stable"},
    )


def planned(proposal: Proposal, hub: GitHub) -> Result:
    """The answer of a dry run."""
    plan = proposal.plan
    text = plan_markdown(plan)
    return Result(
        decision="planned",
        message=f"Would {plan.kind} {plan.release.name} into {plan.environment}: {' → '.join(map(str, plan.steps))}",
        data={
            "release": plan.release.id,
            "plan": plan.hash,
            "steps": [str(step) for step in plan.steps],
            "github_calls": hub.calls,
        },
        summary=text,
    )


def another_plan(approved: str, proposal: Proposal) -> NotApproved:
    """The plan that would be carried out is not the one that was approved."""
    return NotApproved(
        f"Plan {proposal.plan.hash} is not the approved {approved}",
        cause="what runs, the image, the config or the migrations have changed since",
        next_step="start a new run, and approve its plan",
    )


def minutes(text: str) -> float:
    """Minutes as given by a user. Raises UsageError."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 43200:
        raise UsageError(f"`{text}` is no number of minutes", next_step="give a number from 0 to 43200 (30 days)")
    return value
