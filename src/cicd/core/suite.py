"""What a suite's run is worth: exit code, report and coverage must agree before it is green."""

import signal

import msgspec

from cicd.core.gates import CoverageGate
from cicd.core.junit import Report
from cicd.core.performance import Judged
from cicd.core.pytest_command import EXITS
from cicd.core.security_gate import SecurityGate
from cicd.core.words import counted
from cicd.errors import (
    CicdError,
    CoverageTooLow,
    Interrupted,
    NoTests,
    ReportInvalid,
    ScanUnfinished,
    SuiteIncomplete,
    TestsFailed,
    TooSlow,
)

LOOK = "look at the end of the command's own output above"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known after the command has ended.

    Attributes:
        code: its exit code; below 0: the signal that ended it.
        seconds: its wall time; `limit` is what it was allowed.
        is_pytest: whether its exit codes are pytest's.
        report: what its tests showed, or why that cannot be read.
        tested: whether the command runs tests; one that runs scanners is known by their reports.
        security: what scanners found, and what it is held against; None: none were asked for.
        coverage: what was measured, and what it is held against; the same for `judged`, by load or benchmark tools.
        stopped: whether pytest.exit() ended it, which may leave tests out and end with 0.
    """

    suite: str
    command: str
    code: int
    seconds: float
    limit: float
    is_pytest: bool
    report: Report | ReportInvalid
    coverage: CoverageGate = CoverageGate()
    judged: tuple[Judged, ...] = ()
    tested: bool = True
    security: SecurityGate | None = None
    timed_out: bool = False
    interrupted: bool = False
    stopped: bool = False

    @property
    def seen(self) -> Report:
        """The report, or an empty one."""
        return Report() if isinstance(self.report, ReportInvalid) else self.report


def judge(outcome: Outcome) -> CicdError | None:
    """Why the suite is red; None: it is green. The first reason counts, from the gravest on."""
    return judge_tests(outcome) or judge_gates(outcome)


def judge_tests(outcome: Outcome) -> CicdError | None:
    """The same without the gates: what a shard alone can say of a whole suite."""
    return _ended_early(outcome) or (_tests_red(outcome) if outcome.tested else _scanner_died(outcome))


def judge_gates(outcome: Outcome) -> CicdError | None:
    """The gates alone: whatever its tests showed."""
    security = outcome.security.error(outcome.suite) if outcome.security else None
    return security or _coverage_red(outcome) or _too_slow(outcome)


def _ended_early(outcome: Outcome) -> CicdError | None:
    seen = outcome.seen
    so_far = (
        f"{counted(seen.ran, 'test')} had ended, {seen.failed} of them failed" if seen.tests else "no test had ended"
    )
    if outcome.interrupted:
        return Interrupted(
            f"{outcome.suite} was interrupted after {outcome.seconds:.0f} s: {so_far}",
            cause="the run was cancelled, or the job's own time was over",
            next_step="run it again",
        )
    if outcome.timed_out:
        return TestsFailed(
            f"{outcome.suite} was ended after its {outcome.limit / 60:g} minutes: {so_far}",
            cause="a test hangs, or the suite needs longer",
            next_step="look at the last lines of its output; `timeout` gives it more",
        )
    return None


def _scanner_died(outcome: Outcome) -> CicdError | None:
    """A command that only scans may end with what it likes, but by itself: else a report of it may not be there."""
    if 0 <= outcome.code < 128:  # a shell adds 128 to the signal
        return None
    return ScanUnfinished(f"{outcome.suite}: {exit_words(outcome)}", next_step=LOOK)


def _tests_red(outcome: Outcome) -> CicdError | None:
    if outcome.is_pytest and outcome.code == 5:
        return _no_tests(outcome)
    if isinstance(outcome.report, ReportInvalid):
        error = outcome.report
        if outcome.code:
            return ReportInvalid(error.what, cause=exit_words(outcome), next_step=LOOK)
        return error
    report = outcome.report
    if not report.tests and not report.marked:
        return _no_tests(outcome)
    if report.failed:
        return _failed(outcome, report)
    if max(report.claimed, report.marked):
        return ReportInvalid(
            f"{outcome.suite}: the report counts {max(report.claimed, report.marked)} failed tests and shows none",
            next_step=LOOK,
        )
    if outcome.code:
        return TestsFailed(
            f"{outcome.suite}: no test failed in the report, but {exit_words(outcome)}",
            cause="a threshold of the project's own (such as `fail_under`), a plugin, or something after the last test",
            next_step=LOOK,
        )
    if outcome.stopped:
        return SuiteIncomplete(
            f"{outcome.suite}: pytest.exit() ended the run after {counted(report.tests, 'test')}, with a code of 0",
            cause="a test, fixture or plugin calls it",
            next_step=LOOK,
        )
    if not report.ran:
        return NoTests(
            f"{outcome.suite}: all {report.tests} tests were skipped, so nothing was tested",
            cause="what they need is not there, such as a service",
            next_step="look at the reasons (`pytest -rs`)",
        )
    return None


def _no_tests(outcome: Outcome) -> NoTests:
    return NoTests(
        f"{outcome.suite}: no test was collected",
        cause=exit_words(outcome) if outcome.code not in (0, 5) else "a wrong path, or a filter that leaves nothing",
        next_step=f"check what the command selects: `{outcome.command}`",
    )


def _failed(outcome: Outcome, report: Report) -> TestsFailed:
    what = f"{outcome.suite}: {report.failed} of {counted(report.ran, 'test')} failed"
    causes = [] if outcome.code else ["the command hides it: it ended with 0"]
    if outcome.code not in (0, 1):
        causes.append(exit_words(outcome))
    return TestsFailed(what, cause="; ".join(causes), next_step="look at the failures above, or in the job's summary")


def _coverage_red(outcome: Outcome) -> CicdError | None:
    gate = outcome.coverage
    if gate.passed:
        return None
    if gate.found is None:
        return CoverageTooLow(
            f"{outcome.suite}: {gate.sentence[0].lower()}{gate.sentence[1:]}",
            cause=gate.why,
            next_step="install pytest-cov beside pytest, or run the command under `coverage run`; all jobs of a suite"
            " must measure the same code",
        )
    wrong = [one.next_step for one in gate.held if not one.passed and one.next_step]
    next_step = wrong[0] if wrong and gate.meets_least else "test what is not covered yet"
    return CoverageTooLow(f"{outcome.suite}: {gate.sentence[0].lower()}{gate.sentence[1:]}", next_step=next_step)


def _too_slow(outcome: Outcome) -> TooSlow | None:
    wrong = [one for one in outcome.judged if one.verdict == "failed"]
    if not wrong:
        return None
    more = f" (and {len(wrong) - 1} more)" if wrong[1:] else ""
    return TooSlow(f"{outcome.suite}: {wrong[0].why}{more}", next_step="make it faster, or change the limit")


def exit_words(outcome: Outcome) -> str:
    """`pytest ended with 4: it was called wrongly …`."""
    code = outcome.code
    if code < 0:
        names = {member.value: member.name for member in signal.Signals}
        memory = "; most often the machine was out of memory" if names.get(-code) == "SIGKILL" else ""
        return f"the command was ended by {names.get(-code, -code)}{memory}"
    if outcome.is_pytest and code in EXITS:
        return f"pytest ended with {code}: {EXITS[code]}"
    return f"the command ended with {code}"


def success(outcome: Outcome) -> str:
    """One sentence for a green suite."""
    seen = outcome.seen
    found = f". {outcome.security.sentence}" if outcome.security else ""
    if not outcome.tested:
        return f"{outcome.suite}: scanned in {outcome.seconds:.1f} s{found}."
    parts = [f"{outcome.suite}: {counted(seen.passed, 'test')} passed in {outcome.seconds:.1f} s"]
    parts += [f"{seen.skipped:,} skipped"] if seen.skipped else []
    parts += [f"{seen.flaky:,} passed only when run again"] if seen.flaky else []
    tail = f". {outcome.coverage.sentence}" if outcome.coverage.wanted else ""
    return ", ".join(parts) + tail + found + "."
