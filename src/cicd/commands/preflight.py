"""Looks up what core/preflight judges: on GitHub, on the target, in the checkout."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from cicd.adapters.attestation import prove
from cicd.adapters.engines.layout import Layout
from cicd.adapters.github import GitHub
from cicd.adapters.github_standing import Standing
from cicd.adapters.ports import require_free
from cicd.adapters.registry import Registry
from cicd.adapters.runner import Runner
from cicd.adapters.store import relation
from cicd.adapters.together import Task, together
from cicd.commands.hold import claimant_of
from cicd.commands.propose import Ground, Proposal, propose, read_layout
from cicd.commands.read import Project, Site
from cicd.commands.rehearse import demanding
from cicd.core import lock
from cicd.core.attestation import demand_of
from cicd.core.ledger import current
from cicd.core.preflight import Facts
from cicd.core.release import Release
from cicd.errors import CicdError

T = TypeVar("T")
SPACE = 64 * 1024 * 1024  # bytes that logs, settings and interpreters may take beside the release itself


@dataclass(frozen=True)
class Ahead:
    """What a promotion has ready before it examines anything: all that takes a while and depends on nothing.

    Attributes:
        standing: of the environments that matter.
        layout: how the release would run; None if that cannot be said.
        found: why the image or the layout is not to be had.
    """

    standing: Standing
    layout: Layout | None
    found: list[CicdError]


def get_ready(project: Project, runner: Runner, hub: GitHub, image: str, app_env: str, *, whole: bool) -> Ahead:
    """Ask GitHub, have the image on the host, and read the checkout, at the same time. `whole`: see examine."""
    no_image, no_layout = list[CicdError](), list[CicdError]()
    tasks: dict[str, Task] = {
        "standing": lambda: hub.standing(environments(project)),
        "image": lambda: caught(no_image, lambda: project.site.engine.require_image(image)),
        "layout": lambda: caught(no_layout, lambda: read_layout(project, runner, app_env, whole=whole)),
    }
    got = together(tasks, threading.Event())
    return Ahead(got["standing"], got["layout"], [*no_image, *no_layout])


def environment_facts(
    project: Project, runner: Runner, hub: GitHub, standing: Standing, *, whole: bool = False, on_target: bool = True
) -> Facts:
    """What can be known without a release.

    Args:
        whole: with what costs a call more and refuses nothing.
        on_target: with what is seen on the target.
    """
    site, locks = project.site, standing.locks
    found: list[CicdError] = []
    now, free = time.time(), SPACE
    if on_target:
        if held := lock.refusal(site.name, locks[site.name], claimant_of(site, runner, "promote"), now):
            found.append(held)
        caught(found, lambda: require_router(site))
        free = caught(found, site.engine.free) or 0
    return Facts(
        config=project.config,
        environment=site.name,
        now=now,
        ledger=standing.ledger,
        protection=caught(found, lambda: hub.environment(site.name, whole=whole)),
        free=free,
        needed=SPACE,
        found=found,
    )


def require_router(site: Site) -> None:
    """The router is there, or could be: on another machine only its start shows whether the port is free."""
    if site.target.host.name == "local" and not site.router.runs():
        require_free(site.ports.router, "the router")


def examine(
    project: Project,
    runner: Runner,
    hub: GitHub,
    standing: Standing,
    image: str,
    sha: str,
    version: str,
    app_env: str,
    *,
    whole: bool = True,
    ground: Ground | None = None,
    ahead: Ahead | None = None,
) -> tuple[Facts, Proposal | None]:
    """All that speaks for or against a promotion, and what it would be: None if that cannot be said.

    Args:
        whole: whether `app_env` has all secrets.
        ground: what it starts from where the hosts are not to be seen.
        ahead: what was had ready before.
    """
    layout, wrong = (ahead.layout, list(ahead.found)) if ahead else (None, [])
    given = (project, runner, image, sha, version, app_env)

    def proposed() -> Proposal | None:
        return None if wrong else caught(wrong, lambda: propose(*given, whole=whole, ground=ground, layout=layout))

    looks: dict[str, Task] = {
        "facts": lambda: environment_facts(project, runner, hub, standing, on_target=ground is None),
        "proposal": proposed,
    }
    seen = together(looks, threading.Event())
    facts, proposal = seen["facts"], seen["proposal"]
    found = [*facts.found, *wrong]
    if proposal is None:
        return replace(facts, found=found), None
    release, running = proposal.plan.release, current(facts.ledger, facts.environment)
    caught(found, lambda: require_attested(project, runner, hub, release))
    checks = caught(found, lambda: hub.checks(release.sha, project.environment.checks))
    relation = caught(found, lambda: relation_of(project, hub, running.release.sha, release.sha)) if running else ""
    facts = replace(
        facts,
        found=found,
        needed=facts.needed if ground else SPACE + 3 * project.site.engine.size(release.image),
        release=release,
        migrations=proposal.plan.migrations,
        relation=relation or "",
        checks=checks or {},
    )
    return facts, proposal


def require_attested(project: Project, runner: Runner, hub: GitHub, release: Release) -> None:
    """The image was built by whom the config demands. Raises NotAttested, ImageMissing, and the registry's errors."""
    wanted = project.site.deploy.attestation
    if wanted:
        manifest = Registry.of(project.site.repository, runner).manifest(release.image)
        prove(runner, hub, demand_of(wanted, release.image, release.sha), manifest.content)


def environments(project: Project) -> list[str]:
    """Those whose deployments matter to a promotion: its own, the one before it, and those that want a rehearsal."""
    named = (project.site.name, project.environment.after, *demanding(project))
    return [name for name in named if name]


def relation_of(project: Project, hub: GitHub, base: str, head: str) -> str:
    """How `head` stands to `base`: the checkout is asked first, which costs no call."""
    if base == head:
        return "identical"
    return relation(project.folder, base, head) or hub.compare(base, head)


def caught(found: list[CicdError], look: Callable[[], T]) -> T | None:
    """What a look gives; an error goes to the others, for all are told at once."""
    try:
        return look()
    except CicdError as error:
        found.append(error)
        return None
