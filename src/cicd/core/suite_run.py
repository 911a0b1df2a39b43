"""What run-suite is to run: the suite of a config, or what inputs alone say; all of it, or one shard of a plan."""

from dataclasses import dataclass
from pathlib import Path

from cicd.core.findings import Security
from cicd.core.flaky import Quarantined
from cicd.core.gates import CoverageGate
from cicd.core.performance import Budget
from cicd.core.pytest_command import Command
from cicd.core.suite_plan import SuitePlan


@dataclass(frozen=True)
class ShardRun:
    """One shard of a plan.

    Attributes:
        number: from 1.
        attempt: of the run, from 1.
        folder: what is left for the verdict: the part, pytest's receipt, reports.
    """

    plan: SuitePlan
    number: int
    attempt: int
    folder: Path


@dataclass(frozen=True)
class SuiteRun:
    """What is to be run, and what it is held against.

    Attributes:
        suite: its name.
        command: as the project has it.
        folder: the project's.
        limit: seconds.
        junit: where a report is expected; None: pytest is told to write one.
        temp: where a folder for this run's own files is made.
        keeps: whether that folder stays, the report in it: a runner removes it with the job's temp folder.
        shard: what is run of it; None: all, and the verdict is given here.
        measures: reports of load or benchmark tools, below `folder`; held against `budget`.
        quarantine: tests that may fail.
        history: folder in which figures are kept from run to run; None: nowhere.
        workers: of pytest-xdist; 1: without it.
        security: scanners to run, reports of scanners to read, and what they are held against.
        requirements: files, below `folder`, whose packages a scanner may look up.
    """

    suite: str
    command: Command
    folder: Path
    limit: float
    junit: Path | None
    coverage: CoverageGate
    temp: Path
    keeps: bool
    shard: ShardRun | None = None
    measures: tuple[str, ...] = ()
    budget: Budget | None = None
    quarantine: tuple[Quarantined, ...] = ()
    history: Path | None = None
    workers: int = 1
    security: Security | None = None
    requirements: tuple[str, ...] = ()

    @property
    def tested(self) -> bool:
        """Whether the command runs tests, and leaves a report of them. With `security` it may run a scanner instead."""
        return runs_tests(self.command, self.junit is not None, self.security)

    @property
    def name(self) -> str:
        """`unit 2/4`; `unit` where there is one shard."""
        shards = self.shard.plan.assignment.shards if self.shard else 1
        return self.suite if self.shard is None or shards == 1 else f"{self.suite} {self.shard.number}/{shards}"


def runs_tests(command: Command, reports: bool, security: Security | None) -> bool:
    """Whether a suite's command runs tests: without a section `security` always; with it pytest does, and whatever
    names its JUnit report (`reports`)."""
    return security is None or command.pytest is not None or (bool(command.argv) and reports)
