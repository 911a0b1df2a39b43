"""A part of a suite on this machine: what pytest is told of it, and the folder that is left for the verdict."""

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cicd.adapters.runner import Runner
from cicd.contract import RunSuite
from cicd.core.flaky import Quarantined, sort_failures
from cicd.core.part import Part, part_text
from cicd.core.performance import Budget, Judged, Measure, judge
from cicd.core.performance_formats import LARGEST, invalid, read_measures
from cicd.core.pytest_command import Command, with_options
from cicd.core.receipt import Receipt, read_receipt
from cicd.core.suite import Outcome
from cicd.core.suite_plan import SuitePlan, for_plugin, read_plan, shard_of
from cicd.errors import ReportInvalid, UsageError

PLUGIN = Path(__file__).resolve().parents[1] / "pytest_plugin"
PART, RECEIPT, COVERAGE = "part.json", "receipt.json", "coverage.json"


@dataclass(frozen=True)
class Share:
    """The part of a plan that a job runs.

    Attributes:
        shard: its number, from 1.
        attempt: of the run, from 1.
        folder: what is left for the verdict: the part, pytest's receipt, reports.
        project: the consumer's folder.
    """

    plan: SuitePlan
    shard: int
    attempt: int
    folder: Path
    project: Path

    @property
    def name(self) -> str:
        """`unit 2/4`; `unit` where there is one shard."""
        shards = self.plan.assignment.shards
        return self.plan.suite if shards == 1 else f"{self.plan.suite} {self.shard}/{shards}"

    def made(self) -> Path:
        """The folder, empty. Raises UsageError."""
        try:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise UsageError(
                f"The job's temp folder cannot be used: {error}", next_step="set RUNNER_TEMP to a folder of your own"
            ) from error
        return self.folder

    def taking_part(self, command: Command, env: dict[str, str]) -> Command:
        """The command such that pytest runs this part alone; other runners find its number in their environment."""
        file = self.folder / "plan.json"
        file.write_text(for_plugin(self.plan, self.shard, self.attempt, str(self.folder / RECEIPT)))
        env["CICD_SHARD_PLAN"] = str(file)
        env["CICD_SHARD"], env["CICD_SHARDS"] = str(self.shard), str(self.plan.assignment.shards)
        env["PYTHONPATH"] = ":".join(filter(None, (str(PLUGIN), env.get("PYTHONPATH"))))
        if command.pytest is None:  # such as `make test`, which may come to pytest
            env["PYTEST_ADDOPTS"] = f"{env.get('PYTEST_ADDOPTS', '')} {shlex.join(['-p', 'cicd_shard'])}".strip()
            return command
        return with_options(command, ["-p", "cicd_shard"])

    def receipt(self) -> Receipt | None:
        """What pytest has left; None for nothing that can be read."""
        try:
            return read_receipt((self.folder / RECEIPT).read_bytes(), RECEIPT)
        except (OSError, ReportInvalid):
            return None

    def leave(self, outcome: Outcome, judged: Sequence[Judged], sha: str) -> Part:
        """Write the part into the folder."""
        receipt = self.receipt()
        unreadable = outcome.report.what if isinstance(outcome.report, ReportInvalid) else ""
        part = Part(
            suite=self.plan.suite,
            shard=self.shard,
            shards=self.plan.assignment.shards,
            plan=self.plan.digest,
            attempt=self.attempt,
            sha=sha,
            command=outcome.command[:4000],
            code=outcome.code,
            seconds=outcome.seconds,
            limit=outcome.limit,
            is_pytest=outcome.is_pytest,
            timed_out=outcome.timed_out,
            interrupted=outcome.interrupted,
            unreadable=unreadable[:4000],
            empty=receipt is not None and receipt.is_rightly_empty and outcome.code in (0, 5),
            report=outcome.seen,
            coverage=outcome.coverage,
            judged=list(judged),
        )
        (self.folder / PART).write_bytes(part_text(part))
        return part

    def all_excused(self, quarantine: Sequence[Quarantined]) -> bool:
        """Whether all that failed may fail."""
        receipt = self.receipt()
        if receipt is None or not receipt.red or receipt.errors:
            return False
        return not sort_failures(receipt.red, [], quarantine, datetime.now(UTC).date()).failed


def share_of(inputs: RunSuite, runner: Runner) -> Share | None:
    """The part that a job is to run; None: it follows no plan. Raises UsageError."""
    if not inputs.plan:
        if inputs.shard:
            raise UsageError("`shard` needs a plan", next_step="make one with `plan: true`, and hand it on as `plan`")
        return None
    plan = read_plan(inputs.plan).of(inputs.suite)
    shard, shards = shard_of(inputs.shard or "1/1")
    if shards != plan.assignment.shards:
        raise UsageError(
            f"`shard` is {shard}/{shards}, and the plan has {plan.assignment.shards} for `{plan.suite}`",
            next_step="take it from the plan's own `matrix`",
        )
    attempt = runner.env.get("GITHUB_RUN_ATTEMPT", "1")
    return Share(
        plan=plan,
        shard=shard,
        attempt=int(attempt) if attempt.isdecimal() else 1,
        folder=runner.temp / f"cicd-part-{plan.suite}-{shard}",
        project=Path(inputs.working_directory).resolve(),
    )


def measured_against(budget: Budget, patterns: Sequence[str], folder: Path) -> list[Judged]:
    """The measures in the reports that the command has left, held against their limits. What is missing has failed."""
    measures, wrong = list[Measure](), list[Judged]()
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not found:
            why = f"there is no performance report `{pattern}`"
            wrong.append(Judged(measure=pattern, what="measured", verdict="failed", why=why))
        for path in found:
            try:
                measures += read_measures(_bounded(path), path.name)
            except ReportInvalid as error:
                wrong.append(Judged(measure=path.name, what="measured", verdict="failed", why=str(error)))
    return [*wrong, *judge(measures, budget)]


def _bounded(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise invalid(path.name, f"it has {path.stat().st_size:,} bytes")
    return path.read_bytes()
