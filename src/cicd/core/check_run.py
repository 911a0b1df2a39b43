"""A verdict as requests for a check run, within GitHub's limits: what does not fit is left out whole, and counted.

The limits: https://docs.github.com/en/rest/checks/runs#create-a-check-run
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from cicd.core.junit import Failure
from cicd.core.markdown import inline, visible
from cicd.core.page import Page, clipped, within
from cicd.core.verdict_report import TEXT, Mark, SuiteReport, VerdictReport
from cicd.core.verdict_table import failure_row, figures_table, paragraphs
from cicd.core.words import counted

SUMMARY = 65_535  # characters; we count bytes
MESSAGE = 64 * 1024  # bytes of an annotation's message, and of its details
TITLE = 255  # characters
PER_REQUEST = 50  # annotations
REQUEST = 768 * 1024  # bytes of a request's annotations
MOST = 500  # annotations of a check: ten requests
NOT_BELIEVED = "The report says green, and the run was no success: it counts as red."
WHERE = "in junit.xml and report.html of the run's artifacts"

Level = Literal["notice", "warning", "failure"]


class Annotation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mark on a line."""

    path: str
    start_line: int
    end_line: int
    annotation_level: Level
    message: str
    title: str = ""
    raw_details: str = ""


class CheckRun(msgspec.Struct, frozen=True, kw_only=True):
    """A check run as it is to be. `annotations` keep to MOST."""

    name: str
    conclusion: Literal["success", "failure", "neutral"]
    title: str
    summary: str
    annotations: tuple[Annotation, ...] = ()

    def requests(self, sha: str, url: str, external_id: str) -> Iterator[dict[str, Any]]:
        """The bodies: of the first request, which makes it; then of those that add annotations.

        Args:
            sha: of the commit that was tested.
            url: of the run's page; empty: none.
            external_id: by which it is found again.
        """
        output: dict[str, Any] = {"title": self.title, "summary": self.summary}
        about: dict[str, Any] = {
            "name": self.name,
            "head_sha": sha,
            "external_id": external_id,
            "status": "completed",
            "conclusion": self.conclusion,
        }
        chunks = list(_chunks(self.annotations)) or [[]]
        for number, chunk in enumerate(chunks):
            body = {"output": {**output, **({"annotations": chunk} if chunk else {})}}
            yield {**about, **({"details_url": url} if url else {}), **body} if number == 0 else body


def _chunks(annotations: Sequence[Annotation]) -> Iterator[list[dict[str, Any]]]:
    chunk, size = list[dict[str, Any]](), 0
    for one in annotations:
        body = msgspec.to_builtins(one)
        bytes_ = len(json.dumps(body))
        if chunk and (len(chunk) == PER_REQUEST or size + bytes_ > REQUEST):
            yield chunk
            chunk, size = [], 0
        chunk.append(body)
        size += bytes_
    if chunk:
        yield chunk


def check_run(
    report: VerdictReport, workflow: str, *, of_a_fork: bool = False, ended_well: bool = True, most: int = MOST
) -> CheckRun:
    """The check run of a verdict.

    Args:
        workflow: path of its file.
        of_a_fork: the report comes from the fork's own run, and proves nothing: green is `neutral`.
        ended_well: whether the run as a whole was a success; a report that says more than its run is not believed.
        most: annotations.
    """
    failures = [failure for one in report.suites for failure in one.failures]
    annotations = [found for failure in failures if (found := _annotation(failure, report.directory))]
    marks = [found for mark in report.marks if (found := _mark(mark))][: max(0, most - len(annotations))]
    green = report.green and ended_well
    conclusion: Literal["success", "failure", "neutral"] = "success" if green else "failure"
    if of_a_fork and green:
        conclusion = "neutral"
    page = Page(SUMMARY)
    if of_a_fork:
        page.add("What a fork's own run says of itself. It is no proof: the job of the verdict is what counts.")
    if report.green and not ended_well:
        page.add(NOT_BELIEVED)
    summary = _summary(page, report, min(len(annotations), most), len(marks))
    return CheckRun(
        name=report.name(workflow),
        conclusion=conclusion,
        title=clipped(headline(report), TITLE),
        summary=summary,
        annotations=(*annotations[:most], *marks),
    )


def headline(report: VerdictReport) -> str:
    """`3 of 1,200 tests failed`, in plain text."""
    if report.failed:
        return f"{report.failed:,} of {counted(report.ran, 'test')} failed"
    red = [one for one in report.suites if not one.green]
    if red:
        more = f" (and {counted(len(red) - 1, 'suite')} more)" if red[1:] else ""
        return visible(red[0].what).replace("\n", " ") + more
    return f"{counted(report.ran, 'test')} passed in {counted(len(report.suites), 'suite')}"


def _summary(page: Page, report: VerdictReport, annotated: int, marked: int) -> str:
    suites = figures_table(page, report)
    remarks = paragraphs(page, report)
    listed = sum(_failures(page, one) for one in report.suites if one.failures)
    unmarked, unlisted = report.failed - annotated, report.failed - listed
    lines = f"{counted(unmarked, 'failure')} without a mark on a line" if unmarked > 0 else ""
    rows = f"{counted(unlisted, 'failure')} not in the table" if unlisted > 0 else ""
    rest = " and ".join(filter(None, (lines, rows)))
    others = f"… {counted(report.marked - marked, 'remark')} more on lines." if report.marked > marked else ""
    return page.end(suites, remarks, f"… {rest}: all of them are {WHERE}." if rest else "", others)


def _failures(page: Page, one: SuiteReport) -> int:
    """The table, in half of what is left, so that every suite has one; gives how many rows it has."""
    head = f"#### {inline(one.suite)}\n\n| failed | where | what |\n| --- | --- | --- |"
    return page.add_rows(head, [failure_row(failure) for failure in one.failures], most=page.left // 2)


def _annotation(failure: Failure, directory: str) -> Annotation | None:
    """The mark on the line of a failure; None where it has none in the repository."""
    path = "/".join(filter(None, (directory.strip("/"), failure.file)))
    if not failure.file or not _is_inside(path):
        return None
    line = min(max(failure.line, 1), 2**31 - 1)
    message = visible(failure.message).strip() or visible(failure.text).strip() or failure.kind
    return Annotation(
        path=path,
        start_line=line,
        end_line=line,
        annotation_level="failure",
        message=within(message, 4096),
        title=clipped(visible(failure.test).replace("\n", " "), TITLE),
        raw_details=within(visible(failure.text), TEXT),
    )


def _mark(mark: Mark) -> Annotation | None:
    """A remark on its line; None where that is not in the repository."""
    if not _is_inside(mark.path):
        return None
    line, title = max(mark.line, 1), visible(mark.title).replace("\n", " ")
    return Annotation(
        path=mark.path,
        start_line=line,
        end_line=line,
        annotation_level=mark.level,
        message=within(visible(mark.message).strip(), 4096) or title or mark.level,
        title=clipped(title, TITLE),
    )


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    plain = not re.search(r"[\x00-\x1f\x7f\\]", path) and path == visible(path)
    return plain and len(path) <= 1000 and not path.startswith("/") and ".." not in parts and "" not in parts
