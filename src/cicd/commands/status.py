"""`cicd status`: what runs where, since when, and approved by whom; who holds the lock; what one could go back to."""

import contextlib
import time
from datetime import UTC, datetime
from typing import Any

from cicd.adapters.github import GitHub
from cicd.adapters.github_standing import Standing
from cicd.adapters.runner import Runner
from cicd.adapters.target import target_root
from cicd.commands.read import Project, Site, read_config
from cicd.contract import Status
from cicd.core.journal import State
from cicd.core.ledger import Deployment, current
from cicd.core.lock import describe
from cicd.core.plan import Running
from cicd.core.results import Result
from cicd.core.status_table import aligned, markdown
from cicd.errors import CicdError, GitHubUnavailable, NoToken, RateLimited


def main(inputs: Status, runner: Runner) -> Result:
    """Ask the ledger and the targets. GitHub may be away, a target on another machine or not to be read: all is said,
    and what is wrong with one environment keeps no other from being shown."""
    config = read_config(inputs.working_directory, inputs.config)
    names, note = list(config.environments), ""
    try:
        standing: Standing | None = GitHub(runner, inputs.token).standing(names)
    except (NoToken, GitHubUnavailable, RateLimited) as error:
        standing, note = None, f"(GitHub was not asked: {error})"
    sites = [Project.of(inputs.working_directory, inputs.config, name, runner).site for name in names]
    seen = [look(site) for site in sites]
    rows = [row(site, standing, *found) for site, found in zip(sites, seen, strict=True)]
    bad = {site.name: problem for site, (_, _, problem) in zip(sites, seen, strict=True) if problem}
    if standing is None and not bad and not any(one["on_target"] for one in rows):
        note += f"\n(No release lies below {target_root(runner)}; set CICD_TARGET if releases lie elsewhere)"
    first = next(iter(bad.values()), None)
    return Result(
        decision="failed" if first else "done",
        reason_code=first.reason if first else "ok",
        answer=aligned(rows),
        message="\n".join(filter(None, [note, *(f"✗ {name}: {problem}" for name, problem in bad.items())])),
        data={"environments": rows},
        summary=markdown(rows),
        exit_code=first.code if first else 0,
    )


def look(site: Site) -> tuple[State, Running, CicdError | None]:
    """What the target says, or why it says nothing."""
    try:
        return site.target.state(), site.running(), None
    except CicdError as problem:
        return State(), Running(), problem


def row(
    site: Site, standing: Standing | None, state: State, here: Running, problem: CicdError | None
) -> dict[str, Any]:
    """One environment: what its target says goes before what the ledger says."""
    said = current(standing.ledger, site.name) if standing else None
    lock = standing.locks[site.name].lock if standing else None
    release = here.release or (said.release if said else None)
    told = said if said and release and said.release.id == release.id else None
    open_one = state.unfinished.payload if state.unfinished else None
    lives = open_one is not None and site.target.is_held()
    others = [one for one in state.history if site.target.has(one.id) and (not release or one.id != release.id)]
    return {
        "environment": site.name,
        "release": release.id if release else "",
        "version": release.version if release else "",
        "verdict": told.verdict if told else "",
        "since": since(told) if told else "",
        "approved_by": told.payload.approved_by if told else [],
        "on_target": here.release.id if here.release else "",
        "slot": here.slot,
        "warm": here.warm,
        "back_to": [f"{one.version or '-'} {one.id}" for one in others],
        "under_way": f"{open_one.kind} {open_one.release.name}" if open_one and lives else "",
        "unfinished": open_one is not None and not lives,
        "unrecorded": len(state.unrecorded),
        "held_by": describe(lock, time.time()) if lock and lock.state == "held" else "",
        "problem": problem.what if problem else "",
    }


def since(deployment: Deployment) -> str:
    """When it began, ISO 8601: by the one who did it, else by GitHub, which may have been told later."""
    with contextlib.suppress(ValueError, OverflowError, OSError):  # anybody may write a ledger entry, of any year
        if at := deployment.payload.at:
            return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return deployment.created_at
