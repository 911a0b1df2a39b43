from typing import Any

import pytest

from cicd.core.gates import Coverage, CoverageGate
from cicd.core.junit import Failure, Report
from cicd.core.suite import Outcome, judge, success
from cicd.errors import CicdError, CoverageTooLow, Interrupted, NoTests, ReportInvalid, TestsFailed

GREEN = Report(tests=3)
RED = Report(tests=3, failed=1, marked=1, claimed=1, failures=(Failure(test="a"),))
LOW = CoverageGate(wanted=True, least=85, found=Coverage(1, 2))
MISSING = CoverageGate(wanted=True, least=85, why="pytest-cov is not there")
NO_REPORT = ReportInvalid("The command left no JUnit report", cause="why", next_step="do")


def outcome(**given: Any) -> Outcome:
    about: dict[str, Any] = {"suite": "unit", "command": "pytest", "code": 0, "seconds": 1.0, "limit": 600.0}
    return Outcome(**{**about, "is_pytest": True, "report": GREEN, **given})


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({}, None, ""),
        ({"report": RED, "code": 1}, TestsFailed, "1 of 3 tests failed"),
        ({"report": RED, "code": 0}, TestsFailed, "hides it: it ended with 0"),
        ({"report": RED, "code": 2}, TestsFailed, "cannot be imported"),
        ({"report": RED, "code": 3}, TestsFailed, "plugins, failed"),
        ({"code": 1}, TestsFailed, "no test failed in the report, but the command ended with 1"),
        ({"code": 3}, TestsFailed, "pytest ended with 3"),
        ({"code": 3, "is_pytest": False}, TestsFailed, "the command ended with 3"),
        ({"code": -9}, TestsFailed, "ended by SIGKILL; most often the machine was out of memory"),
        ({"code": -99}, TestsFailed, "ended by 99"),
        ({"report": NO_REPORT}, ReportInvalid, "Cause: why"),
        ({"report": NO_REPORT, "code": 4}, ReportInvalid, "called wrongly"),
        ({"report": NO_REPORT, "code": 5}, NoTests, "no test was collected"),
        ({"report": NO_REPORT, "code": 5, "is_pytest": False}, ReportInvalid, "ended with 5"),
        ({"report": Report()}, NoTests, "no test was collected"),
        ({"report": Report(), "code": 5}, NoTests, "wrong path"),
        ({"report": Report(), "code": 2}, NoTests, "pytest ended with 2"),
        ({"report": Report(tests=4, skipped=4)}, NoTests, "all 4 tests were skipped"),
        ({"report": Report(tests=4, skipped=4), "code": 1}, TestsFailed, "ended with 1"),
        ({"report": Report(tests=2, claimed=2)}, ReportInvalid, "counts 2 failed tests and shows none"),
        ({"coverage": LOW}, CoverageTooLow, "line coverage is 50.00%"),
        ({"coverage": MISSING}, CoverageTooLow, "Cause: pytest-cov is not there"),
        ({"coverage": LOW, "report": RED, "code": 1}, TestsFailed, "1 of 3"),
        ({"coverage": CoverageGate(wanted=True, least=50, found=Coverage(1, 2))}, None, ""),
        ({"timed_out": True, "code": -2}, TestsFailed, "ended after its 10 minutes: 3 tests had ended"),
        ({"timed_out": True, "report": NO_REPORT, "code": -9}, TestsFailed, "no test had ended"),
        ({"interrupted": True, "code": 130, "report": RED}, Interrupted, "3 tests had ended, 1 of them failed"),
        ({"interrupted": True, "code": 0}, Interrupted, "interrupted"),
    ],
)
def test_exit_code_report_and_coverage_must_agree(
    given: dict[str, Any], error: type[CicdError] | None, said: str
) -> None:
    found = judge(outcome(**given))
    assert type(found) is (error or type(None))
    assert said in str(found)


def test_every_red_verdict_has_a_next_step() -> None:
    for given in ({"code": 1}, {"report": RED}, {"report": Report()}, {"coverage": LOW}, {"interrupted": True}):
        assert "Next: " in str(judge(outcome(**given)))


def test_a_green_suite_says_what_was_seen() -> None:
    report = Report(tests=1200, skipped=3, flaky=1)
    said = success(outcome(report=report, coverage=CoverageGate(wanted=True, found=Coverage(1, 1))))
    assert said.startswith("unit: 1,197 tests passed in 1.0 s, 3 skipped, 1 passed only when run again. Line coverage")
