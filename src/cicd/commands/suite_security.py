"""run-suite's scanners, and the reports that the command has left: kept for the verdict, held against the gate."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cicd.adapters.measures import States
from cicd.adapters.runner import Runner
from cicd.adapters.scanners import read_reports, run_scanners, site_packages
from cicd.adapters.shard_folder import SARIF, SCANS
from cicd.adapters.suite_run import Start
from cicd.core.findings import Scan, Security
from cicd.core.findings_handover import scans_json
from cicd.core.sarif import sarif_of
from cicd.core.scan import Project, is_offline
from cicd.core.security_gate import SecurityGate, judge_findings
from cicd.core.suite import Outcome
from cicd.core.suite_run import SuiteRun


def scanned(
    run: SuiteRun, outcome: Outcome, scratch: Path, began: float, before: States, runner: Runner, start: Start
) -> Outcome:
    """The outcome with what scanners found. Nothing is scanned after an interruption, for the job is over.

    Args:
        scratch: the run's folder: the verdict finds the scans there, and whoever uploads SARIF that.
        began: seconds since 1970; a report from before is not of this run, nor is one that was there `before`.

    Raises:
        Interrupted.
    """
    if run.security is None or outcome.interrupted:
        return outcome
    project = Project(
        folder=str(run.folder),
        requirements=run.requirements,
        site_packages=site_packages(runner.env, run.folder, start) if "dependencies" in run.security.scan else (),
    )
    since = time.monotonic()
    found, excused = run_scanners(run.security, project, runner.env, scratch, start=start, say=runner.say)
    scans = [*read_reports(run.security.findings, run.folder, since=int(began), before=before), *found, *excused]
    (scratch / SCANS).write_bytes(scans_json(scans))
    gate = gate_of(run.security, scans)
    (scratch / SARIF).write_bytes(sarif_of(gate))
    seconds = outcome.seconds + time.monotonic() - since
    return msgspec.structs.replace(outcome, security=gate, seconds=seconds)


def gate_of(security: Security, scans: Sequence[Scan]) -> SecurityGate:
    """The scans held against the policy of today (UTC). What could not be scanned offline is excused if it may be."""
    excused = [one for one in scans if security.offline == "warn" and is_offline(one)]
    held = [one for one in scans if one not in excused]
    return judge_findings(held, security.gate, datetime.now(UTC).date(), excused=excused)
