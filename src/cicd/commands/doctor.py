"""`cicd doctor`: what would stand in the way of a promotion, for each environment, and how to mend it."""

from cicd.adapters.github import GitHub
from cicd.adapters.http import ROUTER_RELEASE, probe
from cicd.adapters.runner import Runner
from cicd.commands.doctor_hosts import on_hosts
from cicd.commands.finding import Finding
from cicd.commands.preflight import caught, environment_facts
from cicd.commands.read import Project, read_config
from cicd.contract import Doctor
from cicd.core.approval import Protection
from cicd.core.health import good, why_not
from cicd.core.markdown import inline
from cicd.core.preflight import CHECKS, Facts
from cicd.core.results import Result
from cicd.errors import CicdError, HostRefused, HostUnreachable, ServiceFailed, Unfinished, Unhealthy


def main(inputs: Doctor, runner: Runner) -> Result:
    """Look at one environment, or at all of the config."""
    config = read_config(inputs.working_directory, inputs.config)
    names = [inputs.environment] if inputs.environment else list(config.environments)
    projects = [Project.of(inputs.working_directory, inputs.config, name, runner) for name in names]
    return doctor(projects, runner, GitHub(runner, inputs.token))


def doctor(projects: list[Project], runner: Runner, hub: GitHub) -> Result:
    """Nothing is touched. The first thing that is wrong gives the exit code."""
    findings = [finding for project in projects for finding in examine(project, runner, hub)]
    wrong = [finding.error for finding in findings if finding.error]
    advice = sum(bool(finding.advice) for finding in findings)
    ends = f"{len(wrong)} to mend, {advice} to think about" if wrong or advice else "all is well"
    told = [str(one) for one in findings if one.error] if runner.is_actions else []  # the annotation stands alone
    return Result(
        decision="failed" if wrong else "done",
        reason_code=wrong[0].reason if wrong else "ok",
        answer="\n".join(map(str, findings)),
        message="\n".join([*told, ends]),
        data={
            "findings": [
                {
                    "environment": one.environment,
                    "what": one.what,
                    "ok": one.error is None,
                    "reason_code": one.error.reason if one.error else "ok",
                    "message": str(one.error or one.advice),
                }
                for one in findings
            ],
            "github_calls": hub.calls,
        },
        summary="\n".join(["### Doctor", "", *(f"- {inline(str(one), 1000)}" for one in findings), "", ends]),
        exit_code=wrong[0].code if wrong else 0,
    )


def examine(project: Project, runner: Runner, hub: GitHub) -> list[Finding]:
    """One environment: the checks of promote that need no release, and what only a doctor has the time to look at."""
    name = project.site.name
    hosts = on_hosts(project, runner) if project.site.deploy.engine != "process" else []
    reached = not any(isinstance(one.error, (HostUnreachable, HostRefused)) for one in hosts)
    facts = environment_facts(project, runner, hub, hub.standing([name]), whole=True, on_target=reached)
    findings = [Finding(name, "lock, ports, GitHub's answers", error) for error in facts.found] or [
        Finding(name, "lock, ports, GitHub's answers")
    ]
    for what, check in CHECKS.items():
        errors = list(check(facts))
        findings += [Finding(name, what, error) for error in errors] or ([Finding(name, what)] if judged(what) else [])
    findings += [Finding(name, what, advice=advice) for what, advice in advices(facts, hub)]
    return [*findings, *hosts, *(on_target(project) if reached else [])]


def judged(what: str) -> bool:
    """Whether a check says anything without a release."""
    return what in ("protected as the config demands", "no freeze window", "room on the disk")


def advices(facts: Facts, hub: GitHub) -> list[tuple[str, str]]:
    """What GitHub lets pass in silence, and what makes an approval worth less."""
    protection = facts.protection
    if protection is None or not protection.reviewers:
        return []
    found = [("reviewers have access", no_access(protection, hub))]
    if protection.self_review:
        found.append(
            ("self-review", "whoever starts a run may approve it; see “Prevent self-review” of the environment")
        )
    if protection.any_branch:
        found.append(("branches", "runs of any branch may deploy; restrict them under “Deployment branches and tags”"))
    return found


def no_access(protection: Protection, hub: GitHub) -> str:
    """Reviewers whom GitHub ignores without a word, since they cannot write to the repository; teams are not asked."""
    errors: list[CicdError] = []
    lost = [who for who in protection.reviewers if caught(errors, lambda who=who: hub.may_write(who)) is False]  # type: ignore[misc]
    if errors:
        return f"could not be asked with this token: {errors[0].what}"
    return f"{', '.join(lost)} cannot write to the repository, so GitHub does not ask them" if lost else ""


def on_target(project: Project) -> list[Finding]:
    """What only the target knows; a journal that cannot be read is a finding, and the others are told as well."""
    name, target = project.site.name, project.site.target
    try:
        target.require_writable()
        settled = at_rest(project)
        unsettled = settled.error or settled.advice  # then something else may answer, and has to: recover comes first
        return [Finding(name, "the target can be written"), settled, *([] if unsettled else answers(project))]
    except CicdError as error:
        return [Finding(name, "the target", error)]


def at_rest(project: Project) -> Finding:
    """Whether a killed run has left something; one that lives has not."""
    state, what = project.site.target.state(), "nothing is half done"
    if state.unfinished is None:
        return Finding(project.site.name, what)
    attempt = state.unfinished.payload
    if project.site.target.is_held():
        return Finding(project.site.name, what, advice=f"`{attempt.kind} {attempt.release.name}` is under way")
    error = Unfinished(
        f"A run was killed while it did `{attempt.kind} {attempt.release.name}`", next_step="run `cicd recover`"
    )
    return Finding(project.site.name, what, error)


def answers(project: Project) -> list[Finding]:
    """Whether what runs here answers through its router as it should, on each host, and where users reach it."""
    site = project.site
    release = site.running().release
    if release is None:
        return [Finding(site.name, "nothing runs here")]
    record, health = site.target.record(release.id), site.deploy.health
    told = site.router.ask(record)
    wrong = [one for one in told if not good(one, health, release.id)]
    error = Unhealthy(
        f"{release.name} is not well: {why_not(wrong, health, release.id)}",
        next_step=f"look at its log, or `cicd rollback --environment {site.name}`",
    )
    found = [Finding(site.name, "what runs is healthy", error if wrong else None)]
    if not site.engine.services_run(record):
        found.append(Finding(site.name, "the services that all slots use", not_all_run(site.name)))
    if site.given_url and not wrong:
        seen = probe(f"{site.given_url}{health.path}", release_header=ROUTER_RELEASE)
        why = "" if good(seen, health, release.id) else why_not([seen], health, release.id)
        found.append(
            Finding(site.name, f"{site.given_url} leads to it", advice=why and f"not as seen from here: {why}")
        )
    return found


def not_all_run(environment: str) -> ServiceFailed:
    return ServiceFailed(
        f"Not all services of `{environment}` run",
        cause="one of them has ended, or was stopped by hand",
        next_step="`docker ps --all` on its hosts shows which; a promotion starts them again",
    )
