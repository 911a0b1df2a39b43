"""`cicd plan`: what a promotion would do, and why it would be refused."""

from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.commands.preflight import environments, examine
from cicd.commands.propose import propose, unseen
from cicd.commands.read import Project, Site
from cicd.contract import Plan as Inputs
from cicd.core.deployment_summary import plan_markdown
from cicd.core.markdown import inline, plain
from cicd.core.preflight import first_of, refusals
from cicd.core.release import bare_digest, full_sha
from cicd.core.results import Result
from cicd.errors import HostRefused, Locked


def main(inputs: Inputs, runner: Runner) -> Result:
    """Build what plan needs, and run it. Without a token GitHub is not asked, which is said."""
    project = Project.of(inputs.working_directory, inputs.config, inputs.environment, runner)
    return plan(inputs, runner, project, GitHub(runner, inputs.token) if inputs.token and runner.repository else None)


UNSEEN = "the hosts are not seen from here: what runs is what GitHub says, migrations are the checkout's, and settings"
UNSEEN += " are not compared"


def sees(site: Site) -> bool:
    """Whether this job may look at the hosts. One without a key plans by the ledger. Raises HostUnreachable."""
    try:
        return all(target.host.home() for target in site.targets)
    except HostRefused:
        if site.runner.ssh_key:
            raise
        return False


def plan(inputs: Inputs, runner: Runner, project: Project, hub: GitHub | None) -> Result:
    """Say what would happen, and refuse what promote would refuse. Nothing is touched."""
    image, sha = bare_digest(inputs.image), inputs.sha and full_sha(inputs.sha)
    asked, waits = (image, sha, inputs.version, inputs.app_env), []
    if hub is None:
        proposal, hidden = propose(project, runner, *asked, whole=False), []
    else:
        standing = hub.standing(environments(project))
        ground = None if sees(project.site) else unseen(project, runner, standing.ledger, image, sha)
        facts, found = examine(project, runner, hub, standing, *asked, whole=False, ground=ground)
        hidden = [UNSEEN] if ground else []
        against = refusals(facts, force=inputs.force == "true")
        waits = [error for error in against if isinstance(error, Locked)]  # it may be free when this is approved
        if len(waits) < len(against) or found is None:
            raise first_of([error for error in against if error not in waits])
        proposal = found
    plan, known = proposal.plan, bool(proposal.record.secrets)
    notes = [*map(str, waits), *hidden, *([] if hub else ["no token: GitHub was not asked what it would refuse"])]
    text = "\n".join([plan_markdown(plan, secrets_known=known), *(f"- **note** {inline(note, 500)}" for note in notes)])
    return Result(
        decision="planned",
        message=f"Plan {plan.hash}: {plan.rollback_class}" if runner.is_actions else "",
        answer="" if runner.is_actions else plain(text),
        outputs={"plan": plan.hash},
        data={
            "steps": [str(step) for step in plan.steps],
            "rollback_class": plan.rollback_class,
            "rollback_seconds": plan.back_in,
            "commits": plan.commits,
            "settings": plan.settings,
            "migrations": [f"{one.revision} {one.kind}" for one in plan.migrations],
            "notes": notes,
            "github_calls": hub.calls if hub else 0,
        },
        summary=text,
    )
