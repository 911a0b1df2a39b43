"""run-suite: run a suite's command, and hold exit code, JUnit report and coverage against each other.

It is green only when all of them say so; what cannot be read is red.
"""

import shlex
import shutil
import tempfile
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path

import msgspec

from cicd.adapters import process, suite_run
from cicd.adapters.config_file import read_text
from cicd.adapters.runner import SUMMARY_LIMIT, Runner
from cicd.adapters.suite_run import Ran, Start
from cicd.adapters.suite_share import Share, measured_against, share_of
from cicd.adapters.together import interruptible
from cicd.commands.suite_fan_in import give_verdict
from cicd.commands.suite_plan import plan_suites
from cicd.contract import RunSuite
from cicd.core.config import Config, Suite, suite_of
from cicd.core.config_rules import parse_config
from cicd.core.flaky import Quarantined
from cicd.core.gates import Coverage, CoverageGate, coverage_policy
from cicd.core.junit import Failure, Report
from cicd.core.performance import Budget, Judged
from cicd.core.pytest_command import (
    Command,
    added_options,
    has_option,
    measured,
    named_report,
    parse_command,
    with_options,
)
from cicd.core.results import Result
from cicd.core.suite import Outcome, counted, judge, success, too_slow
from cicd.core.suite_summary import suite_summary
from cicd.errors import CicdError, ConfigError, ReportInvalid, TestsFailed, UsageError

ERRORS = 9  # GitHub shows 10 errors of a step, and one is the verdict
LISTED = 50  # failures in the `result` output


@dataclass(frozen=True)
class Plan:
    """What is to be run, and what is to come of it.

    Attributes:
        command: as the project has it.
        limit: seconds.
        junit: where a report is expected; None: pytest is told to write one into `scratch`.
        scratch: where a folder for this run's own files is made.
        keeps: whether that folder stays, the report in it: a runner removes it with the job's temp folder.
        share: the part of a plan that is run here; None: all of the suite.
        measures: reports of load or benchmark tools, below `folder`; held against `budget`.
        quarantine: tests that may fail.
    """

    name: str
    command: Command
    folder: Path
    limit: float
    junit: Path | None
    gate: CoverageGate
    scratch: Path
    keeps: bool
    share: Share | None = None
    measures: tuple[str, ...] = ()
    budget: Budget | None = None
    quarantine: tuple[Quarantined, ...] = ()


def main(inputs: RunSuite, runner: Runner) -> Result:
    """Run one suite of tests and say what it showed."""
    with interruptible():
        return run_suite(inputs, runner, process.run)


def run_suite(inputs: RunSuite, runner: Runner, start: Start) -> Result:
    """The same, with what starts programs given.

    Raises:
        UsageError, ConfigError, UnknownSuite: before anything was run. ToolMissing: the command's program is not there.
    """
    config = read_config(inputs)
    if inputs.parts:
        return give_verdict(inputs, config, runner)
    if inputs.plan.strip().lower() == "true":
        return plan_suites(inputs, config, runner)
    plan = decide(inputs, config, runner)
    scratch = plan.share.made() if plan.share else _scratch(plan.scratch)
    try:
        outcome, junit = execute(plan, scratch, runner, start)
        judged = [] if plan.budget is None else measured_against(plan.budget, plan.measures, plan.folder)
        if plan.share:
            return share_report(plan.share, plan.quarantine, outcome, judged, junit, runner)
        return report(plan, outcome, judged, junit, runner)
    finally:
        if not plan.keeps:
            shutil.rmtree(scratch, ignore_errors=True)


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


