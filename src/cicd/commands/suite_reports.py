"""The reports of a verdict: files for an artifact, a check run, and the comment of the pull request.

None of it changes the verdict: what cannot be written or published is told, and green stays green, red stays red.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cicd.adapters.github import GitHub
from cicd.adapters.github_reports import GitHubReports
from cicd.adapters.handover import leave
from cicd.adapters.report_files import write_reports
from cicd.adapters.run_event import tested
from cicd.adapters.runner import Runner
from cicd.contract import RunSuite
from cicd.core.check_run import MOST, check_run
from cicd.core.covered_lines import Lines
from cicd.core.pr_comment import comment, mark
from cicd.core.verdict_report import VerdictReport
from cicd.errors import CicdError, GitHubRefused, GitHubUnavailable, RateLimited

REPORTS, HANDOVER = "cicd-report", "cicd-handover"  # folders in the job's temp folder
NEEDS = {"check": "`checks: write` for a check run", "comment": "`pull-requests: write` for a comment"}


@dataclass(frozen=True)
class Place:
    """Where a verdict is published.

    Attributes:
        sha: of the commit that was tested.
        workflow: path of its file.
        run, attempt: that tested it; `url` of its page, or empty.
        pulls: numbers of pull requests; of those that a `branch` has if there is one.
        branch: `owner` and name.
        of_a_fork: whether the report is a fork's own; `ended_well`: whether its run was a success.
        most: annotations.
    """

    sha: str
    workflow: str
    run: int
    attempt: int
    url: str
    pulls: Sequence[int] = ()
    branch: tuple[str, str] | None = None
    of_a_fork: bool = False
    ended_well: bool = True
    most: int = MOST


def told(
    report: VerdictReport,
    junits: Sequence[tuple[str, Path]],
    lines: Mapping[str, Lines],
    inputs: RunSuite,
    runner: Runner,
) -> dict[str, str]:
    """Write and publish; gives the outputs. Raises nothing that is about the reports alone.

    Args:
        junits: name of each shard, and its JUnit report.
        lines: that were covered, of all suites.
    """
    outputs = {"report": "", "handover": ""}
    try:
        folder = _folder(runner, REPORTS)
        about = " · ".join(filter(None, (runner.repository, runner.sha[:10], runner.run_url)))
        for sentence in write_reports(report, about, junits, lines, folder):
            runner.annotate("warning", sentence, title="cicd")
        outputs["report"] = str(folder)
        if inputs.publish.strip().lower() == "true" and not publish_own(report, inputs.token, runner):
            outputs["handover"] = str(_folder(runner, HANDOVER))
            leave(report, Path(outputs["handover"]))
    except OSError as error:
        runner.annotate("warning", f"The reports cannot be written: {error}", title="cicd")
    except Exception as error:  # a mistake of ours in a report is none of the project's tests
        runner.annotate("warning", f"A bug in cicd: the reports are not whole: {error!r}"[:2000], title="cicd")
    return outputs


def _folder(runner: Runner, name: str) -> Path:
    """An empty folder of the job, or where there is none, one that nobody else can have made. Raises OSError."""
    if not runner.env.get("RUNNER_TEMP"):
        return Path(tempfile.mkdtemp(prefix=f"{name}-"))
    folder = runner.temp / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def publish_own(report: VerdictReport, token: str, runner: Runner) -> bool:
    """Publish the verdict of this run; False: another run has to, and may."""
    about = tested(runner)
    if about is None:
        runner.say("The verdict is not published: it says nothing of a commit that a page shows.")
        return True
    if about.of_a_fork:
        text = "The token of a fork's run has neither `checks: write` nor `pull-requests: write`:"
        runner.annotate("notice", f"{text} report.yml publishes this verdict (docs/suites.md).", title="cicd")
        return False
    owner = runner.repository.partition("/")[0]
    attempt = runner.env.get("GITHUB_RUN_ATTEMPT", "1")
    place = Place(
        sha=about.sha,
        workflow=about.workflow,
        run=int(runner.run_id) if runner.run_id.isdecimal() else 0,
        attempt=int(attempt) if attempt.isdecimal() else 1,
        url=runner.run_url,
        pulls=[about.pull] if about.pull else [],
        branch=(owner, about.branch) if about.branch else None,
    )
    try:
        failed = publish(report, place, GitHub(runner, token).reports())
    except CicdError as error:
        failed = {"check": error}
    if failed:
        runner.annotate("warning", _warning(failed), title="cicd")
    return not any(_is_forbidden(error) for error in failed.values())


def publish(report: VerdictReport, place: Place, hub: GitHubReports) -> dict[str, CicdError]:
    """Make the check run and the comments; gives what failed, as `check` or `comment`."""
    failed = dict[str, CicdError]()
    key, links = report.key(place.workflow), [("run", place.url)] if place.url else []
    check = check_run(report, place.workflow, of_a_fork=place.of_a_fork, ended_well=place.ended_well, most=place.most)
    try:
        page = hub.check(check.requests(place.sha, place.url, f"{key}.{place.run}.{place.attempt}"))
        links += [("check", page)] if page else []
    except CicdError as error:
        failed["check"] = error
        if isinstance(error, GitHubUnavailable | RateLimited):
            return failed  # what follows would wait as long, for nothing
    try:
        pulls = list(place.pulls) or (hub.pulls(*place.branch, place.sha) if place.branch else [])
        first_line = mark(key, place.run, place.attempt)
        body = comment(report, first_line, place.sha, links, of_a_fork=place.of_a_fork, ended_well=place.ended_well)
        for number in pulls[:5]:
            hub.comment(number, key, body, place.run, place.attempt)
    except CicdError as error:
        failed["comment"] = error
    return failed


def _is_forbidden(error: CicdError) -> bool:
    return isinstance(error, GitHubRefused) and error.status in (403, 404)


def _warning(failed: Mapping[str, CicdError]) -> str:
    forbidden = [NEEDS[what] for what, error in failed.items() if _is_forbidden(error)]
    others = [str(error) for error in failed.values() if not _is_forbidden(error)]
    said = next((error for error in failed.values() if _is_forbidden(error)), None)
    lacking = f"the job's token lacks {' and '.join(forbidden)} ({said.what})" if said else ""
    next_step = "give the calling job these `permissions`, or `publish: false`" if forbidden else ""
    parts = ["The verdict stands, and is not published in full", "; ".join(filter(None, (lacking, *others)))]
    return f"{': '.join(parts).rstrip('.')}.{f' Next: {next_step}.' if next_step else ''}"


def directory_of(inputs: RunSuite, runner: Runner) -> str:
    """The project's folder from the repository's root on; empty for the root itself, and for what is elsewhere."""
    root = Path(runner.env.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    folder = Path(os.path.normpath(Path.cwd() / inputs.working_directory)).resolve()
    return folder.relative_to(root).as_posix().removeprefix(".") if folder.is_relative_to(root) else ""
