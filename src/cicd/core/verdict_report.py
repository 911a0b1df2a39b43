"""A verdict as it is told: what the check run, the comment and the page are made of, each of it bounded.

For a pull request of a fork it is a file of a run whose token may write nothing, and is read by another run: it is
hostile then. There is no commit, no pull request and no address in it: whoever reads it asks GitHub for those.
"""

import math
from pathlib import PurePosixPath
from typing import Annotated, Literal

import msgspec

from cicd.core.history import Figures
from cicd.core.junit import Failure, Timing
from cicd.core.release import digest
from cicd.errors import ReportInvalid

SCHEMA = 1
LARGEST = 32 * 1024 * 1024  # bytes
MOST_FAILURES = 1000
MOST_SUITES = 200
MOST_MARKS = 1000
TEXT = 16 * 1024  # bytes of one traceback: its end
TEXTS = 6 * 1024 * 1024  # bytes of all of them; the artifact that a fork's run leaves has 8 MiB at most
LISTED = 50  # slowest tests, slowest files, flaky and excused tests of a suite
DURATIONS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # seconds; bounds of the bars of the histogram

Name = Annotated[str, msgspec.Meta(max_length=1000)]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Shard = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Excused(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A test that failed in quarantine."""

    test: Name
    owner: Name
    until: Name


class FlakyTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A test that passed only when run again. `percent`: of the runs before in which it did."""

    test: Name
    percent: Percent = 0.0


class Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A remark on a line that is no failed test, such as a scanner's finding. `path`: from the repository's root on."""

    path: Name
    line: Count = 1
    level: Literal["notice", "warning", "failure"] = "warning"
    title: Name = ""
    message: Text = ""


class SuiteReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One suite.

    Attributes:
        proof: the run that proved it, when it was left out.
        what, cause, next_step: why it is red.
        seconds: of the longest shard; `work` of all.
        shards: seconds of each.
        coverage: percent, or empty.
        before: the last green run on the branch.
        flaky, excused: how many there are; `flaky_tests`, `excused_tests` have the first LISTED.
        slowest: tests; `files`: the slowest files.
        durations: how many tests took up to each of DURATIONS seconds, and longer; empty: not known.
        failures: the first MOST_FAILURES of `failed`.
    """

    suite: Name
    green: bool
    proof: Name = ""
    what: Text = ""
    cause: Text = ""
    next_step: Text = ""
    said: Annotated[list[Text], msgspec.Meta(max_length=100)] = []
    ran: Count = 0
    failed: Count = 0
    skipped: Count = 0
    seconds: Seconds = 0.0
    work: Seconds = 0.0
    shards: Annotated[list[Seconds], msgspec.Meta(max_length=1000)] = []
    coverage: Annotated[str, msgspec.Meta(pattern=r"^(\d{1,3}\.\d{2})?$")] = ""
    before: Figures = Figures()
    flaky: Count = 0
    flaky_tests: Annotated[list[FlakyTest], msgspec.Meta(max_length=LISTED)] = []
    excused: Count = 0
    excused_tests: Annotated[list[Excused], msgspec.Meta(max_length=LISTED)] = []
    slowest: Annotated[list[Timing], msgspec.Meta(max_length=LISTED)] = []
    files: Annotated[list[Timing], msgspec.Meta(max_length=LISTED)] = []
    durations: Annotated[list[Count], msgspec.Meta(max_length=len(DURATIONS) + 1)] = []
    failures: Annotated[list[Failure], msgspec.Meta(max_length=MOST_FAILURES)] = []

    @property
    def passed(self) -> int:
        return max(0, self.ran - self.failed)


class VerdictReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All suites of a plan.

    Attributes:
        asked: the suites that were asked for, sorted; none: all of the config. By these, the workflow and the folder
            a check and a comment are found again, also when the config gets a suite more.
        marks: the first MOST_MARKS of `marked`, the gravest first.
        directory: of the project, from the repository's root on.
        variant: what this verdict is called among several of one run, such as `3.13 macos-latest`; empty: it is alone.
    """

    suites: Annotated[list[SuiteReport], msgspec.Meta(max_length=MOST_SUITES)]
    asked: Annotated[list[Name], msgspec.Meta(max_length=MOST_SUITES)] = []
    directory: Name = ""
    variant: Name = ""
    marked: Count = 0
    marks: Annotated[list[Mark], msgspec.Meta(max_length=MOST_MARKS)] = []
    schema: int = SCHEMA

    @property
    def green(self) -> bool:
        return bool(self.suites) and all(one.green for one in self.suites)

    @property
    def ran(self) -> int:
        return sum(one.ran for one in self.suites)

    @property
    def failed(self) -> int:
        return sum(one.failed for one in self.suites)

    def key(self, workflow: str) -> str:
        """By which what was published of an earlier run is found again. `workflow`: path of its file."""
        variant = [self.variant] if self.variant else []
        return digest([workflow, self.asked, self.directory, *variant]).rpartition(":")[2][:16]

    def name(self, workflow: str) -> str:
        """`cicd ci: unit integration`, of the check."""
        stem = PurePosixPath(workflow).stem or "suites"
        where = f" in {self.directory}" if self.directory else ""
        words = f": {' '.join(self.asked)}" if self.asked else ""
        variant = f" ({self.variant[:60]})" if self.variant else ""
        return f"cicd {stem}{variant}{where}{words}"[:100]


def report_text(report: VerdictReport) -> bytes:
    """A report as a file."""
    return msgspec.json.encode(report)


def read_verdict_report(text: bytes, source: str) -> VerdictReport:
    """A report of a file. Raises ReportInvalid."""
    try:
        if len(text) > LARGEST:
            raise ValueError(f"it has {len(text):,} bytes")
        report = msgspec.json.decode(text, type=VerdictReport)
        if report.schema != SCHEMA:
            raise ValueError(f"its format is {report.schema}, and {SCHEMA} is read here")
        if any(not math.isfinite(one.seconds) for suite in report.suites for one in (*suite.slowest, *suite.files)):
            raise ValueError("it cannot be")
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ReportInvalid(
            f"`{source}` is no verdict",
            cause=str(error)[:300],
            next_step="both workflows must use the same version of cicd",
        ) from error
    return report
