"""setup-env: servers, interpreter and dependencies side by side, then the schema and the seed.

Servers of an earlier step of the job for the same project are used again when they have the version and at least the
settings asked for; otherwise a new, empty one takes their place once it is ready. Another project (another
working-directory) gets servers of its own. They end with the job (adapters/services/job.py).
"""

import os
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cicd.adapters.config_file import read_text
from cicd.adapters.folders import environment_root
from cicd.adapters.migrators import alembic
from cicd.adapters.process import Completed, run
from cicd.adapters.python_env import Python, Venv, ensure_venv, find_python
from cicd.adapters.requirements import Requirements, find_requirements
from cicd.adapters.runner import Runner
from cicd.adapters.services import SERVICES, postgres, service_of
from cicd.adapters.services.given import take_given
from cicd.adapters.services.job import Job, Server
from cicd.adapters.services.server import check_settings, start
from cicd.adapters.together import interruptible, together
from cicd.commands.migrate_check import check_migrations, has_database, schema_of, to_check
from cicd.commands.seed import load, seeds_of
from cicd.contract import SetupEnv
from cicd.core.config import Config, Deploy
from cicd.core.config_rules import parse_config
from cicd.core.given_services import Given, given_server
from cicd.core.results import Result
from cicd.core.services import Wanted, wanted_services, will_do
from cicd.core.setup_summary import summary
from cicd.errors import ConfigError, MigrationFailed, UsageError

ALEMBIC = "alembic"
MIGRATION_LIMIT = 1800.0  # seconds
ORIGINS = {"path": "this machine", "wheel": "the wheel", "command": "its command", "container": "its image"}


@dataclass(frozen=True)
class Plan:
    """What is to be there when we are done.

    Attributes:
        servers: to bring up.
        python: as asked for, by version or path; empty for the one at hand.
        requirements: what to install.
        migrate: command that brings the schema up to date; empty for none.
        folder: the project's.
        schema: how the config says that the schema is migrated; None when `migrate` is another command.
        check: what to try up, down and up again: `all`, what a commit does not have, or empty for nothing.
        given: service containers of the job, by the name of the server whose place they may have.
        seeds: files of SQL and commands, loaded after the migrations.
    """

    servers: list[Wanted]
    python: str
    requirements: Requirements
    migrate: list[str]
    folder: Path
    schema: Deploy | None = None
    check: str = ""
    given: Mapping[str, Given] = field(default_factory=dict)
    seeds: Sequence[str] = ()


def main(inputs: SetupEnv, runner: Runner) -> Result:
    """Bring up what the project needs and export how to reach it."""
    with interruptible():
        plan = decide(inputs, read_optional_config(inputs), runner.env if runner.is_actions else {})
        with Job.opened(runner, plan.folder) as job:
            return bring_up(plan, job, runner, start)


def read_optional_config(inputs: SetupEnv) -> Config | None:
    """The config; None when the project has none and nothing asks for one. Raises ConfigError."""
    path = Path(inputs.working_directory) / inputs.config
    try:
        return parse_config(read_text(path), str(path))
    except (FileNotFoundError, NotADirectoryError):
        if inputs.config == SetupEnv().config and not inputs.suite:
            return None
        asked = f"suite `{inputs.suite}` is looked up there" if inputs.suite else "`config` names it"
        raise ConfigError(f"There is no {path}", cause=asked, next_step="add the file, or mend the inputs") from None


def decide(inputs: SetupEnv, config: Config | None, env: Mapping[str, str] | None = None) -> Plan:
    """What inputs and config ask for, inputs first. Raises UsageError, ConfigError, DependenciesFailed.

    Args:
        env: the job's variables, which may name service containers. On a terminal nobody has such, and what is named
            there is not made to be tested with.
    """
    folder = Path(inputs.working_directory)
    if not folder.is_dir():
        raise UsageError(
            f"working-directory: there is no folder `{folder}`", next_step="check the repository out first"
        )
    servers = wanted_services(config, suite=inputs.suite, services=inputs.services, settings=inputs.settings)
    for wanted in servers:
        check_settings(wanted)
    requirements = find_requirements(inputs.requirements, config.requirements if config else [], folder)
    python = inputs.python or (config.python if config else "")
    migrate = migration(inputs.migrate, config, servers)
    schema = schema_of(migrate, config)
    check = to_check(inputs.migrate_check, schema, servers)
    given = {
        wanted.name: found
        for wanted in servers
        if (found := given_server(wanted, service_of(wanted).PORT, inputs.service_containers, env or {}))
    }
    configured = config.seed if config else []
    seeds = seeds_of(inputs.seed, configured, folder, has_database=has_database(servers))
    return Plan(servers, python, requirements, migrate, folder.resolve(), schema, check, given, seeds)


