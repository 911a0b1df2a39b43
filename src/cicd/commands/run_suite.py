"""run-suite: run a suite's command, and hold exit code, JUnit report and gates against each other.

It is green only when all of them say so; what cannot be read is red.
"""

import errno
import shlex
import shutil
import time
from datetime import UTC, datetime
from os.path import isfile
from pathlib import Path

import msgspec

from cicd.adapters import process, suite_run
from cicd.adapters.failure_annotations import annotate_failures
from cicd.adapters.gate_annotations import annotate_gates
from cicd.adapters.measures import measured_against, report_states
from cicd.adapters.runner import SUMMARY_LIMIT, Runner
from cicd.adapters.shard_folder import COVERAGE, SARIF, leave, make_folder, receipt_of, taking_part
from cicd.adapters.suite_run import Start
from cicd.adapters.together import interruptible
from cicd.commands.suite_comparison import compare_with_base, hold_coverage, learn_figures
from cicd.commands.suite_fan_in import give_verdict
from cicd.commands.suite_inputs import read_config, read_run
from cicd.commands.suite_plan import plan_suites
from cicd.commands.suite_publish import publish_run
from cicd.commands.suite_security import scanned
from cicd.contract import RunSuite
from cicd.core.gates import Coverage, CoverageGate
from cicd.core.junit import Report
from cicd.core.part import part_of
from cicd.core.pytest_command import (
    Command,
    added_options,
    has_option,
    in_parallel,
    measured,
    named_report,
    with_options,
)
from cicd.core.results import Result
from cicd.core.suite import Outcome, judge, judge_gates
from cicd.core.suite_result import suite_result
from cicd.core.suite_run import SuiteRun
from cicd.core.suite_verdict import excused_alone
from cicd.errors import ReportInvalid, TestsFailed

OURS = ("CICD_INPUT_", "GITHUB_OUTPUT", "GITHUB_STATE")  # variables: an action's outputs are not its tests' to write
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def main(inputs: RunSuite, runner: Runner) -> Result:
    """Run one suite of tests and say what it showed."""
    with interruptible():
        return run_suite(inputs, runner, process.run)


def run_suite(inputs: RunSuite, runner: Runner, start: Start) -> Result:
    """The same, with what starts programs given.

    Raises:
        UsageError, ConfigError, UnknownSuite: before anything was run. ToolMissing: the command's program is not there.
    """
    if inputs.publish.strip().lower() not in ("", "true", "false"):
        return publish_run(inputs, runner)
    config = read_config(inputs)
    if inputs.parts:
        return give_verdict(inputs, config, runner)
    if inputs.plan.strip().lower() == "true":
        return plan_suites(inputs, config, runner)
    run = read_run(inputs, config, runner)
    scratch = make_folder(run)
    try:
        outcome, junit = execute(run, scratch, runner, start)
        return report(run, outcome, scratch, junit, runner)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise ReportInvalid(
            f"What the suite has shown cannot be written: {error}",
            cause="the disk of the job's temp folder is full",
            next_step=f"make room, or set RUNNER_TEMP to another folder than {run.temp}",
        ) from error
    finally:
        if not run.keeps:
            shutil.rmtree(scratch, ignore_errors=True)


def execute(run: SuiteRun, scratch: Path, runner: Runner, start: Start) -> tuple[Outcome, Path]:
    """Run the command and its scanners, and read what they leave: the outcome, and where the report is."""
    inherited = {name: value for name, value in runner.env.items() if not name.startswith(OURS)}
    env, began = {**inherited, **run.command.env}, time.time()
    before = report_states([*run.measures, *(run.security.findings if run.security else ())], run.folder)
    command, junit = _reporting(run, scratch, env)
    if not command.argv:
        return scanned(run, _nothing_run(run), scratch, began, before, runner, start), junit
    outcome = _run(run, command, junit, scratch, env, runner, start)
    if run.budget:
        judged = measured_against(run.budget, run.measures, run.folder, began, before)
        outcome = msgspec.structs.replace(outcome, judged=tuple(judged))
    if run.shard is None:
        outcome = hold_coverage(run, outcome, scratch / COVERAGE, runner)
    compared = compare_with_base(run, outcome, runner, start)
    outcome = msgspec.structs.replace(outcome, judged=(*outcome.judged, *compared))
    return scanned(run, outcome, scratch, began, before, runner, start), junit


