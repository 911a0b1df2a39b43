"""What each action takes and gives: the one place.

`action.yml` with its `env:` maps, the command line and the tables in docs/reference.md are made from these classes by
`cicd generate`; a test proves that they agree. Every input is a string, as on GitHub; an empty one means "not given".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any

from cicd.core.parity import FAIL_ON

JOB_SERVICES = "${{ toJSON(job.services) }}"
TOKEN = "${{ github.token }}"  # noqa: S105 - an expression, not a token


def given(
    help: str,
    default: str = "",
    *,
    required: bool = False,
    secret: bool = False,
    choices: tuple[str, ...] = (),
    longest: int = 0,
) -> Any:
    """An input. `help` is one sentence for users; `default` is what action.yml says; `longest` is of a line."""
    about = {"help": help, "required": required, "secret": secret, "choices": choices, "longest": longest}
    return field(default=default, repr=not secret, metadata=about)


def config_input() -> Any:
    return given("Path of the config file, below working-directory.", ".github/cicd.yml")


def directory_input() -> Any:
    return given("Folder of the consumer's project.", ".")


def token_input() -> Any:
    return given("Token for GitHub's API.", TOKEN, secret=True)


def key_input() -> Any:
    return given("Private key for hosts that are reached by ssh; empty: as ssh finds one.", secret=True)


def known_hosts_input() -> Any:
    return given("Keys of these hosts, as lines of a known_hosts file; empty: as ssh finds them.")


@dataclass(frozen=True)
class Output:
    """One output of an action; `help` is one sentence for users. A secret one is not repeated in `result`."""

    name: str
    help: str
    secret: bool = False


@dataclass(frozen=True)
class Permission:
    """What a command's token must be allowed, as a job's `permissions:` has it, and what for."""

    scope: str
    why: str


LEDGER = Permission("deployments: write", "the ledger")
LOCK = Permission("contents: write", "the lock, a git ref")
READ_LEDGER = Permission("deployments: read", "the ledger")
READ_LOCK = Permission("contents: read", "the lock, and how commits stand to each other")
APPROVALS = Permission("actions: read", "the environment's protection, and who approved")
ISSUES = Permission("issues: write", "the issue that asks for an approval")
ATTESTED = Permission("attestations: read", "where the config has `attestation:`")
PACKAGES = Permission("packages: read", "the image, where GitHub's registry has it and it is private")
CHECKS = Permission("checks: read` and `statuses: read", "where the config has `checks:`")
CHECK_RUN = Permission("checks: write", "with `publish`: the check run")
COMMENT = Permission("pull-requests: write", "with `publish`: the comment")
LEFT = Permission("actions: read", "with the id of a run as `publish`: what it has left")

VARIABLES = {
    "CICD_TARGET": "Folder of all targets on this machine: releases, journals, images. Empty: `$XDG_STATE_HOME/cicd`,"
    " else `~/.local/state/cicd`.",
    "CICD_HOME": "Folder in which environments with tools and dependencies are kept. Empty: `$RUNNER_TEMP`, else"
    " `$XDG_CACHE_HOME/cicd`, else `~/.cache/cicd`. What outlives a job is then installed below `CICD_TARGET`.",
    "CICD_GITHUB_PATIENCE": "Seconds that a call of GitHub's API may take with all its repetitions; 30 if empty.",
    "CICD_ALERTS_TOKEN": "Bearer token that callers of `cicd alerts` must have; needed beyond loopback.",
    "CICD_PROMETHEUS_TOKEN": "Bearer token for the Prometheus that `watch: metrics:` of the config asks.",
    "CICD_TRUSTED_ROOT": "File with the roots by which attestations are verified, as `gh attestation trusted-root`"
    " prints them, where Sigstore's own cannot be reached. Empty: `gh` fetches and checks them.",
    "CICD_SHARD": "Set for a suite's command: which part of the plan it is, from 1; for runners that are not pytest.",
    "CICD_SHARDS": "Set for a suite's command: how many parts there are.",
    "CICD_SHARD_PLAN": "Set for a suite's command: the file by which our plugin tells pytest its part.",
    "CICD_INPUT_<NAME>": "An input, as the actions pass it on; an option of the command line goes before it.",
    "GITHUB_TOKEN": "The token where `token` is not given outside of a workflow; `GH_TOKEN` does as well.",
    "GITHUB_REPOSITORY": "`owner/name`: whose ledger and locks are meant.",
    "GITHUB_API_URL": "Whose API is asked, such as a LocalHub's URL; `https://api.github.com` if empty.",
    "GITHUB_SERVER_URL": "For links to the run's page.",
    "GITHUB_RUN_ID": "The run, with `GITHUB_RUN_ATTEMPT` and `GITHUB_JOB`: whose approval counts, who holds a lock.",
    "GITHUB_SHA": "The commit where `sha` is empty.",
    "GITHUB_EVENT_NAME": "What started the run: an issue is approved by a run that somebody started by hand.",
    "GITHUB_EVENT_PATH": "The pull request that a verdict is published for, with `GITHUB_REF` and"
    " `GITHUB_WORKFLOW_REF`; with `GITHUB_BASE_REF` where a change began, for its lines and its measures.",
    "GITHUB_ACTOR": "Who locks, promotes or rolls back, for the record.",
    "GITHUB_ACTIONS": "`true` in a workflow: outputs, annotations and the summary go to the files that `GITHUB_OUTPUT`,"
    " `GITHUB_ENV`, `GITHUB_PATH` and `GITHUB_STEP_SUMMARY` name.",
    "RUNNER_TEMP": "The job's temp folder, in which servers of setup-env and reports lie.",
}
"""What is read from the environment, besides what every program reads."""

COMMON_OUTPUTS = (
    Output("decision", "What was done: `done`, `nothing-to-do`, `planned`, `waiting`, `refused` or `failed`."),
    Output("reason-code", "Why, as one stable word; `ok` when all went well."),
    Output("result", "All of it as JSON; `schema` says which version of the format."),
)


@dataclass(frozen=True)
class SetupEnv:
    """Bring up services and the Python environment of a project."""

    config: str = config_input()
    working_directory: str = directory_input()
    suite: str = given("Start what this suite of the config needs; empty: all services of the config.")
    services: str = given(
        "Services by name and optional version, such as `postgres:18 redis`, in place of the config's."
    )
    settings: str = given(
        "Server settings as lines of `service.name=value`, such as `postgres.max_prepared_transactions=10`."
    )
    service_containers: str = given(
        "The job's service containers as JSON: one that is called like a service is used where it has the version asked"
        " for; `{}`: none is.",
        JOB_SERVICES,
    )
    requirements: str = given(
        "Requirement files to install, separated by spaces, or a lock of uv, Poetry or PDM; empty: the config's, else"
        " the lock or the files that are found; `none`: nothing is installed."
    )
    python: str = given(
        "Python to make the environment from: a version or a path; empty: the config's, else the one at hand."
    )
    migrate: str = given("Command that brings the schema up to date; empty: the config's; `none`: nothing is run.")
    seed: str = given(
        "Lines, each a file of SQL or a command, that load what tests need after the migrations; empty: the config's;"
        " `none`: nothing is loaded."
    )
    migrate_check: str = given(
        "Migrations to try up, down and up again in a database of their own: `all`, `none`, or those that a commit does"
        " not have, such as `origin/main`; empty: all if the config says `check: true`."
    )


@dataclass(frozen=True)
class RunSuite:
    """Run one suite of tests and say what it showed."""

    config: str = config_input()
    working_directory: str = directory_input()
    suite: str = given("Name of the suite in the config, or a name for the report when `run` is given.")
    run: str = given(
        "Command of the suite, in place of the config's; run without a shell, but `$NAME` is filled in; pytest gets its"
        " report options by itself."
    )
    junit: str = given("Path of the JUnit report that the command writes; empty: pytest is told to write one.")
    coverage: str = given("Least line coverage in percent; empty: the config's gate; `none`: not measured.")
    timeout: str = given("Minutes after which the command is ended; empty: the config's, else 60.")
    workers: str = given("How many of pytest-xdist's workers, or `auto`; empty: the config's, else 1.")
    plan: str = given(
        "`true`: plan the suites named in `suite` (empty: all of the config) and run none; else the plan to follow,"
        " which such a step has given."
    )
    shard: str = given("Which part of the plan's suite to run, such as `2/4`.")
    parts: str = given("Folder with the parts that all jobs of the plan have left: give the verdict.")
    history: str = given("Folder in which times, proofs and flaky tests are kept from run to run; empty: nowhere.")
    publish: str = given(
        "`true`: the verdict also becomes a check run, and a comment of the pull request; the id of a finished run:"
        " publish what that one could not, because a fork's token may write nothing."
    )
    variant: str = given(
        "With `parts`: what this verdict is called among several of one run, such as `3.13 macos-latest`.", longest=100
    )
    token: str = given("Token with which it is published; no step in which tests run needs it.", secret=True)


@dataclass(frozen=True)
class Promote:
    """Take one release into an environment; undo it all if it does not hold."""

    environment: str = given("Environment of the config to promote into.", required=True)
    image: str = given("Image by digest, `name@sha256:…` or the bare `sha256:…`.", required=True)
    sha: str = given("Commit of the release, by sha or any name that git knows; empty: that of the image.")
    version: str = given("A label for people, such as `v1.4.2`; never the identity.", longest=100)
    config: str = config_input()
    working_directory: str = directory_input()
    app_env: str = given("The environment's secret settings, as dotenv lines.", secret=True)
    token: str = token_input()
    ssh_key: str = key_input()
    known_hosts: str = known_hosts_input()
    approval_timeout: str = given("Minutes to wait for an approval where nothing else holds the job.", "30")
    plan: str = given("The plan's hash that was approved; another plan is refused.")
    force: str = given(
        "Also take a stale or poisoned release, in a freeze window, or with a migration that breaks the old code.",
        "false",
        choices=("false", "true"),
    )
    dry_run: str = given("Say what would be done, do nothing.", "false", choices=("false", "true"))


@dataclass(frozen=True)
class Approve:
    """Approve what an issue asks for, by the one who starts this run, and promote it."""

    environment: str = given("Environment of the config that the issue is about.", required=True)
    issue: str = given("Number of the issue in which the approval was asked for.", required=True)
    config: str = config_input()
    working_directory: str = directory_input()
    app_env: str = given("The environment's secret settings, as dotenv lines.", secret=True)
    token: str = token_input()
    ssh_key: str = key_input()
    known_hosts: str = known_hosts_input()


@dataclass(frozen=True)
class Rollback:
    """Go back to the last healthy release, or to a given one: code, configuration and schema."""

    environment: str = given("Environment of the config to roll back.", required=True)
    to: str = given("Release id to go back to; empty: the newest stable one other than the current.")
    reason: str = given("Why, for the record.", longest=1000)
    if_release: str = given(
        "Id of the release that is to be left, as in an alert: refused when another one runs by now.", longest=100
    )
    alert: str = given(
        "Id of the alert that asks: it gets one attempt, whatever comes of it, and has to say `if-release`.",
        longest=200,
    )
    offline: str = given(
        "Go by the target's journal alone, without GitHub; a later run records it.", "false", choices=("false", "true")
    )
    app: str = given("The application, where its config is not at hand and the target has more than one.")
    config: str = config_input()
    working_directory: str = directory_input()
    token: str = token_input()
    ssh_key: str = key_input()
    known_hosts: str = known_hosts_input()
    dry_run: str = given("Say what would be done, do nothing.", "false", choices=("false", "true"))


@dataclass(frozen=True)
class Recover:
    """Finish or undo what killed runs left, and record what GitHub could not be told."""

    environment: str = given("Environment of the config; empty: all of them.")
    config: str = config_input()
    working_directory: str = directory_input()
    token: str = token_input()
    ssh_key: str = key_input()
    known_hosts: str = known_hosts_input()


@dataclass(frozen=True)
class Doctor:
    """Say what would stand in the way of a promotion, for each environment, and how to mend it."""

    environment: str = given("Environment of the config; empty: all of them.")
    config: str = config_input()
    working_directory: str = directory_input()
    token: str = token_input()
    ssh_key: str = key_input()
    known_hosts: str = known_hosts_input()


@dataclass(frozen=True)
class Build:
    """Build the image once, from a commit, and keep it by digest."""

    sha: str = given("Commit to build, by sha or any name that git knows; empty: the workflow's own, else `HEAD`.")
    config: str = config_input()
    working_directory: str = directory_input()


@dataclass(frozen=True)
class Plan:
    """Say what a promotion would do, without doing it."""

    environment: str = given("Environment of the config to promote into.", required=True)
    image: str = given("Image by digest, `name@sha256:…` or the bare `sha256:…`.", required=True)
    sha: str = given("Commit of the release, by sha or any name that git knows; empty: that of the image.")
    version: str = given("A label for people, such as `v1.4.2`; never the identity.", longest=100)
    config: str = config_input()
    working_directory: str = directory_input()
    app_env: str = given("The environment's secret settings, as dotenv lines.", secret=True)
    token: str = token_input()
    ssh_key: str = key_input()
    known_hosts: str = known_hosts_input()
    force: str = given("Refuse only what `force` would not go past.", "false", choices=("false", "true"))


@dataclass(frozen=True)
class Status:
    """Say what runs where, since when, and approved by whom."""

    config: str = config_input()
    working_directory: str = directory_input()
    token: str = token_input()
    ssh_key: str = key_input()
    known_hosts: str = known_hosts_input()


@dataclass(frozen=True)
class Dora:
    """DORA's five metrics of production, from the ledger alone, beside the targets of the config."""

    days: str = given("Days of the window that ends now.", "30")
    since: str = given("First day of another window, such as `2026-11-01`, by UTC; empty: by `days`.")
    until: str = given("Day before which it ends; empty: now.")
    environment: str = given("Which environment is production; empty: the config's last one, or `production`.")
    repositories: str = given("Repositories as `owner/name`, with spaces between; empty: this one.")
    org: str = given("Organisation, all of whose repositories are taken together.")
    team: str = given("Team of `org`, by its slug: its repositories alone.")
    prometheus: str = given("File to write the figures into as metrics, such as for node_exporter.")
    svg: str = given("File to write the picture into.")
    config: str = config_input()
    working_directory: str = directory_input()
    token: str = token_input()


