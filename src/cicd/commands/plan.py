"""`cicd plan`: what a promotion would do, and why it would be refused."""

from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.commands.preflight import environments, examine
from cicd.commands.propose import propose
from cicd.commands.read import Project
from cicd.contract import Plan as Inputs
from cicd.core.deployment_summary import plan_markdown
from cicd.core.markdown import inline, plain
from cicd.core.preflight import first_of, refusals
from cicd.core.release import bare_digest, full_sha
from cicd.core.results import Result
from cicd.errors import Locked


def main(inputs: Inputs, runner: Runner) -> Result:
    """Build what plan needs, and run it. Without a token GitHub is not asked, which is said."""
    project = Project.of(inputs.working_directory, inputs.config, inputs.environment, runner)
    return plan(inputs, runner, project, GitHub(runner, inputs.token) if inputs.token and runner.repository else None)


def plan(inputs: Inputs, runner: Runner, project: Project, hub: GitHub | None) -> Result:
    """Say what would happen, and refuse what promote would refuse. Nothing is touched."""
    image, sha = bare_digest(inputs.image), inputs.sha and full_sha(inputs.sha)
    asked, waits = (image, sha, inputs.version, inputs.app_env), []
    if hub is None:
        proposal = propose(project, runner, *asked, whole=False)
    else:
        facts, found = examine(project, runner, hub, hub.standing(environments(project)), *asked, whole=False)
        against = refusals(facts, force=inputs.force == "true")
        waits = [error for error in against if isinstance(error, Locked)]  # it may be free when this is approved
        if len(waits) < len(against) or found is None:
            raise first_of([error for error in against if error not in waits])
        proposal = found
    plan, known = proposal.plan, bool(proposal.record.secrets)
    notes = [*map(str, waits), *([] if hub else ["no token: GitHub was not asked what it would refuse"])]
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
