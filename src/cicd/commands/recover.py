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

FOR_ALL = (Interrupted, GitHubUnavailable, RateLimited, TokenRefused)  # the next site would only wait for it again


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

    Raises:
        CicdError: there is but one site, and it is stuck; or what is wrong is wrong for all of them.
    """
    done: dict[str, list[str]] = {}
    stuck: list[CicdError] = []
    for site in sites:
        try:
            done[site.name] = recover_one(site, runner, hub)
        except FOR_ALL:
            raise
        except CicdError as error:
            if len(sites) == 1:
                raise
            done[site.name] = [f"✗ {error}"]
            stuck.append(error)
    lines = [f"{name}: {line}" for name, told in done.items() for line in told]
    asked = "" if hub else "\n(no token: GitHub was not asked)"
    return Result(
        decision="failed" if stuck else "done" if lines else "nothing-to-do",
        reason_code=stuck[0].reason if stuck else "ok",
        message=("\n".join(lines) or "Nothing was left half done") + asked,
        data={"environments": done, "github_calls": hub.calls if hub else 0},
        exit_code=stuck[0].code if stuck else 0,
    )


def recover_one(site: Site, runner: Runner, hub: GitHub | None) -> list[str]:
    """What was done for one site. Raises CicdError."""
    standing = hub.standing([site.name]) if hub else Standing()
    deployer = Deployer(site, runner, hub, standing.ledger)
    if not (deployer.behind() or deployer.down()):
        return []
    with locked(site, runner, hub, "recover", standing.locks.get(site.name)) as deployer.beat:
        return [*deployer.recover(), *deployer.revive(), *deployer.catch_up()]
