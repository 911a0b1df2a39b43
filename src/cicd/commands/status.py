"""`cicd status`: what runs where, since when, and approved by whom; who holds the lock."""

import time
from typing import Any

from cicd.adapters.github import GitHub
from cicd.adapters.github_standing import Standing
from cicd.adapters.runner import Runner
from cicd.commands.read import Project, Site, read_config
from cicd.contract import Status
from cicd.core.ledger import current
from cicd.core.lock import describe
from cicd.core.markdown import inline
from cicd.core.results import Result
from cicd.errors import NoToken


def main(inputs: Status, runner: Runner) -> Result:
    """Ask the ledger and the targets; a target on another machine is not seen from here, which is said."""
    config = read_config(inputs.working_directory, inputs.config)
    names = list(config.environments)
    try:
        standing: Standing | None = GitHub(runner, inputs.token).standing(names)
    except NoToken:
        standing = None
    rows = [row(Project.of(inputs.working_directory, inputs.config, name, runner).site, standing) for name in names]
    return Result(
        decision="done",
        message="\n".join(map(line, rows)) + ("" if standing is not None else "\n(no token: GitHub was not asked)"),
        data={"environments": rows},
        summary=summary(rows),
    )


def row(site: Site, standing: Standing | None) -> dict[str, Any]:
    """One environment: what the ledger says, and what its target on this machine says."""
    said = current(standing.ledger, site.name) if standing else None
    lock = standing.locks[site.name].lock if standing else None
    state = site.target.state()
    here = site.running()
    return {
        "environment": site.name,
        "release": said.release.id if said else here.release.id if here.release else "",
        "version": said.release.version if said else here.release.version if here.release else "",
        "verdict": said.verdict if said else "",
        "since": said.created_at if said else "",
        "approved_by": said.payload.approved_by if said else [],
        "on_target": here.release.id if here.release else "",
        "slot": here.slot,
        "warm": here.warm,
        "unfinished": state.unfinished is not None,
        "held_by": describe(lock, time.time()) if lock and lock.state == "held" else "",
    }


def line(row: dict[str, Any]) -> str:
    """One line for a terminal."""
    held = [f"held by {row['held_by']}"] if row["held_by"] else []
    if not row["release"]:
        return ", ".join([f"{row['environment']:12} nothing runs", *held])
    parts = [f"{row['environment']:12} {row['version'] or '-'} {row['release']} {row['verdict']}"]
    parts += [f"since {row['since']}"] if row["since"] else []
    parts += [f"approved by {', '.join(row['approved_by'])}"] if row["approved_by"] else []
    parts += [f"slot {row['slot']}"] if row["slot"] else ["(its target is not on this machine)"]
    parts += [f"warm {row['warm']}"] if row["warm"] else []
    parts += ["a killed run is to be undone"] if row["unfinished"] else []
    return ", ".join([*parts, *held])


def summary(rows: list[dict[str, Any]]) -> str:
    """A table for the job's summary."""
    lines = [
        "### Status",
        "",
        "| environment | release | verdict | since | approved by | held by |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in rows:
        name = f"{inline(one['version'])} `{one['release']}`" if one["release"] else "nothing"
        who = inline(", ".join(one["approved_by"]))
        cells = (inline(one["environment"]), name, one["verdict"], one["since"], who, inline(one["held_by"]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
