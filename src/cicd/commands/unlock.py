"""`cicd unlock`: end the lock of an environment, whoever holds it."""

from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.commands.read import read_config
from cicd.contract import Unlock
from cicd.core.config import environment_of
from cicd.core.lock import describe
from cicd.core.results import Result


def main(inputs: Unlock, runner: Runner) -> Result:
    """Build what unlock needs, and run it."""
    environment_of(read_config(inputs.working_directory, inputs.config), inputs.environment)
    return unlock(inputs, runner, GitHub(runner, inputs.token))


def unlock(inputs: Unlock, runner: Runner, hub: GitHub) -> Result:
    """A person's lock, or with force a run's; who did it stays in the history of the ref."""
    name, locks = inputs.environment, hub.locks()
    by = runner.actor or hub.viewer()
    ended = locks.unlock(name, by, inputs.reason, force=inputs.force == "true")
    if ended is None:
        return Result(decision="nothing-to-do", message=f"Nobody holds the lock of `{name}`")
    message = f"`{name}` is unlocked. "
    if ended.state == "free":
        message += "By whom it was held cannot be told: what stood there was not to be read"
    else:
        message += f"It was held by {describe(ended, locks.clock())}"
    if not ended.human:
        message += ". If its run still lives, it stops before its next step"
    return Result(
        decision="done",
        message=message,
        data={
            "environment": name,
            "by": by,
            "held_by": ended.by if ended.state == "held" else "",
            "github_calls": hub.calls,
        },
    )