@dataclass(frozen=True)
class Init:
    """Look at a repository, and write its config and the workflows that call cicd's."""

    engine: str = given(
        "How it is deployed; empty: `compose` where a compose file is named as that of production, else `process`.",
        choices=("", "process", "compose"),
    )
    force: str = given("Write over files that are there.", "false", choices=("false", "true"))
    dry_run: str = given("Say what would be written, write nothing.", "false", choices=("false", "true"))
    working_directory: str = directory_input()


@dataclass(frozen=True)
class Parity:
    """Say in which settings environments differ, by their compose files and the config."""

    environments: str = given("Environments of the config to compare, separated by spaces; empty: all of them.")
    fail_on: str = given(
        "What must not differ: versions of images (`versions`), also which services there are (`services`), any setting"
        " that is not secret (`any`).",
        "none",
        choices=FAIL_ON,
    )
    config: str = config_input()
    working_directory: str = directory_input()


@dataclass(frozen=True)
class Lock:
    """Lock an environment for a while: nothing is promoted or rolled back until it is unlocked."""

    environment: str = given("Environment of the config to lock.", required=True)
    reason: str = given("Why, for everybody who is refused.", required=True)
    for_: str = given("How long, such as `2h`; empty: until somebody unlocks it.")
    config: str = config_input()
    working_directory: str = directory_input()
    token: str = token_input()