def decide(inputs: RunSuite, config: Config | None, runner: Runner) -> Plan:
    """What inputs and config ask for, inputs first. Raises UsageError, UnknownSuite."""
    folder = Path(inputs.working_directory)
    if not folder.is_dir():
        raise UsageError(
            f"working-directory: there is no folder `{folder}`", next_step="check the repository out first"
        )
    suite = _suite(inputs, config)
    gate = coverage_policy(
        inputs.coverage, asked=suite.coverage, configured=config.gates.coverage if config is not None else None
    )
    command = parse_command(inputs.run or suite.run, runner.env)
    junit = inputs.junit or suite.junit or named_report(command.options)
    folder, share = folder.resolve(), share_of(inputs, runner)
    if share and gate.wanted:
        gate = msgspec.structs.replace(gate, least=None)  # it is held against the threshold when all parts are there
    return Plan(
        name=inputs.suite or ("tests" if inputs.run else suite.run),
        command=command,
        folder=folder,
        limit=_minutes(inputs.timeout) * 60 if inputs.timeout else suite.timeout,
        junit=folder / junit if junit else None,
        gate=gate,
        scratch=runner.temp,
        keeps=bool(runner.env.get("RUNNER_TEMP")) or share is not None,
        share=share,
        measures=tuple(suite.measures),
        budget=suite.budget,
        quarantine=tuple(config.quarantine) if config else (),
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


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= 60 * 24 * 30:
        raise UsageError(f"`timeout` must be a number of minutes, is `{text[:40]}`", next_step="write `timeout: 30`")
    return minutes


def execute(plan: Plan, scratch: Path, runner: Runner, start: Start) -> tuple[Outcome, Path]:
    """Run the command and read what it leaves: the outcome, and where the report is."""
    inherited = {name: value for name, value in runner.env.items() if not name.startswith("CICD_INPUT_")}
    env = {**inherited, **plan.command.env}
    command, junit = _reporting(plan, scratch, env)
    if plan.share:
        command = plan.share.taking_part(command, env)
    coverage_json, why = scratch / "coverage.json", ""
    python: tuple[str, ...] = ()
    if plan.gate.wanted:
        command, why, python = _measuring(command, coverage_json, plan.folder, env, start)
        if not (plan.command.measures or has_option(plan.command.options, "--cov")):
            env.setdefault("COVERAGE_FILE", str(scratch / ".coverage"))  # we began it: not into the project
    runner.say(f"$ {plan.command.text}")
    before = suite_run.state(junit)
    with runner.verbatim():
        ran = suite_run.run_command(command, start, env, plan.folder, plan.limit, runner.say)
    if ran.left:
        runner.say(f"Ended what the command had left running: {ran.left} {'process' if ran.left == 1 else 'processes'}")
    found: Coverage | str = why or "the command was ended before its end"
    if plan.gate.wanted and not why and not (ran.timed_out or ran.interrupted):
        found = suite_run.coverage_of(coverage_json, command, python, start, env, plan.folder)
    return _outcome(plan, ran, suite_run.report_of(junit, before, plan.folder), found), junit


def _scratch(below: Path) -> Path:
    """A folder for this run's own files. Raises UsageError."""
    try:
        below.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="cicd-suite-", dir=below))
    except OSError as error:
        raise UsageError(
            f"The job's temp folder cannot be used: {error}", next_step="set RUNNER_TEMP to a folder of your own"
        ) from error


def _reporting(plan: Plan, scratch: Path, env: dict[str, str]) -> tuple[Command, Path]:
    """The command such that it writes a JUnit report, and where."""
    junit = plan.junit or scratch / "junit.xml"
    if plan.command.pytest is None:
        if plan.junit is None:  # such as `make test`, which may come to pytest
            env["PYTEST_ADDOPTS"] = f"{env.get('PYTEST_ADDOPTS', '')} {shlex.quote(f'--junitxml={junit}')}".strip()
        return plan.command, junit
    if named := named_report(plan.command.options):
        return plan.command, plan.folder / named
    return with_options(plan.command, [f"--junitxml={junit}"]), junit


def _measuring(
    command: Command, coverage_json: Path, folder: Path, env: dict[str, str], start: Start
) -> tuple[Command, str, tuple[str, ...]]:
    """The command such that it is measured, or why it cannot be; and its interpreter."""
    python = suite_run.interpreter(command, env)
    needed = command.pytest is not None and not command.measures
    has = suite_run.modules(python, start, env, folder) if needed else []
    addopts = [*added_options(suite_run.settings(folder)), *shlex.split(env.get("PYTEST_ADDOPTS", ""))]
    better = measured(command, str(coverage_json), python, has, addopts)
    return (command, better, python) if isinstance(better, str) else (better, "", python)


def _outcome(plan: Plan, ran: Ran, report: Report | ReportInvalid, found: Coverage | str) -> Outcome:
    gate = plan.gate
    if gate.wanted:
        measured_or_not = {"why": found} if isinstance(found, str) else {"found": found}
        gate = msgspec.structs.replace(gate, **measured_or_not)
    return Outcome(
        suite=plan.share.name if plan.share else plan.name,
        command=plan.command.text,
        code=ran.code,
        seconds=ran.seconds,
        limit=plan.limit,
        is_pytest=plan.command.pytest is not None,
        report=report,
        coverage=gate,
        timed_out=ran.timed_out,
        interrupted=ran.interrupted,
    )


