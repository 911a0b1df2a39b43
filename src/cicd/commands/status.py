"""`cicd status`: what runs where, since when, and approved by whom."""

from typing import Any

from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.commands.read import Project, Site, read_config
from cicd.contract import Status
from cicd.core.ledger import Deployment, current
from cicd.core.markdown import inline
from cicd.core.results import Result
from cicd.errors import NoToken


def main(inputs: Status, runner: Runner) -> Result:
    """Ask the ledger and the targets; a target on another machine is not seen from here, which is said."""
    config = read_config(inputs.working_directory, inputs.config)
    names = list(config.environments)
    try:
        ledger: list[Deployment] | None = GitHub(runner, inputs.token).ledger(names)
    except NoToken:
        ledger = None
    rows = [row(Project.of(inputs.working_directory, inputs.config, name, runner).site, ledger) for name in names]
    return Result(
        decision="done",
        message="\n".join(map(line, rows)) + ("" if ledger is not None else "\n(no token: GitHub was not asked)"),
        data={"environments": rows},
        summary=summary(rows),
    )


def row(site: Site, ledger: list[Deployment] | None) -> dict[str, Any]:
    """One environment: what the ledger says, and what its target on this machine says."""
    said = current(ledger, site.name) if ledger is not None else None
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
    }


def line(row: dict[str, Any]) -> str:
    """One line for a terminal."""
    if not row["release"]:
        return f"{row['environment']:12} nothing runs"
    parts = [f"{row['environment']:12} {row['version'] or '-'} {row['release']} {row['verdict']}"]
    parts += [f"since {row['since']}"] if row["since"] else []
    parts += [f"approved by {', '.join(row['approved_by'])}"] if row["approved_by"] else []
    parts += [f"slot {row['slot']}"] if row["slot"] else ["(its target is not on this machine)"]
    parts += [f"warm {row['warm']}"] if row["warm"] else []
    parts += ["a killed run is to be undone"] if row["unfinished"] else []
    return ", ".join(parts)


def summary(rows: list[dict[str, Any]]) -> str:
    """A table for the job's summary."""
    lines = [
        "### Status",
        "",
        "| environment | release | verdict | since | approved by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in rows:
        name = f"{inline(one['version'])} `{one['release']}`" if one["release"] else "nothing"
        who = inline(", ".join(one["approved_by"]))
        lines.append(f"| {inline(one['environment'])} | {name} | {one['verdict']} | {one['since']} | {who} |")
    return "\n".join(lines)