@dataclass(frozen=True)
class Unlock:
    """End the lock of an environment, whoever holds it, and say who did."""

    environment: str = given("Environment of the config to unlock.", required=True)
    reason: str = given("Why, for the record.", longest=1000)
    force: str = given("Also end a lock that a run holds; the run stops.", "false", choices=("false", "true"))
    config: str = config_input()
    working_directory: str = directory_input()
    token: str = token_input()


@dataclass(frozen=True)
class Command:
    """A command that the contract describes.

    Attributes:
        name: as typed and as the action's folder is named.
        inputs: the dataclass of its inputs.
        outputs: what it gives besides COMMON_OUTPUTS.
        permissions: of its token; none for a command that does not ask GitHub.
        action: folder of its action.yml in the checkout; empty: command line only.
    """

    name: str
    inputs: type
    outputs: tuple[Output, ...] = ()
    action: str = ""
    permissions: tuple[Permission, ...] = ()

    @property
    def help(self) -> str:
        """One sentence for users: the first line of the dataclass' docstring."""
        return (self.inputs.__doc__ or "").strip().splitlines()[0]


RELEASE_OUTPUTS = (
    Output("release", "Id of the release that now runs in the environment."),
    Output("deployment", "Id of the deployment on GitHub."),
    Output("verdict", "`stable`, `failed`, `inconclusive` or `rolled-back`."),
)

