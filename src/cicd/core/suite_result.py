"""A run of a suite, or of one shard of it, as the answer of run-suite."""

from typing import Any

from cicd.core.part import Part
from cicd.core.results import Result
from cicd.core.suite import Outcome, success
from cicd.core.suite_run import SuiteRun
from cicd.core.suite_summary import suite_summary
from cicd.core.words import counted
from cicd.errors import CicdError

LISTED = 50  # failures, and measures, in the `result` output


def suite_result(
    run: SuiteRun,
    outcome: Outcome,
    error: CicdError | None,
    *,
    part: Part | None,
    annotated: int,
    junit: str,
    sarif: str = "",
    budget: int,
) -> Result:
    """The answer.

    Args:
        error: why it is red; None: it is green.
        part: what is handed on to the verdict; None: there is no plan.
        annotated: failures that are annotated on their lines.
        junit: path of the report; empty: there is none. The same for `sarif`.
        budget: bytes of the summary.
    """
    seen, gate = outcome.seen, outcome.coverage
    empty = part is not None and part.empty
    found = str(len(outcome.security.blocking)) if outcome.security else ""
    outputs = {"tests": str(seen.ran), "failed": str(seen.failed), "findings": found, "junit": junit, "sarif": sarif}
    data = _data(outcome, error)
    if run.shard:
        outputs["part"] = str(run.shard.folder)
        data |= {"shard": run.shard.number, "shards": run.shard.plan.assignment.shards}
    else:
        outputs["coverage"] = gate.found.shown if gate.found else ""
    return Result(
        decision="done" if error is None else "failed",
        reason_code="ok" if error is None else error.reason,
        message=f"{run.name}: no test of the suite falls to this shard."
        if empty
        else _message(outcome, error, annotated),
        outputs=outputs,
        data=data,
        summary="" if empty else suite_summary(outcome, error, budget),
        exit_code=0 if error is None else error.code,
    )


def _message(outcome: Outcome, error: CicdError | None, annotated: int) -> str:
    if error is None:
        return success(outcome)
    more = outcome.seen.failed - annotated
    return (
        f"{error} {counted(more, 'failed test')} more than the {annotated} that are annotated: see the summary."
        if more
        else str(error)
    )


def _data(outcome: Outcome, error: CicdError | None) -> dict[str, Any]:
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
            "gates": [{"gate": one.what, "passed": one.passed, "why": one.why} for one in gate.held],
        }
        if gate.wanted
        else None,
        "failures": [
            {"test": each.test, "file": each.file, "line": each.line, "message": each.message[:300]}
            for each in seen.failures[:LISTED]
        ],
        "measures": [
            {"measure": one.measure, "limit": one.what, "verdict": one.verdict, "why": one.why}
            for one in outcome.judged[:LISTED]
        ],
        "slowest": [{"test": each.test, "seconds": each.seconds} for each in seen.slowest],
        "cause": error.cause if error else "",
        "next_step": error.next_step if error else "",
    }
