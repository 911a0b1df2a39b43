"""`.github/cicd.yml`: its types, which are also its JSON Schema, and what must hold between its values."""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from cicd.core.findings import Security
from cicd.core.flaky import Quarantined
from cicd.core.freeze import Freeze
from cicd.core.performance import Budget
from cicd.core.reading import Duration, Percent, schema_of
from cicd.errors import ConfigError, UnknownEnvironment, UnknownSuite

NAME = "^[a-z0-9][a-z0-9-]{0,39}$"
HOST = r"^(local|ssh://([^@:/\s]+@)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?)$"
REPOSITORY = r"^(([A-Za-z0-9.-]+(:[0-9]{1,5})?/)?[a-z0-9][a-z0-9._/-]*)?$"
Name = Annotated[str, msgspec.Meta(pattern=NAME)]
Variable = Annotated[str, msgspec.Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Setting = str | int | float | bool


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """A mapping of the config; its fields are its keys."""


class Service(_Section, frozen=True):
    """A server that tests or the application need. `settings` are the server's own, by their own names.

    postgres, redis and rabbitmq are known by name. Any other is described: `command` starts it on the runner, in the
    project's folder; or `image` is run by Docker, listens on its own `port`, and `command` are its arguments. `ready`
    says when it answers: `tcp`, a URL (`http://{host}:{port}/health` answers with a 2xx status), or a command that ends
    with 0, all `within` a time. `env` is what it gets, `exports` are the variables that the job's later steps get.

    In these texts `{host}`, `{port}`, `{name}`, `{version}`, `{data}` (a folder of its own, not with `image`) and
    `{password}` (made up for it) are filled in. A password is not, in `command` and `ready`: all can read a command
    line, so it goes by `env`. A known one with an `image` comes from that image; its `exports` may also have `{url}`.
    """

    version: str = ""
    settings: dict[str, Setting] = {}
    command: str = ""
    image: str = ""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    ready: str = ""
    within: Duration = 60
    env: dict[Annotated[str, msgspec.Meta(pattern="^[A-Za-z_][A-Za-z0-9_.]*$")], str] = {}
    exports: dict[Variable, str] = {}


class Suite(_Section, frozen=True):
    """A named set of tests.

    `run` is its command; `needs` the services; `junit` the report it writes, unless it is pytest, which is told to;
    `coverage` says whether line coverage is measured and held against `gates.coverage`.

    `shards` is in how many jobs it runs (`auto`: as many as are worth it; `target`: so that it takes no longer). A
    suite whose inputs have passed before is not run again: they are the commit's `paths` (left out: all of it), the
    command, Python, services and this section; `reuse: false` runs it always, and `audit` is the share of such hits
    that are run all the same. `security` names scanners and reports of scanners, and the gate that they are held
    against; then `run` may be left out. `workers` is how many of pytest-xdist's a job has (`auto`: as many as it may
    use CPUs); a file's tests stay in one of them. `measures` are reports of load or benchmark tools, held against
    `budget`.
    """

    run: str = ""
    needs: list[str] = []
    junit: str = ""
    coverage: bool = False
    timeout: Duration = 3600
    shards: Literal["auto"] | Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    target: Duration = 0
    workers: Literal["auto"] | Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    paths: list[str] = []
    reuse: bool = True
    audit: Percent = 2
    measures: list[str] = []
    budget: Budget | None = None
    security: Security | None = None


class Gates(_Section, frozen=True):
    """What a measurement is held against.

    `coverage`: least line coverage. `changed-lines`: the same of the lines that a change touches. `may-fall`: by how
    many percent coverage may be below what the branch had; `0%`: it must not fall. Left out: it is not held.
    """

    coverage: Percent | None = None
    changed_lines: Percent | None = None
    may_fall: Percent | None = None


class Health(_Section, frozen=True):
    """When a slot is healthy: `successes` answers in a row with exactly `status`, all within `within`."""

    path: Annotated[str, msgspec.Meta(pattern="^/")] = "/health"
    status: Annotated[int, msgspec.Meta(ge=100, le=599)] = 200
    successes: Positive = 3
    within: Duration = 60
    interval: Duration = 0.1
    release_header: str = ""


class Condition(_Section, frozen=True):
    """What Prometheus must tell of a release.

    Either a share: `bad` and `of` are queries for counts, and at most `share` of these may be bad; it is judged like
    the requests of the router's log, on `samples` at least. Or a value: `value` is a query for it, which is not above
    `most` nor below `least` for as long as `lasts`. In queries `$slot`, `$release`, `$app` and `$environment` are
    those of the release, `$window` is the time since it got its users. The same is asked for the release before, over
    the ten minutes before: what that did as well does not fail this one.
    """

    bad: str = ""
    of: str = ""
    share: Percent | None = None
    value: str = ""
    most: float | None = None
    least: float | None = None
    lasts: Duration = 30


class Metrics(_Section, frozen=True):
    """Prometheus at `url`, asked for each of `conditions`, by name.

    An answer that takes longer than `within`, or does not come, is told and is no fault of the release. A bearer token
    is taken from `CICD_PROMETHEUS_TOKEN`.
    """

    url: Annotated[str, msgspec.Meta(pattern="^https?://[^@?#]+$")]
    conditions: dict[Name, Condition]
    within: Duration = 5


class Targets(_Section, frozen=True):
    """What `cicd dora` holds its figures against; left out: no target."""

    deployments_per_week: float | None = None
    lead_time: Duration | None = None
    fail_rate: Percent | None = None
    recovery_time: Duration | None = None
    rework_rate: Percent | None = None


class Watch(_Section, frozen=True):
    """What a release must show under traffic `for` a while, by the router's log, and by `metrics` of Prometheus.

    At most `error-rate` of its requests fail. With `p95`, at least 95% take no longer; with `slower`, its p95 is at
    most so much above that of the release before. Nothing is judged on less than `samples` requests. A release that
    does no worse than the one before it is not failed for what that did as well.
    """

    seconds: Duration = msgspec.field(name="for", default=60)
    error_rate: Percent = 1
    p95: Duration | None = None
    slower: Percent | None = None
    samples: Positive = 20
    metrics: Metrics | None = None


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


class Attestation(_Section, frozen=True):
    """Who must have built an image: the repository, and the workflow in it that attested it (build provenance)."""

    repository: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+/[\w.-]+$")]
    signer_workflow: str = ""


class Deploy(_Section, frozen=True):
    """How releases run.

    `env` are settings of all environments. `keep` is how many releases stay on the target. The slot that was left stays
    warm until the next promotion needs it; connections that still last then, such as WebSockets, have `drain` to end.

    Engine `process`: `run` is the application's command; `$PORT`, `$HOST` and every setting of `env` in it are filled
    in. A secret one is not, for all can read a command line: the program reads it from its environment. `files` limits
    what the image holds (paths below the repository; empty: all of it).

    Engine `compose`: `service` of the project's `compose` files runs once per slot and answers on its container port
    `port` (left out: the only one that it names). `companions` run beside it, such as workers and cron, and change with
    it (left out: the services of the same image). All other services run once. `router-image` is the nginx that takes
    the place of the service. `attestation` wants proof of who built the image.

    Engine `swarm` is the same on the nodes of a Docker Swarm, one of whose managers is the environment's first host:
    the service and its companions have the replicas and the placement that the compose files say under `deploy`.
    """

    engine: Literal["process", "compose", "swarm"] = "process"
    router: Literal["nginx"] = "nginx"
    run: str = ""
    requirements: list[str] = []
    files: list[str] = []
    service: str = ""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    compose: list[str] = []
    companions: list[str] | None = None
    router_image: str = "nginx:1.29-alpine"
    attestation: Attestation | None = None
    env: dict[str, str] = {}
    migrate: Literal["alembic", "command", "none"] = "none"
    migrations: Migrations = Migrations()
    health: Health = Health()
    canary: Canary | None = None
    watch: Watch = Watch()
    drain: Duration = 10
    keep: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 5


class Ports(_Section, frozen=True):
    """Addresses of one environment on its target: the router's, and with engine `process` the two slots'."""

    router: Port
    blue: Port | None = None
    green: Port | None = None


class Environment(_Section, frozen=True):
    """A GitHub Environment: what comes before it, whether somebody must approve, its own settings, canary and watch.

    `approval: required` wants required reviewers on GitHub; `issue` asks one of `approvers` by an issue, where the
    repository's plan has no reviewers. `rehearse` wants proof from the environment before: a promotion there goes back
    to what runs here, and forth again.
    `checks` names check runs or commit statuses that must have succeeded on the commit. Its own `freeze` replaces that
    of the top level; an empty list is none.

    `hosts` are the machines on which it runs: `local` is the one of the job; `ssh://user@host:22/folder` another one,
    on which everything lies below that folder (left out: `.local/state/cicd` of that user). All get each release; the
    journal lies on the first. With engine `swarm` they are those at which users arrive. The first is a manager, and has
    the shared services; on the others is what waits for `service`, such as an nginx in front of it. `compose` are its
    own compose files, in place of those under `deploy`; `folder` is where their relative paths lead on the hosts that
    are not in git, such as certificates. `url` is where users reach it.
    """

    ports: Ports
    hosts: Annotated[list[Annotated[str, msgspec.Meta(pattern=HOST)]], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["local"]
    )
    compose: list[str] = []
    folder: str = ""
    url: Annotated[str, msgspec.Meta(pattern="^(https?://.+)?$")] = ""
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
    """The consumer's file. `image` is the repository of the application's images, without tag, for engine `compose`.

    `requirements` are requirement files, or the lock of uv, Poetry or PDM; left out: what is found. `seed` is loaded
    after the migrations, for tests: files of SQL for PostgreSQL, and commands. `quarantine` names tests that may fail
    until a day.
    """

    version: Literal[1]
    app: Name
    image: Annotated[str, msgspec.Meta(pattern=REPOSITORY)] = ""
    python: str = ""
    requirements: list[str] = []
    services: dict[str, Service | None] = {}
    seed: list[str] = []
    suites: dict[Name, Suite] = {}
    gates: Gates = Gates()
    quarantine: list[Quarantined] = []
    deploy: Deploy | None = None
    freeze: list[Freeze] = []
    targets: Targets = Targets()
    environments: dict[Name, Environment] = {}


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
