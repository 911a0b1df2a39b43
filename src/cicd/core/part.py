"""What one job of a suite showed, as it is handed to the job that gives the verdict: a file among the job's reports.

It comes from another job, which has run the code of a pull request: all of it has bounds, and what does not fit
together is no part.
"""

from typing import Annotated

import msgspec

from cicd.core.gates import CoverageGate
from cicd.core.junit import Failure, Report, Timing
from cicd.core.performance import Judged
from cicd.core.receipt import Receipt
from cicd.core.suite import Outcome
from cicd.core.suite_run import ShardRun
from cicd.errors import ReportInvalid

SCHEMA = 1
LARGEST = 32 * 1024 * 1024  # bytes; a part has up to 1,000 failures with their text
MOST_FAILURES = 1000
MOST_TESTS = 100_000_000
MOST_LISTED = 100  # slowest tests
MOST_MEASURES = 10_000
LONGEST = 366 * 24 * 3600  # seconds
LONGEST_TEXT = 1024 * 1024  # characters
Text = Annotated[str, msgspec.Meta(max_length=4000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]
Shard = Annotated[int, msgspec.Meta(ge=1, le=256)]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One shard of a suite, or all of a suite that has none.

    Attributes:
        plan: digest of the plan that it followed.
        attempt: of the run; a shard that was run again has a newer one.
        command: as it was written.
        code: that the command ended with.
        limit: seconds that it had.
        unreadable: why there is no report of its tests; empty: there is one.
        empty: whether the shard had no test of its own, which is fine.
        coverage: whether lines were to be measured, and why they were not.
        judged: its measures against their limits.
    """

    schema: int = SCHEMA
    suite: Text
    shard: Shard = 1
    shards: Shard = 1
    plan: Text = ""
    attempt: Count = 1
    sha: Text = ""
    command: Text
    code: int
    seconds: float
    limit: float
    is_pytest: bool = False
    timed_out: bool = False
    interrupted: bool = False
    unreadable: Text = ""
    empty: bool = False
    report: Report = Report()
    coverage: CoverageGate = CoverageGate()
    judged: list[Judged] = []

    @property
    def outcome(self) -> Outcome:
        """What there is to judge."""
        unreadable = (
            ReportInvalid(self.unreadable, next_step="look at the log of that job") if self.unreadable else None
        )
        return Outcome(
            suite=self.suite if self.shards == 1 else f"{self.suite} {self.shard}/{self.shards}",
            command=self.command,
            code=self.code,
            seconds=self.seconds,
            limit=self.limit,
            is_pytest=self.is_pytest,
            report=unreadable or self.report,
            coverage=self.coverage,
            judged=tuple(self.judged),
            timed_out=self.timed_out,
            interrupted=self.interrupted,
        )


def part_of(shard: ShardRun, outcome: Outcome, receipt: Receipt | None, sha: str) -> Part:
    """What a shard hands on.

    Args:
        receipt: what pytest left; None: nothing that can be read.
        sha: the commit.
    """
    unreadable = outcome.report.what if isinstance(outcome.report, ReportInvalid) else ""
    return Part(
        suite=shard.plan.suite,
        shard=shard.number,
        shards=shard.plan.assignment.shards,
        plan=shard.plan.digest,
        attempt=shard.attempt,
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
        judged=list(outcome.judged),
    )


def part_text(part: Part) -> bytes:
    """A part as a file."""
    return msgspec.json.encode(part)


def read_part(text: bytes, source: str) -> Part:
    """A part of a file. Raises ReportInvalid."""
    try:
        if len(text) > LARGEST:
            raise ValueError(f"it has {len(text):,} bytes")
        part = msgspec.json.decode(text, type=Part)
        if part.schema != SCHEMA:
            raise ValueError(f"its format is {part.schema}, and {SCHEMA} is read here")
        if wrong := _wrong(part):
            raise ValueError(f"{wrong} cannot be")
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ReportInvalid(
            f"`{source}` is no part of a suite",
            cause=str(error)[:300],
            next_step="all jobs of a run must use the same version of run-suite",
        ) from error
    return part


def _wrong(part: Part) -> str:
    """What of a part no run of ours would have written; empty: nothing."""
    report = part.report
    numbers = (report.tests, report.failed, report.skipped, report.flaky, report.claimed, report.marked)
    seconds = (part.seconds, part.limit, report.seconds, *(one.seconds for one in report.slowest))
    texts = (text for one in report.failures for text in (one.test, one.file, one.message, one.text))
    names = (*(one.test for one in report.slowest), *(text for one in part.judged for text in (one.measure, one.why)))
    checks = {
        "its shard": part.shard <= part.shards,
        "its exit code": -256 < part.code < 2**32,  # below 0 a signal; Windows has codes of 32 bits
        "its counts": all(0 <= number <= MOST_TESTS for number in numbers),
        "more failed or skipped tests than there are": max(report.failed, report.skipped) <= report.tests,
        "its seconds": all(0 <= number <= LONGEST for number in seconds),  # NaN is neither
        "so many failures": len(report.failures) <= min(MOST_FAILURES, report.failed),
        "so many slowest tests": len(report.slowest) <= MOST_LISTED,
        "so many measures": len(part.judged) <= MOST_MEASURES,
        "its texts": all(len(text) <= LONGEST_TEXT for text in (*texts, *names)),
    }
    return next((what for what, fine in checks.items() if not fine), "")


def merged(reports: list[Report]) -> Report:
    """The reports of all shards as one."""
    failures: list[Failure] = [failure for report in reports for failure in report.failures]
    slowest: list[Timing] = sorted((one for report in reports for one in report.slowest), key=lambda one: -one.seconds)
    return Report(
        tests=sum(report.tests for report in reports),
        failed=sum(report.failed for report in reports),
        skipped=sum(report.skipped for report in reports),
        flaky=sum(report.flaky for report in reports),
        claimed=sum(report.claimed for report in reports),
        marked=sum(report.marked for report in reports),
        seconds=sum(report.seconds for report in reports),
        failures=tuple(failures[:MOST_FAILURES]),
        slowest=tuple(slowest[:10]),
    )
