"""`cicd plan`: what a promotion would do. promote itself proposes its plan here, so that the two cannot differ."""

from dataclasses import dataclass

import msgspec

from cicd.adapters.runner import Runner
from cicd.adapters.store import read_texts, tag_of
from cicd.commands.read import Project, Site
from cicd.contract import Plan as Inputs
from cicd.core.deployment_summary import plan_markdown
from cicd.core.migration_sources import read_migrations, suffixes
from cicd.core.migrations import between, head
from cicd.core.plan import Plan, Running, plan_promotion
from cicd.core.release import Record, Release, bare_digest, config_digest, digest, full_sha, parse_dotenv
from cicd.core.results import Result

SHORTEST_SECRET = 4  # characters; a shorter one is in every text, and masking it would hide the log


@dataclass(frozen=True)
class Proposal:
    """A plan with what is needed to carry it out.

    Attributes:
        plan: what would happen.
        record: the release as it would lie on the target.
        settings: all settings it would get, secrets included.
        running: what runs now.
        secrets: values of secret settings, the new release's and the running one's, to be kept out of every text.
    """

    plan: Plan
    record: Record
    settings: dict[str, str]
    running: Running
    secrets: list[str]

    def __repr__(self) -> str:  # settings hold secrets
        return f"Proposal({self.plan.hash})"


def main(inputs: Inputs, runner: Runner) -> Result:
    """Say it; nothing is touched, GitHub is not asked."""
    project = Project.of(inputs.working_directory, inputs.config, inputs.environment, runner)
    proposal = propose(
        project, runner, bare_digest(inputs.image), full_sha(inputs.sha or runner.sha), inputs.version, inputs.app_env
    )
    plan = proposal.plan
    text = plan_markdown(plan, secrets_known=bool(proposal.record.secrets))
    return Result(
        decision="planned",
        message=text if not runner.is_actions else f"Plan {plan.hash}: {plan.rollback_class}",
        outputs={"plan": plan.hash},
        data={"steps": [str(step) for step in plan.steps], "rollback_class": plan.rollback_class},
        summary=text,
    )


def propose(project: Project, runner: Runner, image: str, sha: str, version: str, app_env: str) -> Proposal:
    """Decide what putting an image into an environment means now. Raises ImageMissing, ConfigError."""
    site = project.site
    path = site.engine.require_image(image)
    wanted = suffixes(site.deploy)
    migrations = read_migrations(site.deploy, read_texts(path, wanted) if wanted else {})
    secrets = parse_dotenv(app_env)
    for value in secrets.values():
        if len(value) >= SHORTEST_SECRET:
            runner.mask(value)
    public = {**site.deploy.env, **project.environment.env}
    release = Release(
        sha=sha,
        image=image,
        config=config_digest(public, secrets, site.target.key()),
        schema=head(migrations),
        manifest=digest([msgspec.to_builtins(site.deploy), msgspec.to_builtins(site.ports)]),
        version=version or tag_of(project.folder, sha),
    )
    running = site.running()
    pending = between(migrations, running.release.schema if running.release else "", release.schema)
    settings = {**public, **secrets}
    canary = site.deploy.canary.share if site.deploy.canary else 0.0
    changes = changed(site, running, settings, bool(secrets))
    plan = plan_promotion(site.name, release, running, pending, changes, digest(public), canary)
    record = Record(
        release=release,
        environment=site.name,
        deploy=site.deploy,
        ports=site.ports,
        migrations=migrations,
        python=project.config.python,
        secrets=sorted(secrets),
        production=site.production,
    )
    old = site.target.secrets(running.release.id) if running.release else []
    return Proposal(plan, record, settings, running, [*secrets.values(), *old])


def lost_secrets(site: Site, proposal: Proposal) -> list[str]:
    """Names of secret settings that the running release has, when the new one was given none at all."""
    release = proposal.running.release
    if release is None or proposal.record.secrets or not site.target.has(release.id):
        return []
    return site.target.record(release.id).secrets


def changed(site: Site, running: Running, settings: dict[str, str], secrets_known: bool) -> list[str]:
    """Names of the settings that differ from what runs; never a value. Secrets that are not seen here are left out."""
    if running.release is None or not site.target.has(running.release.id):
        return sorted(settings)
    now = site.target.settings(running.release.id)
    if not secrets_known:
        hidden = set(site.target.record(running.release.id).secrets)
        now = {name: value for name, value in now.items() if name not in hidden}
    return sorted(name for name in now.keys() | settings.keys() if now.get(name) != settings.get(name))