def _run(
    run: SuiteRun, command: Command, junit: Path, scratch: Path, env: dict[str, str], runner: Runner, start: Start
) -> Outcome:
    """The command, in its shard, with its workers, measured; and what its tests and its coverage showed."""
    if run.shard:
        command = taking_part(run.shard, command, env)
    coverage_json, why = scratch / COVERAGE, ""
    python = suite_run.interpreter(command, env)
    if run.workers > 1:
        command = _in_parallel(run, command, python, env, runner, start)
    if run.coverage.wanted:
        command, why = _measuring(command, coverage_json, python, run.folder, env, start)
        if not (run.command.measures or has_option(run.command.options, "--cov")):
            env.setdefault("COVERAGE_FILE", str(scratch / ".coverage"))  # we began it: not into the project
    runner.say(f"$ {run.command.text}")
    before, began = suite_run.state(junit), time.time()
    with runner.verbatim():
        ran = suite_run.run_command(command, start, env, run.folder, run.limit, runner.say)
    if ran.left:
        runner.say(f"Ended what the command had left running: {ran.left} {'process' if ran.left == 1 else 'processes'}")
    found: Coverage | str = why or "the command was ended before its end"
    if run.coverage.wanted and not why and not (ran.timed_out or ran.interrupted):
        found = suite_run.coverage_of(coverage_json, command, python, start, env, run.folder)
    return Outcome(
        suite=run.name,
        command=run.command.text,
        code=ran.code,
        seconds=ran.seconds,
        limit=run.limit,
        is_pytest=run.command.pytest is not None,
        report=suite_run.report_of(junit, before, began, run.folder) if run.tested else Report(),
        tested=run.tested,
        coverage=_held(run.coverage, found),
        timed_out=ran.timed_out,
        interrupted=ran.interrupted,
        stopped=ran.stopped,
    )


def _nothing_run(run: SuiteRun) -> Outcome:
    """The outcome of a suite that has scanners and no command."""
    return Outcome(
        suite=run.name, command="", code=0, seconds=0, limit=run.limit, is_pytest=False, report=Report(), tested=False
    )


def _reporting(run: SuiteRun, scratch: Path, env: dict[str, str]) -> tuple[Command, Path]:
    """The command such that it writes a JUnit report, and where."""
    junit = run.junit or scratch / "junit.xml"
    if run.command.pytest is None:
        if run.junit is None:  # such as `make test`, which may come to pytest
            env["PYTEST_ADDOPTS"] = f"{env.get('PYTEST_ADDOPTS', '')} {shlex.quote(f'--junitxml={junit}')}".strip()
        return run.command, junit
    if named := named_report(run.command.options):
        return run.command, run.folder / named
    return with_options(run.command, [f"--junitxml={junit}"]), junit


def _in_parallel(
    run: SuiteRun, command: Command, python: tuple[str, ...], env: dict[str, str], runner: Runner, start: Start
) -> Command:
    """The command with workers, where that can be; else it is said why not."""
    has = suite_run.modules(python, start, env, run.folder) if command.pytest is not None else []
    better = in_parallel(command, run.workers, has, _addopts(run.folder, env))
    if run.coverage.wanted and "pytest_cov" not in has:
        better = "without pytest-cov in its environment what workers run is not measured"
    if isinstance(better, str):
        runner.annotate("warning", f"{run.name} runs without workers: {better}.", title="cicd")
        return command
    return better


def _measuring(
    command: Command, coverage_json: Path, python: tuple[str, ...], folder: Path, env: dict[str, str], start: Start
) -> tuple[Command, str]:
    """The command such that it is measured, or why it cannot be."""
    needed = command.pytest is not None and not command.measures
    has = suite_run.modules(python, start, env, folder) if needed else []
    better = measured(command, str(coverage_json), python, has, _addopts(folder, env))
    return (command, better) if isinstance(better, str) else (better, "")


def _addopts(folder: Path, env: dict[str, str]) -> list[str]:
    return [*added_options(suite_run.settings(folder)), *shlex.split(env.get("PYTEST_ADDOPTS", ""))]


def _held(gate: CoverageGate, found: Coverage | str) -> CoverageGate:
    if not gate.wanted:
        return gate
    seen = {"why": found} if isinstance(found, str) else {"found": found}
    return msgspec.structs.replace(gate, **seen)


def report(run: SuiteRun, outcome: Outcome, scratch: Path, junit: Path, runner: Runner) -> Result:
    """Annotations and what is left for the verdict now; outputs, summary and exit code as a value."""
    part, error = None, judge(outcome)
    if run.shard:
        receipt = receipt_of(run.shard)
        part = part_of(run.shard, outcome, receipt, runner.sha)
        if part.empty:
            error = None
        elif isinstance(error, TestsFailed) and excused_alone(part, receipt, run.quarantine, datetime.now(UTC).date()):
            runner.annotate("warning", f"{error} All of them are in quarantine.", title="cicd")
            error = judge_gates(outcome)
        try:
            leave(run.shard, part, junit)
        except ReportInvalid as unwritten:
            error = error or unwritten
    if error is None and run.shard is None:
        learn_figures(run, outcome, runner)
    annotate_gates(outcome, run.folder, runner)
    annotated = annotate_failures(outcome.seen.failures, run.folder, runner)
    kept = isfile(junit) and bool(run.keeps or run.junit)
    return suite_result(
        run,
        outcome,
        error,
        part=part,
        annotated=annotated,
        junit=str(junit) if kept else "",
        sarif=str(scratch / SARIF) if run.keeps and outcome.security else "",
        budget=SUMMARY_LIMIT,
    )