def report(plan: Plan, outcome: Outcome, judged: list[Judged], junit: Path, runner: Runner) -> Result:
    """Annotations now; outputs, summary and exit code as a value."""
    error, seen = judge(outcome) or too_slow(plan.name, judged), outcome.seen
    left = annotate(seen.failures, plan.folder, runner)
    message = success(outcome) if error is None else str(error)
    if error is not None and (more := seen.failed - left):
        message += f" {counted(more, 'failed test')} more than the {left} that are annotated: see the summary."
    gate = outcome.coverage
    return Result(
        decision="done" if error is None else "failed",
        reason_code="ok" if error is None else error.reason,
        message=message,
        outputs={
            "tests": str(seen.ran),
            "failed": str(seen.failed),
            "coverage": gate.found.shown if gate.found else "",
            "junit": str(junit) if isfile(junit) and (plan.keeps or plan.junit) else "",
        },
        data=_data(outcome, error),
        summary=suite_summary(outcome, error, SUMMARY_LIMIT),
        exit_code=0 if error is None else error.code,
    )


def share_report(
    share: Share,
    quarantine: tuple[Quarantined, ...],
    outcome: Outcome,
    judged: list[Judged],
    junit: Path,
    runner: Runner,
) -> Result:
    """The same for a part of a plan, which is left for the verdict; thresholds are that one's matter."""
    part = share.leave(outcome, judged, runner.sha)
    error = None if part.empty else judge(outcome) or too_slow(share.name, judged)
    if isinstance(error, TestsFailed) and share.all_excused(quarantine):
        runner.annotate("warning", f"{error} All of them are in quarantine.", title="cicd")
        error = None
    annotate(outcome.seen.failures, share.project, runner)
    empty = f"{share.name}: no test of the suite falls to this shard."
    message = str(error) if error else empty if part.empty else success(outcome)
    return Result(
        decision="done" if error is None else "failed",
        reason_code="ok" if error is None else error.reason,
        message=message,
        outputs={
            "tests": str(outcome.seen.ran),
            "failed": str(outcome.seen.failed),
            "junit": str(junit) if isfile(junit) else "",
            "part": str(share.folder),
        },
        data={**_data(outcome, error), "shard": share.shard, "shards": share.plan.assignment.shards},
        summary="" if part.empty else suite_summary(outcome, error, SUMMARY_LIMIT),
        exit_code=0 if error is None else error.code,
    )


def annotate(failures: tuple[Failure, ...], folder: Path, runner: Runner) -> int:
    """Annotate failures on their lines; gives how many."""
    chosen = annotated(failures)
    for failure in chosen:
        file = _from_workspace(failure.file, folder, runner)
        runner.annotate("error", failure.message, file=file, line=failure.line, title=failure.test)
    return len(chosen)


def annotated(failures: tuple[Failure, ...]) -> list[Failure]:
    """The failures to annotate: the first of each file, then others, as far as GitHub shows them."""
    first = list({failure.file: failure for failure in reversed(failures)}.values())[::-1]
    chosen = first[:ERRORS]
    chosen += [failure for failure in failures if failure not in chosen][: ERRORS - len(chosen)]
    return chosen


def _from_workspace(file: str, folder: Path, runner: Runner) -> str:
    """The file as GitHub wants it: from the repository's root on. Empty if it is not there."""
    if not isfile(folder / file):  # unlike Path.is_file() it takes any text, however long
        return ""
    path = (folder / file).resolve()
    root = Path(runner.env.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else file


def _data(outcome: Outcome, error: CicdError | None) -> dict[str, object]:
    seen, gate = outcome.seen, outcome.coverage
    found = gate.found
    return {
        "suite": outcome.suite,
        "command": outcome.command,
        "command_exit_code": outcome.code,
        "seconds": round(outcome.seconds, 3),
        "tests": seen.ran,
        "passed": seen.passed,
        "failed": seen.failed,
        "skipped": seen.skipped,
        "flaky": seen.flaky,
        "coverage": {
            "kind": "line",
            "covered": found.covered if found else None,
            "statements": found.statements if found else None,
            "least": gate.least,
            "passed": gate.passed,
        }
        if gate.wanted
        else None,
        "failures": [
            {"test": each.test, "file": each.file, "line": each.line, "message": each.message[:300]}
            for each in seen.failures[:LISTED]
        ],
        "slowest": [{"test": each.test, "seconds": each.seconds} for each in seen.slowest],
        "cause": error.cause if error else "",
        "next_step": error.next_step if error else "",
    }
