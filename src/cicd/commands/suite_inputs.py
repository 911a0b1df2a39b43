"""run-suite's inputs and the config, read: what is to be run. Inputs come first."""

from pathlib import Path

import msgspec

from cicd.adapters.config_file import read_text
from cicd.adapters.cpus import read_cpus
from cicd.adapters.runner import Runner
from cicd.contract import RunSuite
from cicd.core.config import Config, Suite, suite_of
from cicd.core.config_rules import parse_config
from cicd.core.coverage_gates import with_policy
from cicd.core.gates import coverage_policy
from cicd.core.pytest_command import Command, named_report, parse_command
from cicd.core.suite_plan import read_plan, shard_of
from cicd.core.suite_run import ShardRun, SuiteRun
from cicd.core.workers import MOST, choose_workers, explain
from cicd.errors import ConfigError, UsageError


def read_config(inputs: RunSuite) -> Config | None:
    """The config; None where inputs alone say what to run. Raises ConfigError."""
    path = Path(inputs.working_directory) / inputs.config
    if inputs.run and not inputs.suite:
        return None
    try:
        return parse_config(read_text(path), str(path))
    except (FileNotFoundError, NotADirectoryError):
        if inputs.run:
            return None
        raise ConfigError(
            f"There is no {path}",
            cause="neither a config nor the input `run` says what to run",
            next_step="write for example `run: pytest -q`, or add the file (docs/tutorial.md shows how)",
        ) from None


def read_run(inputs: RunSuite, config: Config | None, runner: Runner) -> SuiteRun:
    """What inputs and config ask for. Raises UsageError, UnknownSuite."""
    folder = Path(inputs.working_directory)
    if not folder.is_dir():
        raise UsageError(
            f"working-directory: there is no folder `{folder}`", next_step="check the repository out first"
        )
    folder, suite, shard = folder.resolve(), _suite(inputs, config), _shard(inputs, runner)
    text = inputs.run or suite.run
    command = parse_command(text, runner.env) if text or suite.security is None else Command(text="", argv=())
    junit = inputs.junit or suite.junit or named_report(command.options)
    coverage = coverage_policy(
        inputs.coverage, asked=suite.coverage, configured=config.gates.coverage if config is not None else None
    )
    if config is not None and shard is None:
        coverage = with_policy(coverage, config.gates)
    if shard and coverage.wanted:  # it is held against the threshold when all shards are there
        coverage = msgspec.structs.replace(coverage, least=None)
    return SuiteRun(
        suite=inputs.suite or ("tests" if inputs.run else suite.run),
        command=command,
        folder=folder,
        limit=_minutes(inputs.timeout) * 60 if inputs.timeout else suite.timeout,
        junit=folder / junit if junit else None,
        coverage=coverage,
        temp=runner.temp,
        keeps=bool(runner.env.get("RUNNER_TEMP")) or shard is not None,
        shard=shard,
        measures=tuple(suite.measures),
        budget=suite.budget,
        quarantine=tuple(config.quarantine) if config else (),
        history=Path(inputs.history) if inputs.history else None,
        workers=_workers(inputs.workers or str(suite.workers), runner),
        security=suite.security,
        requirements=tuple(config.requirements) if config else (),
    )


def _suite(inputs: RunSuite, config: Config | None) -> Suite:
    if config is None or (inputs.run and inputs.suite not in config.suites):
        return Suite(run=inputs.run)
    if not inputs.suite:
        names = ", ".join(config.suites) or "none"
        raise UsageError(
            "It is not said which suite to run", cause=f"the config has {names}", next_step="give one as `suite`"
        )
    return suite_of(config, inputs.suite)


def _shard(inputs: RunSuite, runner: Runner) -> ShardRun | None:
    if not inputs.plan:
        if inputs.shard:
            raise UsageError("`shard` needs a plan", next_step="make one with `plan: true`, and hand it on as `plan`")
        return None
    plan = read_plan(inputs.plan).of(inputs.suite)
    number, shards = shard_of(inputs.shard or "1/1")
    if shards != plan.assignment.shards:
        raise UsageError(
            f"`shard` is {number}/{shards}, and the plan has {plan.assignment.shards} for `{plan.suite}`",
            next_step="take it from the plan's own `matrix`",
        )
    attempt = runner.env.get("GITHUB_RUN_ATTEMPT", "1")
    return ShardRun(
        plan=plan,
        number=number,
        attempt=int(attempt) if attempt.isdecimal() else 1,
        folder=runner.temp / f"cicd-part-{plan.suite}-{number}",
    )


def _workers(text: str, runner: Runner) -> int:
    if text.strip() == "auto":
        cpus = read_cpus()
        workers = choose_workers(cpus)
        runner.say(explain(cpus, workers))
        return workers
    if not (text.strip().isdecimal() and 1 <= int(text) <= MOST):
        raise UsageError(
            f"`workers` must be `auto` or a number from 1 to {MOST}, is `{text[:40]}`",
            next_step="write `workers: auto`",
        )
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= 60 * 24 * 30:
        raise UsageError(f"`timeout` must be a number of minutes, is `{text[:40]}`", next_step="write `timeout: 30`")
    return minutes