COMMANDS = {
    command.name: command
    for command in (
        Command(
            "setup-env",
            SetupEnv,
            (
                Output("database-url", "URL of the PostgreSQL that was started, if any; masked.", secret=True),
                Output("redis-url", "URL of the Redis that was started, if any; masked.", secret=True),
                Output("amqp-url", "URL of the RabbitMQ that was started, if any; masked.", secret=True),
                Output("python", "Path of the interpreter that has the project's dependencies."),
            ),
            "actions/setup-env",
        ),
        Command(
            "run-suite",
            RunSuite,
            (
                Output("tests", "Number of tests that ran."),
                Output("failed", "Number of tests that failed."),
                Output("coverage", "Line coverage in percent, if it was measured."),
                Output("findings", "Findings that block, where the suite has scanners."),
                Output("junit", "Path of the JUnit report."),
                Output("sarif", "Path of all findings as SARIF, such as for github/codeql-action/upload-sarif."),
                Output("plan", "With `plan: true`: the plan, to be handed to all jobs of the run."),
                Output(
                    "matrix",
                    "With `plan: true`: the jobs, a JSON list of `suite`, `shard`, `part`, and `depth` for checkout.",
                ),
                Output("part", "With a plan: folder of what this job leaves for the verdict."),
                Output(
                    "report",
                    "With `parts`: folder with report.html, junit.xml, and coverage.lcov where it is measured.",
                ),
                Output("handover", "With `publish`: folder that another run publishes; empty: it is published."),
            ),
            "actions/run-suite",
            (CHECK_RUN, COMMENT, LEFT),
        ),
        Command(
            "promote",
            Promote,
            RELEASE_OUTPUTS,
            "actions/promote",
            (LOCK, LEDGER, APPROVALS, CHECKS, ATTESTED, PACKAGES),
        ),
        Command(
            "approve",
            Approve,
            RELEASE_OUTPUTS,
            permissions=(LOCK, LEDGER, APPROVALS, CHECKS, ATTESTED, PACKAGES, ISSUES),
        ),
        Command("rollback", Rollback, RELEASE_OUTPUTS, "actions/rollback", (LOCK, LEDGER, APPROVALS)),
        Command("recover", Recover, permissions=(LOCK, LEDGER)),
        Command("doctor", Doctor, permissions=(READ_LOCK, READ_LEDGER, APPROVALS, CHECKS, PACKAGES)),
        Command("build", Build, (Output("image", "The image by digest: the bare `sha256:…`."),)),
        Command(
            "plan",
            Plan,
            (Output("plan", "The plan's hash, which binds the approval to what was approved."),),
            permissions=(READ_LOCK, READ_LEDGER, APPROVALS, CHECKS, PACKAGES),
        ),
        Command("status", Status, permissions=(READ_LOCK, READ_LEDGER)),
        Command("dora", Dora, permissions=(READ_LEDGER,)),
        Command("init", Init, (Output("files", "Paths of the files that were written, with spaces between."),)),
        Command("parity", Parity, (Output("differences", "In how many settings, secret ones left out, they differ."),)),
        Command("lock", Lock, permissions=(LOCK, READ_LEDGER)),
        Command("unlock", Unlock, permissions=(LOCK, READ_LEDGER)),
    )
}


