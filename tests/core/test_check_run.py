"""A check run keeps to GitHub's limits whatever the tests are called, and loses nothing in silence."""

import json
import re

import msgspec
import pytest
from hypothesis import given, settings

from cicd.core.check_run import MOST, SUMMARY, check_run
from cicd.core.history import History
from cicd.core.junit import Failure, Report
from cicd.core.suite import Outcome
from cicd.core.suite_verdict import SuiteVerdict
from cicd.core.verdict_report import LARGEST, Mark, VerdictReport, read_verdict_report, report_text
from cicd.core.verdict_told import report_of
from cicd.errors import ReportInvalid, UsageError
from tests.core.told import failed, reports, small

CI = ".github/workflows/ci.yml"


@settings(max_examples=40, deadline=None)
@given(reports())
def test_every_request_keeps_to_the_limits(report: VerdictReport) -> None:
    check = check_run(report, CI)
    bodies = list(check.requests("a" * 40, "https://x.example/1", "1.1"))
    assert len(check.summary.encode()) <= SUMMARY
    assert check.summary.count("<details>") == check.summary.count("</details>")
    assert len(check.name) <= 100
    assert len(check.title) <= 255
    assert len(bodies) <= MOST // 50 + MOST  # by size more, never without an end
    assert sum(len(body["output"].get("annotations", [])) for body in bodies) == len(check.annotations) <= MOST
    assert [sorted(body) for body in bodies[1:]] == [["output"]] * (len(bodies) - 1)
    for body in bodies:
        assert len(json.dumps(body)) < 2**20
        marks = body["output"].get("annotations", [])
        assert len(marks) <= 50
        for mark in marks:
            assert len(mark["message"].encode()) <= 64 * 1024
            assert mark["message"]
            assert len(mark.get("raw_details", "").encode()) <= 64 * 1024
            assert len(mark.get("title", "")) <= 255
            assert 1 <= mark["start_line"] == mark["end_line"]
            assert not mark["path"].startswith("/")
            assert ".." not in mark["path"].split("/")


@settings(max_examples=40, deadline=None)
@given(reports())
def test_what_is_not_shown_is_counted(report: VerdictReport) -> None:
    report = msgspec.structs.replace(report, marks=[], marked=0)
    check = check_run(report, CI)
    unmarked = report.failed - len(check.annotations)
    if unmarked:
        told = re.search(r"([\d,]+) failures? without a mark", check.summary[-400:])
        assert told
        assert told[1] == f"{unmarked:,}"
    rows = sum(1 for line in check.summary.splitlines() if line.startswith("| <code>") and line.count(" | ") == 2)
    if rows < report.failed:
        assert f"{report.failed - rows:,} failure" in check.summary[-400:]


@pytest.mark.parametrize(("number", "requests"), [(0, 1), (1, 1), (50, 1), (51, 2), (300, 6), (100_000, 10)])
def test_fifty_annotations_a_request(number: int, requests: int) -> None:
    check = check_run(failed(number), CI)
    assert len(list(check.requests("a" * 40, "", "1"))) == requests
    if number > MOST:
        assert "99,500 failures without a mark on a line" in check.summary


def test_remarks_come_after_failures_and_are_counted() -> None:
    marks = [Mark(path="a.py", line=n, level="warning", title=f"rule {n}", message="look") for n in range(400)]
    report = msgspec.structs.replace(failed(300), marks=[*marks, Mark(path="/etc/passwd")], marked=1_000)
    check = check_run(report, CI)
    assert [one.annotation_level for one in check.annotations] == ["failure"] * 300 + ["warning"] * 200
    assert check.summary.endswith("… 800 remarks more on lines.")


def test_tracebacks_have_a_bound_in_sum() -> None:
    failures = tuple(Failure(test=f"t{n}", text="ü" * 10_000, file="a.py", line=1) for n in range(1_000))
    report = Report(tests=1_000, failed=1_000, failures=failures)
    outcome = Outcome(suite="unit", command="x", code=1, seconds=1, limit=1, is_pytest=False, report=report)
    told = report_of([SuiteVerdict(suite="unit", error=UsageError("red"), outcome=outcome)] * 10, History())
    assert len(report_text(told)) < LARGEST
    assert told.suites[0].failures[0].text.startswith("…\nü")
    assert told.suites[9].failures[999].text == ""


def test_a_green_one() -> None:
    check = check_run(small(), CI)
    assert (check.name, check.conclusion, check.title) == ("cicd ci", "success", "120 tests passed in 1 suite")
    (body,) = check.requests("a" * 40, "https://x.example", "7.1")
    assert body["status"] == "completed"
    assert "annotations" not in body["output"]


def test_a_forks_green_proves_nothing_and_its_red_is_red() -> None:
    assert check_run(small(), CI, of_a_fork=True).conclusion == "neutral"
    assert check_run(small(), CI, of_a_fork=True, ended_well=False).conclusion == "failure"
    assert check_run(failed(1), CI, of_a_fork=True).conclusion == "failure"


@pytest.mark.parametrize("file", ["", "/etc/passwd", "../a.py", "a/../../b.py", "a\nb.py", "a\\b.py", "a//b.py"])
def test_a_path_outside_gets_no_mark(file: str) -> None:
    report = small(green=False, failed=1, failures=[Failure(test="t", file=file, line=1)])
    check = check_run(report, CI)
    assert not check.annotations
    assert "1 failure without a mark on a line" in check.summary


def test_paths_are_from_the_repositorys_root() -> None:
    one = failed(1)
    report = VerdictReport(suites=one.suites, directory="apps/api", asked=["unit"])
    check = check_run(report, CI)
    assert check.annotations[0].path == "apps/api/tests/test_a.py"
    assert check.name == "cicd ci in apps/api: unit"
    assert report.key(CI) != one.key(CI)


@settings(max_examples=30, deadline=None)
@given(reports())
def test_it_is_read_as_it_was_written(report: VerdictReport) -> None:
    assert read_verdict_report(report_text(report), "verdict.json") == report


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"suites": [], "schema": 2}',
        b'{"suites": [{"suite": "a", "green": true, "ran": -1}]}',
        b'{"suites": [{"suite": "a", "green": true, "coverage": "<b>"}]}',
        b'{"suites": [{"suite": "a", "green": true, "url": "https://evil.example"}]}',
        b'{"suites": [{"suite": "\xff", "green": true}]}',
        b'{"suites": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_report_is_refused(text: bytes) -> None:
    with pytest.raises(ReportInvalid):
        read_verdict_report(text, "verdict.json")
