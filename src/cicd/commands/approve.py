"""`cicd approve`: the approver's run, which takes up what an issue asks for."""

from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.adapters.together import interruptible
from cicd.commands.promote import promote
from cicd.commands.read import Project
from cicd.contract import Approve, Promote
from cicd.core.issue_gate import demand
from cicd.core.results import Result
from cicd.errors import UsageError


def main(inputs: Approve, runner: Runner) -> Result:
    """Build what approve needs, and run it."""
    if not inputs.issue.isascii() or not inputs.issue.isdigit():
        raise UsageError(f"`{inputs.issue[:20]}` is no number of an issue", next_step="give it such as `12`")
    project = Project.of(inputs.working_directory, inputs.config, inputs.environment, runner)
    with interruptible():
        return approve(inputs, runner, project, GitHub(runner, inputs.token))


def approve(inputs: Approve, runner: Runner, project: Project, hub: GitHub) -> Result:
    """read the issue → is this its approval? → promote what it asks for → say how it ended."""
    issues, number = hub.issues(), int(inputs.issue)
    key = project.site.target.key()
    asked = demand(issues.get(number), runner.actor, runner.event, project.environment.approvers, key, hub.repository)
    if asked.environment != inputs.environment:
        raise UsageError(
            f"Issue #{number} asks for `{asked.environment}`, not for `{inputs.environment}`",
            next_step="run the approval for that environment: it has the secrets",
        )
    promotion = Promote(
        environment=asked.environment,
        image=asked.image,
        sha=asked.sha,
        version=asked.version,
        plan=asked.plan,
        config=inputs.config,
        working_directory=inputs.working_directory,
        app_env=inputs.app_env,
    )
    result = promote(promotion, runner, project, hub, approved_by=[runner.actor])
    issues.close(number, f"Approved by @{runner.actor}: {result.message}"[:60_000])
    return result
