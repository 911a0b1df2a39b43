"""`.github/cicd.yml`: its types, which are also its JSON Schema, and what must hold between its values."""

import re
import shlex
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from cicd.core.freeze import Freeze
from cicd.core.freeze import problem as freeze_problem
from cicd.core.reading import Duration, Percent, convert, schema_of
from cicd.errors import ConfigError, UnknownEnvironment, UnknownSuite

NAME = "^[a-z0-9][a-z0-9-]{0,39}$"
Name = Annotated[str, msgspec.Meta(pattern=NAME)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Setting = str | int | float | bool


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """A mapping of the config; its fields are its keys."""


class Service(_Section, frozen=True):
    """A server that tests or the application need. `settings` are the server's own, by their own names."""

    version: str = ""
    settings: dict[str, Setting] = {}


class Suite(_Section, frozen=True):
    """A named set of tests.

    `run` is its command; `needs` the services; `junit` the report it writes, unless it is pytest, which is told to;
    `coverage` says whether line coverage is measured and held against `gates.coverage`.
    """

    run: str
    needs: list[str] = []
    junit: str = ""
    coverage: bool = False
    timeout: Duration = 3600


class Gates(_Section, frozen=True):
    """What a measurement is held against. `coverage`: least line coverage."""

    coverage: Percent | None = None


class Health(_Section, frozen=True):
    """When a slot is healthy: `successes` answers in a row with exactly `status`, all within `within`."""

    path: Annotated[str, msgspec.Meta(pattern="^/")] = "/health"
    status: Annotated[int, msgspec.Meta(ge=100, le=599)] = 200
    successes: Positive = 3
    within: Duration = 60
    interval: Duration = 0.2
    release_header: str = ""


class Watch(_Section, frozen=True):
    """What a release must show under traffic `for` a while, by the router's log.

    At most `error-rate` of its requests fail. With `p95`, at least 95% take no longer; with `slower`, its p95 is at
    most so much above that of the release before. Nothing is judged on less than `samples` requests. A release that
    does no worse than the one before it is not failed for what that did as well.
    """

    seconds: Duration = msgspec.field(name="for", default=60)
    error_rate: Percent = 1
    p95: Duration | None = None
    slower: Percent | None = None
    samples: Positive = 20


class Canary(_Section, frozen=True):
    """The `share` of users that a release gets first, and `for` how long. `canary: 10%` is short for `{share: 10%}`.

    It is held against the release before by the rules of `watch`, at the same time. Only then all follow. `0%` is none.
    """

    SHORT: ClassVar = "share"
    share: Percent
    seconds: Duration = msgspec.field(name="for", default=30)


class Migrations(_Section, frozen=True):
    """How the schema is brought to a revision and back.

    `folder`, `up`, `down`, `current` and `applied` are for `migrate: command`. `folder` holds SQL files whose names
    begin with a number, their revision. `up` applies all that are not applied. `down` takes migrations back: once, to
    the revision `$REVISION` (`0` for none) or over `$STEPS` migrations where it names one of these; else it takes back
    one, and is run for each. `current` prints which are applied: of its lines, those that `applied` matches count, and
    the match's first group is a number. They are run without a shell, in the release's folder, with its settings in
    their environment; no setting is filled in, for all can read a command line.

    `lock-timeout` is how long a statement may wait for a lock while queries queue up behind it, `statement-timeout` how
    long it may take, `within` how long all may take. A lock that was not to be had is tried for again, `attempts`
    times in all. `url` names the setting with the database's URL: when that is PostgreSQL, two migrations never run at
    once, and these times hold for every driver; empty: do without. It must lead to the database itself, not to a
    pooler that shares sessions. `check` lets setup-env try each migration up, down and up again.
    """

    folder: str = "db/migrations"
    up: str = ""
    down: str = ""
    current: str = ""
    applied: str = r"(?:\[[Xx]\] *)?(\d+)"
    lock_timeout: Duration = 5
    statement_timeout: Duration = 300
    within: Duration = 600
    attempts: Positive = 5
    url: str = "DATABASE_URL"
    check: bool = False


class Deploy(_Section, frozen=True):
    """How releases run.

    `run` is the application's command; `$PORT`, `$HOST` and every setting of `env` in it are filled in. A secret one is
    not, for all can read a command line: the program reads it from its environment. `files` limits what the
    image holds (paths below the repository; empty: all of it). `env` are settings of all environments. `keep` is how
    many releases stay on the target. The slot that was left stays warm until the next promotion needs it.
    """

    run: str
    engine: Literal["process"] = "process"
    router: Literal["nginx"] = "nginx"
    requirements: list[str] = []
    files: list[str] = []
    env: dict[str, str] = {}
    migrate: Literal["alembic", "command", "none"] = "none"
    migrations: Migrations = Migrations()
    health: Health = Health()
    canary: Canary | None = None
    watch: Watch = Watch()
    keep: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 5


class Ports(_Section, frozen=True):
    """Addresses of one environment on its target: the router's and the two slots'."""

    router: Port
    blue: Port
    green: Port


class Environment(_Section, frozen=True):
    """A GitHub Environment: what comes before it, whether somebody must approve, its own settings, canary and watch.

    `approval: required` wants required reviewers on GitHub; `issue` asks one of `approvers` by an issue, where the
    repository's plan has no reviewers. `rehearse` wants proof from the environment before: a promotion there goes back
    to what runs here, and forth again.
    `checks` names check runs or commit statuses that must have succeeded on the commit. Its own `freeze` replaces that
    of the top level; an empty list is none.
    """

    ports: Ports
    after: str = ""
    approval: Literal["required", "issue", "none"] = "none"
    approvers: list[str] = []
    rehearse: bool = False
    checks: list[str] = []
    env: dict[str, str] = {}
    canary: Canary | None = None
    watch: Watch | None = None
    freeze: list[Freeze] | None = None


class Config(_Section, frozen=True):
    """The consumer's file."""

    version: Literal[1]
    app: Name
    python: str = ""
    requirements: list[str] = []
    services: dict[str, Service | None] = {}
    suites: dict[str, Suite] = {}
    gates: Gates = Gates()
    deploy: Deploy | None = None
    freeze: list[Freeze] = []
    environments: dict[Name, Environment] = {}


def parse_config(text: str, path: str) -> Config:
    """The config in `text`, checked.

    Args:
        text: YAML.
        path: named in errors.

    Raises:
        ConfigError: with the path to the value, and the nearest valid name for an unknown one.
    """
    config = convert(text, Config, path)
    problems = [
        *_order_problems(config),
        *_port_problems(config),
        *_reference_problems(config),
        *_freeze_problems(config),
        *_deploy_problems(config),
        *_migration_problems(config),
        *_canary_problems(config),
    ]
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}", next_step="mend the file, then run it again")
    return config


