"""A rehearsal: an environment goes back to the release before, and forward again, so that the next one knows it can."""

import msgspec

from cicd.commands.deploy import Deployer
from cicd.commands.propose import Proposal
from cicd.commands.read import Project, Site
from cicd.commands.rollback import propose_rollback
from cicd.core.ledger import current
from cicd.core.migrations import between
from cicd.core.plan import Plan, plan_promotion
from cicd.core.release import Release
from cicd.core.results import Result
from cicd.errors import NothingToRollBackTo


def demanding(project: Project) -> list[str]:
    """The environments after this one that want a rehearsal here."""
    return [
        name
        for name, environment in project.config.environments.items()
        if environment.rehearse and environment.after == project.site.name
    ]


def rehearse(
    project: Project, deployer: Deployer, promoted: Proposal, result: Result, approved_by: list[str]
) -> Result:
    """After a promotion that held: back, and forward again. Both are deployments of their own in the ledger.

    Gives the result of the last one, with the seconds of going back, or the first that did not hold.
    """
    site, names = project.site, demanding(project)
    old = partner(project, deployer, promoted.running.release)
    if result.decision != "done" or not names or old is None:
        return result
    try:
        back = propose_rollback(site, old.id, site.running())
    except NothingToRollBackTo as error:
        deployer.runner.annotate(
            "warning", f"Going back cannot be rehearsed for {', '.join(names)}: {error}", title="cicd"
        )
        return result
    deployer.runner.say(f"Rehearsal for {', '.join(names)}: back to {old.name}, and forward again")
    went = deployer.carry_out(
        back,
        site.steps(site.running()),
        approved_by,
        promoted.secrets,
        f"rehearsal for {', '.join(names)}",
        rehearsal=True,
    )
    if went.decision != "done":
        return went
    again = deployer.carry_out(
        forward(site, promoted),
        site.steps(site.running(), promoted.record, promoted.settings, promoted.layout),
        approved_by,
        promoted.secrets,
    )
    seconds = round(sum(went.data["seconds"].values()), 3)
    return msgspec.structs.replace(again, data={**again.data, "rehearsal_seconds": seconds})


def partner(project: Project, deployer: Deployer, before: Release | None) -> Release | None:
    """What to go back to: what runs in the environment that wants it, if that lies here too; else what ran before."""
    target = project.site.target
    for name in demanding(project):
        said = current(deployer.ledger, name)
        for release in target.state().history[1:] if said else []:
            if said and release.image == said.release.image and target.has(release.id):
                return release
    return before


def forward(site: Site, promoted: Proposal) -> Plan:
    """The promotion once more, from where the rehearsal has led."""
    plan, running = promoted.plan, site.running()
    schema = running.release.schema if running.release else ""
    pending = between(promoted.record.migrations, schema, plan.release.schema)
    services = promoted.record.services != running.services
    return plan_promotion(
        site.name, plan.release, running, pending, plan.settings, public=plan.public, services=services
    )