def migration(given: str, config: Config | None, servers: Sequence[Wanted]) -> list[str]:
    """The migration's command: the input's, else the config's if a database is brought up; empty for none."""
    if given == "none":
        return []
    if given:
        try:
            return shlex.split(given)
        except ValueError as error:
            raise UsageError(f"migrate cannot be split: {error}", next_step="close the quotes") from error
    if not config or not config.deploy or not has_database(servers):
        return []
    deploy = config.deploy
    return {"alembic": [ALEMBIC], "command": shlex.split(deploy.migrations.up), "none": []}[deploy.migrate]


def bring_up(plan: Plan, job: Job, runner: Runner, start_server: Callable[..., Server]) -> Result:
    """Do what the plan says; after an error or a signal nothing that it started is left."""
    stopping, kept = threading.Event(), _reusable(plan, job)
    earlier = {server.process for server in job.state.servers}
    tasks: dict[str, Callable[[], Any]] = {
        wanted.name: partial(_started, start_server, wanted, plan, job, runner, stopping)
        for wanted in plan.servers
        if wanted.name not in kept
    }
    replaced = [server for name, server in job.running().items() if name in tasks]
    tasks["python"] = partial(_python, plan, runner)
    try:
        if plan.servers:
            job.watch()
        done = together(tasks, stopping)
        venv: Venv | Python = done.pop("python")
        for server in kept.values():
            runner.mask(server.password)
            runner.say(f"{_named(server)} runs already, on port {server.port}: used again")
        servers = {wanted.name: kept.get(wanted.name) or done[wanted.name] for wanted in plan.servers}
        for server in replaced:
            runner.say(f"{_named(server)} had other settings or another version: its place is taken")
            job.remove(server)
        migrated = _migrate(plan, servers, venv, runner)
        env = _project_env(servers, venv, runner)
        seeded = load(plan.seeds, plan.folder, env, partial(_in_project, plan), job, runner)
    except BaseException:
        for server in [server for server in job.state.servers if server.process not in earlier]:
            job.remove(server)
        job.close_if_empty()
        raise
    _export(servers, venv, runner)
    return _report(plan, servers, set(kept), venv, {"migrated": migrated, "seeded": seeded}, job, runner)


def _reusable(plan: Plan, job: Job) -> dict[str, Server]:
    """Servers of an earlier step that will do."""
    running = job.running()
    return {
        wanted.name: running[wanted.name]
        for wanted in plan.servers
        if wanted.name in running and will_do(wanted, running[wanted.name].version, running[wanted.name].wanted)
    }


def _started(
    start_server: Callable[..., Server], wanted: Wanted, plan: Plan, job: Job, runner: Runner, stopping: threading.Event
) -> Server:
    """From the quickest source: one that is there already is not started."""
    given = plan.given.get(wanted.name)
    there = take_given(wanted, given, plan.folder, runner, stopping) if given else None
    if there:
        runner.say(f"{_named(there)} is there already, on {there.host}:{there.port}: the job's service container")
        return there
    server = start_server(wanted, job, runner, stopping)
    runner.say(f"{_named(server)} from {ORIGINS[server.source]}: ready in {server.seconds:.2f} s, port {server.port}")
    return server


def _python(plan: Plan, runner: Runner) -> Venv | Python:
    """The venv, or the interpreter as it is where nothing is to be installed and no version was asked for."""
    python = find_python(plan.python, runner)
    if not plan.requirements and not plan.python:
        return python
    venv = ensure_venv(plan.requirements, python, environment_root(runner), runner, pip=True)
    how = "was there already" if venv.reused else f"made by {venv.installer} in {venv.seconds:.1f} s"
    runner.say(f"Python {venv.version} with the project's dependencies: {how}")
    return venv


