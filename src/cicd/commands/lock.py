"""`cicd lock`: a person locks an environment."""

from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.commands.read import read_config
from cicd.contract import Lock
from cicd.core.config import environment_of
from cicd.core.lock import Claimant, describe
from cicd.core.reading import seconds_of
from cicd.core.results import Result
from cicd.errors import UsageError


def main(inputs: Lock, runner: Runner) -> Result:
    """Build what lock needs, and run it."""
    environment_of(read_config(inputs.working_directory, inputs.config), inputs.environment)
    return lock(inputs, runner, GitHub(runner, inputs.token))


def lock(inputs: Lock, runner: Runner, hub: GitHub) -> Result:
    """Claim it without a lease. The same person may do it again, to change reason or time."""
    name, seconds = inputs.environment, seconds_of(inputs.for_)
    if inputs.for_ and not seconds:
        raise UsageError(f"`{inputs.for_}` is no time", next_step="give `for` such as `30m`, `2h` or `1d`")
    by = runner.actor or hub.viewer()
    claimant = Claimant(
        key=f"human:{by}", by=by, what="", run=runner.run_url, lease=seconds, reason=inputs.reason, human=True
    )
    locks = hub.locks()
    held = locks.claim(name, claimant)
    return Result(
        decision="done",
        message=f"`{name}` is locked by {describe(held.lock, locks.clock())}. "
        f"`cicd unlock --environment {name}` ends it",
        data={"environment": name, "by": by, "until": held.lock.until, "github_calls": hub.calls},
    )