def _order_problems(config: Config) -> list[str]:
    """`after` must name an environment, and lead to a first one."""
    problems = []
    for name, environment in config.environments.items():
        seen = [name]
        before = environment.after
        while before:
            if before not in config.environments:
                if seen == [name]:  # else it is said of the one that names it
                    problems.append(f"environments.{name}.after: there is no environment `{before}`")
                break
            if before in seen:
                problems.append(f"environments.{name}.after: {' → '.join([*seen, before])} is a circle")
                break
            seen.append(before)
            before = config.environments[before].after
    return problems


def _port_problems(config: Config) -> list[str]:
    """On one target, each port belongs to one slot or router."""
    owners: dict[int, str] = {}
    problems = []
    for name, environment in config.environments.items():
        for part in ("router", "blue", "green"):
            port, here = getattr(environment.ports, part), f"environments.{name}.ports.{part}"
            if port in owners:
                problems.append(f"{here}: port {port} is already {owners[port]}")
            owners.setdefault(port, here)
    return problems


def _reference_problems(config: Config) -> list[str]:
    problems = [
        f"environments.{name}.approvers: `approval: issue` needs them, and nothing else does"
        for name, environment in config.environments.items()
        if bool(environment.approvers) != (environment.approval == "issue")
    ]
    problems += [
        f"environments.{name}.rehearse: there is no environment before it (`after`)"
        for name, environment in config.environments.items()
        if environment.rehearse and not environment.after
    ]
    problems += [
        f"suites.{name}.needs: there is no service `{need}` under services"
        for name, suite in config.suites.items()
        for need in suite.needs
        if need not in config.services
    ]
    if config.environments and config.deploy is None:
        problems.append("environments need a `deploy:` section that says what runs in them")
    return problems


