"""run-suite with a run's id as `publish`: publish what that run could not, for its token may write nothing.

The run may be a fork's, and what it has left hostile. So the commit, the pull request, the workflow and how it ended
are asked of GitHub, and only figures and texts are taken of what was left; nothing of it is ever run.
"""

from cicd.adapters.github import GitHub
from cicd.adapters.github_answers import RunAnswer
from cicd.adapters.handover import MOST as ARTIFACTS
from cicd.adapters.handover import PREFIX, fetch
from cicd.adapters.runner import Runner
from cicd.commands.suite_reports import Place, publish
from cicd.contract import RunSuite
from cicd.core.check_run import MOST
from cicd.core.results import Result
from cicd.core.verdict_report import VerdictReport
from cicd.core.words import counted
from cicd.errors import CicdError, ReportInvalid, UsageError


def publish_run(inputs: RunSuite, runner: Runner) -> Result:
    """read → decide → publish → report.

    Raises:
        UsageError, NoToken, GitHubRefused, GitHubUnavailable, RateLimited. ReportInvalid: nothing that was left can
        be read.
    """
    if not inputs.publish.isdecimal() or len(inputs.publish) > 18:
        raise UsageError(
            f"`publish` is `true`, `false` or the id of a run, not `{inputs.publish[:40]}`",
            next_step="write `publish: ${{ github.event.workflow_run.id }}`",
        )
    github = GitHub(runner, inputs.token)
    hub = github.reports()
    run = hub.run(int(inputs.publish))
    suffix = f"-{run.run_attempt}"
    left = [one for one in hub.artifacts(run.id, PREFIX) if one.name.endswith(suffix)] if _is_meant(run) else []
    if not left:
        return Result(decision="nothing-to-do", message=f"Run {run.id} has left nothing to publish.")
    reports, wrong = _read([one.id for one in left[:ARTIFACTS]], inputs, runner)
    if not reports:
        raise wrong[0]
    place = _place(run, runner, MOST // len(reports))
    failed = [error for report in reports for error in publish(report, place, hub).values()]
    if failed:
        raise failed[0]
    return Result(
        decision="done",
        message=f"Published {counted(len(reports), 'verdict')} of run {run.id}.",
        data={"run": run.id, "sha": run.head_sha, "verdicts": len(reports)},
    )


def _is_meant(run: RunAnswer) -> bool:
    """Runs of other events have published by themselves, and `pull_request_target` has tested the base."""
    return run.event == "pull_request"


def _read(artifacts: list[int], inputs: RunSuite, runner: Runner) -> tuple[list[VerdictReport], list[CicdError]]:
    """The verdicts, one for each call of the workflow; and what cannot be read, of which is warned."""
    reports, wrong = dict[str, VerdictReport](), list[CicdError]()
    for artifact in artifacts:
        try:
            report = fetch(runner.api_url, runner.repository, artifact, inputs.token)
            reports.setdefault(report.key(""), report)
        except ReportInvalid as error:
            wrong.append(error)
        except OSError as error:
            step = "run this job again"
            wrong.append(ReportInvalid(f"Artifact {artifact} cannot be fetched: {error}", next_step=step))
    for problem in wrong:
        runner.annotate("warning", str(problem), title="cicd")
    return list(reports.values()), wrong


def _place(run: RunAnswer, runner: Runner, most: int) -> Place:
    head = run.head_repository
    return Place(
        sha=run.head_sha,
        workflow=run.path.partition("@")[0],
        run=run.id,
        attempt=run.run_attempt,
        url=run.html_url,
        branch=(head.owner.login, run.head_branch) if head and run.head_branch else None,
        of_a_fork=head is None or head.full_name.lower() != runner.repository.lower(),
        ended_well=run.conclusion == "success",
        most=most,
    )
