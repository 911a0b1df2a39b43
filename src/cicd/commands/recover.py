"""`cicd recover`: finish or undo what killed runs left, and record what GitHub could not be told."""

from cicd.adapters.github import GitHub
from cicd.adapters.github_standing import Standing
from cicd.adapters.runner import Runner
from cicd.adapters.together import interruptible
from cicd.commands.deploy import Deployer
from cicd.commands.hold import locked
from cicd.commands.read import Project, Site, read_config
from cicd.contract import Recover
from cicd.core.results import Result
from cicd.errors import CicdError, GitHubUnavailable, Interrupted, NoToken, RateLimited, TokenRefused

AWAY = (GitHubUnavailable, RateLimited, TokenRefused)  # GitHub cannot be asked; the journal says what is to be done


def main(inputs: Recover, runner: Runner) -> Result:
    """Recover one environment, or each of the config. Without a token only the targets are mended, which is said."""
    config = read_config(inputs.working_directory, inputs.config)
    names = [inputs.environment] if inputs.environment else list(config.environments)
    sites = [Project.of(inputs.working_directory, inputs.config, name, runner).site for name in names]
    try:
        hub: GitHub | None = GitHub(runner, inputs.token)
    except NoToken:
        hub = None
    with interruptible():
        return recover(sites, runner, hub)


def recover(sites: list[Site], runner: Runner, hub: GitHub | None) -> Result:
    """lock → finish or undo → record, for each site: what is stuck in one does not keep the others from it.

    Where GitHub is away the targets are mended all the same, and the ledger is told by a later run.

    Raises:
        CicdError: there is but one site, and it is stuck. Interrupted.
    """
    done: dict[str, list[str]] = {}
    stuck: list[CicdError] = []
    standing, away = ask([site.name for site in sites], hub)
    for site in sites:
        try:
            # Once it is away it is not asked again: each site would wait for it anew.
            done[site.name], untold = recover_one(site, runner, None if away else hub, standing)
            away = away or untold
        except Interrupted:
            raise
        except CicdError as error:
            if len(sites) == 1:
                raise
            done[site.name] = [f"✗ {error}"]
            stuck.append(error)
    lines = [f"{name}: {line}" for name, told in done.items() for line in told]
    note = "" if hub else "\n(no token: GitHub was not asked)"
    if away:
        note = f"\nThe ledger on GitHub is still to be told, which the next run does, or `cicd recover`. {away}"
    first = stuck[0] if stuck else away
    return Result(
        decision="failed" if first else "done" if lines else "nothing-to-do",
        reason_code=first.reason if first else "ok",
        message=("\n".join(lines) or f"Nothing was left half done{' on the target' if away else ''}") + note,
        data={"environments": done, "github_calls": hub.calls if hub else 0},
        exit_code=first.code if first else 0,
    )


def ask(environments: list[str], hub: GitHub | None) -> tuple[Standing, CicdError | None]:
    """How they stand by GitHub's word, or why it cannot be asked."""
    try:
        return (hub.standing(environments) if hub else Standing()), None
    except AWAY as error:
        return Standing(), error


def recover_one(
    site: Site, runner: Runner, hub: GitHub | None, standing: Standing
) -> tuple[list[str], CicdError | None]:
    """What was done for one site, and why the ledger could not be told of it. Raises CicdError."""
    deployer = Deployer(site, runner, hub, standing.ledger)
    if not (deployer.behind() or deployer.down()):
        return [], None
    seen = standing.locks.get(site.name)
    with locked(site, runner, hub, "recover", seen, tolerate=AWAY) as deployer.beat:
        done = [*deployer.recover(), *deployer.revive()]
        try:
            return [*done, *deployer.catch_up()], None
        except AWAY as error:
            return done, error