def _migrate(plan: Plan, servers: Mapping[str, Server], venv: Venv | Python, runner: Runner) -> dict[str, Any]:
    if not plan.migrate:
        return {}
    started, env = time.monotonic(), _project_env(servers, venv, runner)
    tried = {}
    if plan.schema and plan.check:
        python = str(_interpreter(venv))
        tried = check_migrations(plan.schema, plan.check, plan.folder, python, env, partial(_in_project, plan), runner)
    command = shlex.join(plan.migrate)
    try:
        revision = _brought_up_to_date(plan, partial(_in_project, plan, env), str(_interpreter(venv)))
    except MigrationFailed as failure:
        if env.get(postgres.VARIABLE):
            raise
        next_step = "add `postgres` to the services, or set the variable before"
        raise alembic.without_url(failure, postgres.VARIABLE, next_step) from failure
    seconds = round(time.monotonic() - started, 3)
    runner.say(f"Schema brought up to date by `{command}` in {seconds:.1f} s" + (f": {revision}" if revision else ""))
    return {"command": command, "revision": revision, "seconds": seconds, **tried}


def _brought_up_to_date(plan: Plan, in_project: alembic.Run, python: str) -> str:
    """Migrate; gives the revision, if that can be told. Raises MigrationFailed."""
    if plan.migrate == [ALEMBIC]:
        return alembic.upgrade(in_project, python=python)
    done, command = in_project(plan.migrate), shlex.join(plan.migrate)
    if done.code or done.timed_out:
        raise alembic.failure(done, command, again=command)
    return ""


def _in_project(plan: Plan, env: Mapping[str, str], argv: Sequence[str]) -> Completed:
    return run(argv, env=env, cwd=plan.folder, check=False, timeout=MIGRATION_LIMIT)


def _project_env(servers: Mapping[str, Server], venv: Venv | Python, runner: Runner) -> dict[str, str]:
    """What the job's later steps will have."""
    urls = {name: value for server in servers.values() for name, value in server.variables.items()}
    path = f"{_interpreter(venv).parent}{os.pathsep}{runner.env.get('PATH', '')}"
    return {"PGSSLMODE": "disable", **runner.env, **urls, "PATH": path}  # our server has no TLS; Go's driver demands it


def _interpreter(venv: Venv | Python) -> Path:
    return venv.python if isinstance(venv, Venv) else venv.path


def _export(servers: Mapping[str, Server], venv: Venv | Python, runner: Runner) -> None:
    for server in servers.values():
        for name, value in server.variables.items():
            runner.export(name, value)
    if isinstance(venv, Venv):
        runner.add_path(venv.python.parent)


def _report(
    plan: Plan,
    servers: Mapping[str, Server],
    kept: set[str],
    venv: Venv | Python,
    database: dict[str, Any],
    job: Job,
    runner: Runner,
) -> Result:
    made = isinstance(venv, Venv)
    data = {
        "services": {
            name: {
                "version": _dotted(server),
                "source": server.source,
                "seconds": server.seconds,
                "port": server.port,
                "reused": name in kept,
            }
            for name, server in servers.items()
        },
        "python": {
            "path": str(_interpreter(venv)),
            "version": venv.version,
            "seconds": round(venv.seconds, 3) if isinstance(venv, Venv) else 0.0,
            "reused": venv.reused if isinstance(venv, Venv) else True,
            "installer": venv.installer if isinstance(venv, Venv) else "",
        },
        **database,
    }
    known = {name: server for name, server in servers.items() if name in SERVICES}
    outputs = {SERVICES[name].VARIABLE.lower().replace("_", "-"): server.url for name, server in known.items()}
    ready = ", ".join(map(_named, servers.values())) or "no service"
    ends = f" They end with process {job.owner}, or by `kill {job.state.watcher[0]}`." if servers else ""
    return Result(
        decision="done" if servers or made or any(database.values()) else "nothing-to-do",
        message=f"Ready: {ready}, Python {venv.version}." + ("" if runner.is_actions else ends),
        outputs={**outputs, "python": str(_interpreter(venv))},
        data=data,
        summary=summary(data),
    )


def _dotted(server: Server) -> str:
    """Its version; where it does not tell, the one that was asked for."""
    return ".".join(map(str, server.version)) or server.asked


def _named(server: Server) -> str:
    return f"{server.name} {_dotted(server)}".strip()