def _freeze_problems(config: Config) -> list[str]:
    lists = {"freeze": config.freeze}
    lists |= {f"environments.{name}.freeze": each.freeze or [] for name, each in config.environments.items()}
    return [
        f"{path}[{index}]: {found}"
        for path, windows in lists.items()
        for index, window in enumerate(windows)
        if (found := freeze_problem(window))
    ]


def _deploy_problems(config: Config) -> list[str]:
    """A command that can be split, paths that stay in the image, settings that an environment can hold."""
    if config.deploy is None:
        return []
    problems = []
    try:
        if not shlex.split(config.deploy.run) or "\0" in config.deploy.run:
            problems.append("deploy.run: it is empty, or holds a NUL")
    except ValueError as error:
        problems.append(f"deploy.run: {error}")
    for name in ("requirements", "files"):
        problems += [
            f"deploy.{name}: `{path[:60]}` is not below the project's folder"
            for path in getattr(config.deploy, name)
            if path.startswith("/") or ".." in path.split("/") or "\0" in path or not path.strip()
        ]
    sections = {"deploy": config.deploy.env}
    sections |= {f"environments.{name}": environment.env for name, environment in config.environments.items()}
    for section, env in sections.items():
        problems += [f"{section}.env: {key[:60]!r} is no name" for key in env if not key or {"=", "\0"} & set(key)]
        problems += [f"{section}.env.{key[:60]}: it holds a NUL" for key, value in env.items() if "\0" in value]
    return problems


def _migration_problems(config: Config) -> list[str]:
    """A command must be there, and able to be split; its pattern must find a number."""
    if config.deploy is None or config.deploy.migrate != "command":
        return []
    settings, problems = config.deploy.migrations, []
    for name in ("up", "down", "current"):
        command = getattr(settings, name)
        try:
            parts = shlex.split(command)
        except ValueError as error:
            problems.append(f"deploy.migrations.{name}: {error}")
            continue
        if not parts:
            problems.append(f"deploy.migrations.{name} is missing: `migrate: command` needs it")
        if filled := set(re.findall(r"\$\{?(\w+)", command)) - {"REVISION", "STEPS"}:
            problems.append(
                f"deploy.migrations.{name}: ${min(filled)} is not filled in, for all can read a command line;"
                " the program reads it from its environment"
            )
    try:
        if not re.compile(settings.applied).groups:
            problems.append("deploy.migrations.applied: it needs a group around the number, such as `(\\d+)`")
    except re.error as error:
        problems.append(f"deploy.migrations.applied: {error}")
    return problems


def _canary_problems(config: Config) -> list[str]:
    """A share that the router can tell apart from nothing and from everything: it knows hundredths of a percent."""
    given = {"deploy": config.deploy and config.deploy.canary}
    given |= {f"environments.{name}": environment.canary for name, environment in config.environments.items()}
    return [
        f"{path}.canary.share: should be from 0.01% to 99.99%, or 0% for none, is {canary.share:g}%"
        for path, canary in given.items()
        if canary and canary.share != 0 and not 0.01 <= canary.share <= 99.99
    ]


def environment_of(config: Config, name: str) -> Environment:
    """The environment called `name`. Raises UnknownEnvironment with the names that there are."""
    if name not in config.environments:
        known = ", ".join(config.environments) or "none at all"
        raise UnknownEnvironment(
            f"There is no environment `{name}` in the config",
            cause=f"it names {known}",
            next_step="use one of these names, or add it under `environments:`",
        )
    return config.environments[name]


def suite_of(config: Config, name: str) -> Suite:
    """The suite called `name`. Raises UnknownSuite with the names that there are."""
    if name not in config.suites:
        known = ", ".join(config.suites) or "none at all"
        raise UnknownSuite(
            f"There is no suite `{name}` in the config",
            cause=f"it names {known}",
            next_step="use one of these names, or give the command with `run`",
        )
    return config.suites[name]


def deploy_of(config: Config, environment: Environment | None = None) -> Deploy:
    """The `deploy:` section, with what the environment says otherwise. Raises ConfigError when there is none."""
    if config.deploy is None:
        raise ConfigError("The config has no `deploy:` section", next_step="say under `deploy:` how a release runs")
    own = {name: getattr(environment, name, None) for name in ("canary", "watch")}
    return msgspec.structs.replace(config.deploy, **{name: value for name, value in own.items() if value is not None})


def config_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the config."""
    return schema_of(Config)
