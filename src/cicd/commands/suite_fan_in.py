"""run-suite with `parts`: one verdict over all suites and shards of a plan; and what later runs learn of it."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cicd.adapters.failure_annotations import from_workspace
from cicd.adapters.gate_annotations import annotate_gates
from cicd.adapters.runner import SUMMARY_LIMIT, Runner
from cicd.adapters.suite_history import load, save
from cicd.adapters.suite_parts import Left, read_parts
from cicd.commands.suite_comparison import against_base
from cicd.commands.suite_reports import directory_of, told
from cicd.commands.suite_security import gate_of
from cicd.contract import RunSuite
from cicd.core.config import Config, Suite
from cicd.core.coverage_gates import with_policy
from cicd.core.covered_lines import together
from cicd.core.findings import Scan
from cicd.core.gates import CoverageGate
from cicd.core.history import READS_ONLY, History, learned
from cicd.core.pytest_command import Command, named_report, parse_command
from cicd.core.results import Result
from cicd.core.security_gate import SecurityGate
from cicd.core.security_summary import annotations
from cicd.core.suite_plan import RunPlan, SuitePlan, read_plan
from cicd.core.suite_run import runs_tests
from cicd.core.suite_verdict import SuiteVerdict, verdict_of
from cicd.core.verdict_report import MOST_MARKS, Mark
from cicd.core.verdict_summary import verdict_summary
from cicd.core.verdict_told import report_of
from cicd.core.words import counted
from cicd.errors import SuiteIncomplete, UsageError

LISTED = 50  # measures of a suite in the `result` output


def give_verdict(inputs: RunSuite, config: Config | None, runner: Runner) -> Result:
    """read → decide → learn → report.

    Raises:
        UsageError: there is no plan, or no config.
    """
    if not inputs.plan or config is None:
        raise UsageError(
            "`parts` needs the plan and the config", next_step="hand on the output `plan` of the plan's step"
        )
    plan, asked = read_plan(inputs.plan), inputs.suite.translate(str.maketrans('[]",', "    ")).split()
    _check_plan(plan, asked, config)
    left, wrong = read_parts(Path(inputs.parts))
    for sentence in wrong:
        runner.annotate("warning", sentence, title="cicd")
    history, damaged = load(Path(inputs.history) if inputs.history else None)
    if damaged:
        runner.annotate("warning", damaged, title="cicd")
    verdicts = [_verdict(inputs, config, one, left, plan.sha, history, runner) for one in plan.suites]
    if inputs.history and runner.env.get("GITHUB_EVENT_NAME", "") not in READS_ONLY:
        try:
            save(Path(inputs.history), _learned(history, plan.suites, verdicts, runner))
        except UsageError as error:  # the verdict stands without it
            runner.annotate("warning", str(error), title="cicd")
    result = report(verdicts, history)
    outputs = told(
        report_of(
            verdicts,
            history,
            asked,
            directory_of(inputs, runner),
            _marks(verdicts, inputs, runner),
            inputs.variant,
        ),
        [one for suite in plan.suites for one in left.junits(suite)],
        together(lines for suite in plan.suites for lines in left.lines(suite)[0].values()),
        inputs,
        runner,
    )
    return msgspec.structs.replace(result, outputs={**result.outputs, **outputs})


def _check_plan(plan: RunPlan, asked: Sequence[str], config: Config) -> None:
    """See that the plan has what is asked for, and any suite if the config has some. Raises SuiteIncomplete."""
    planned = {one.suite for one in plan.suites}
    wanted = asked or (list(config.suites) if not planned else [])
    if lacking := [name for name in wanted if name not in planned]:
        raise SuiteIncomplete(
            f"The plan leaves out {', '.join(lacking[:5])}",
            cause="it was made for other suites, or by another config",
            next_step="make the plan and the verdict with the same `suite`",
        )


def _verdict(
    inputs: RunSuite, config: Config, plan: SuitePlan, left: Left, sha: str, history: History, runner: Runner
) -> SuiteVerdict:
    suite = config.suites.get(plan.suite)
    gate = CoverageGate(wanted=True, least=config.gates.coverage) if suite and suite.coverage else CoverageGate()
    gate = with_policy(gate, config.gates)
    lines, wrong = left.lines(plan)
    if wrong:
        gate = msgspec.structs.replace(gate, why=wrong[0])
    files = {file for one in lines.values() for file in one}
    before = history.of(plan.suite).figures.coverage
    against = against_base(
        CoverageGate() if plan.proof else gate, files, Path(inputs.working_directory), before, runner
    )
    today = datetime.now(UTC).date()
    verdict = verdict_of(
        plan,
        left.parts,
        left.receipts_of(sha),
        lines,
        gate,
        config.quarantine,
        today,
        sha,
        against,
        tested=suite is None or _runs_tests(suite, runner),
        is_pytest=suite is not None and _command(suite, runner).pytest is not None,
        security=_security(suite, plan, left),
    )
    if verdict.outcome:
        annotate_gates(verdict.outcome, Path(inputs.working_directory), runner)
    return verdict


def _runs_tests(suite: Suite, runner: Runner) -> bool:
    """By the config of this checkout: what a part says of itself could take its failed tests out."""
    command = _command(suite, runner)
    return runs_tests(command, bool(suite.junit or named_report(command.options)), suite.security)


def _command(suite: Suite, runner: Runner) -> Command:
    return parse_command(suite.run, runner.env) if suite.run else Command(text="", argv=())


def _security(suite: Suite | None, plan: SuitePlan, left: Left) -> SecurityGate | None:
    if suite is None or suite.security is None or plan.proof:
        return None
    scans = left.scans(plan)
    if isinstance(scans, str):
        scans = [Scan(tool="scanners", source=plan.suite, unfinished=scans)]
    return gate_of(suite.security, scans)


def _marks(verdicts: Sequence[SuiteVerdict], inputs: RunSuite, runner: Runner) -> list[Mark]:
    """The findings of all suites on their lines."""
    folder = Path(inputs.working_directory)
    found = [
        one
        for verdict in verdicts
        if verdict.outcome and verdict.outcome.security
        for one in annotations(verdict.outcome.security, MOST_MARKS)
    ]
    named = [(one, from_workspace(one.file, folder, runner)) for one in found]
    return [
        Mark(
            path=path[:1000],
            line=max(1, one.line),
            level="failure" if one.level == "error" else "warning",
            title=one.title[:1000],
            message=one.message,
        )
        for one, path in named
        if path
    ]


def _learned(history: History, plans: Sequence[SuitePlan], verdicts: Sequence[SuiteVerdict], runner: Runner) -> History:
    run = runner.run_url or runner.run_id or "a run on this machine"
    for plan, verdict in zip(plans, verdicts, strict=True):
        history = learned(history, verdict, plan.inputs, run, runner.sha, time.time())
    return history


def report(verdicts: Sequence[SuiteVerdict], history: History) -> Result:
    """The verdict as a value."""
    red = [one for one in verdicts if one.error]
    first = red[0].error if red else None
    ran = sum(one.outcome.seen.ran for one in verdicts if one.outcome)
    failed = sum(one.outcome.seen.failed for one in verdicts if one.outcome)
    proven = sum(bool(one.proof) for one in verdicts)
    told = [f"{counted(len(verdicts), 'suite')}, {counted(ran, 'test')}"]
    told += [f"{proven} proven before"] if proven else []
    message = "; ".join(str(one.error) for one in red) if red else f"All green: {', '.join(told)}."
    return Result(
        decision="failed" if first else "done",
        reason_code=first.reason if first else "ok",
        message=message,
        outputs={"tests": str(ran), "failed": str(failed)},
        data={"suites": [_data(one) for one in verdicts]},
        summary=verdict_summary(verdicts, history, SUMMARY_LIMIT - 8192),
        exit_code=first.code if first else 0,
    )


def _data(one: SuiteVerdict) -> dict[str, object]:
    outcome, found = one.outcome, one.outcome.coverage.found if one.outcome else None
    return {
        "suite": one.suite,
        "green": one.error is None,
        "reason_code": one.error.reason if one.error else "ok",
        "message": str(one.error) if one.error else "",
        "proof": one.proof,
        "tests": outcome.seen.ran if outcome else 0,
        "failed": outcome.seen.failed if outcome else 0,
        "seconds": round(one.seconds, 3),
        "work": round(one.work, 3),
        "shards": {str(shard): round(seconds, 3) for shard, seconds in one.shards.items()},
        "coverage": found.shown if found else "",
        "flaky": one.flaky[:50],
        "quarantined": sorted(one.sorted.excused)[:50] if one.sorted else [],
        "complete": one.whole is not None,
        "said": one.said,
        "gate": msgspec.to_builtins(msgspec.structs.replace(outcome.coverage, missing={})) if outcome else None,
        "measures": msgspec.to_builtins(outcome.judged[:LISTED]) if outcome else [],
    }