def root_inputs() -> type:
    """The root action's inputs: the command, and every input of every command; each command reads its own."""
    entries: dict[str, Any] = {
        "command": given("The command to run.", required=True, choices=tuple(COMMANDS)),
    }
    helps: dict[str, dict[str, str]] = {}
    for command in COMMANDS.values():
        for entry in fields(command.inputs):
            helps.setdefault(entry.name, {})[command.name] = entry.metadata["help"]
            metadata = {**entry.metadata, "required": False, "help": by_command(helps[entry.name])}
            default = "" if entry.default == TOKEN else entry.default  # only some commands get it: see generate.value
            entries[entry.name] = field(default=default, repr=entry.repr, metadata=metadata)
    made = make_dataclass("Root", [(name, str, entry) for name, entry in entries.items()], frozen=True)
    made.__doc__ = "Run any cicd command."
    return made


def root_outputs() -> tuple[Output, ...]:
    """Every output of every command, each once."""
    found: dict[str, dict[str, Output]] = {}
    for command in COMMANDS.values():
        for output in command.outputs:
            found.setdefault(output.name, {})[command.name] = output
    return tuple(
        Output(
            name,
            by_command({command: one.help for command, one in each.items()}),
            any(one.secret for one in each.values()),
        )
        for name, each in found.items()
    )


def by_command(helps: Mapping[str, str]) -> str:
    """What an input or output is, where it is not the same for all commands. `helps`: command → sentence."""
    said: dict[str, list[str]] = {}
    for command, help in helps.items():
        said.setdefault(help, []).append(f"`{command}`")
    if len(said) == 1:
        return next(iter(said))
    return " ".join(f"{', '.join(commands)}: {help}" for help, commands in said.items())


def with_token() -> list[str]:
    """Commands that get the job's token by themselves; the others run what is not ours."""
    return [
        command.name for command in COMMANDS.values() if any(entry.default == TOKEN for entry in fields(command.inputs))
    ]


ROOT = Command("cicd", root_inputs(), root_outputs(), ".")


def input_name(attribute: str) -> str:
    """`working_directory` → `working-directory`, as workflows write it, and `for_` → `for`, a word of Python's own."""
    return attribute.rstrip("_").replace("_", "-")


def environment_name(attribute: str) -> str:
    """The variable that carries an input into a composite's step; INPUT_* is not set there."""
    return f"CICD_INPUT_{attribute.rstrip('_').upper()}"


def input_fields(command: Command) -> list[Any]:
    """The dataclass fields of a command's inputs, in the order of the docs."""
    return list(fields(command.inputs))
