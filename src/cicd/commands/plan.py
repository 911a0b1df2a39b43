"""`cicd plan`: what a promotion would do. promote itself proposes its plan here, so that the two cannot differ."""

from dataclasses import dataclass

import msgspec

from cicd.adapters.runner import Runner
from cicd.adapters.store import read_texts, tag_of
from cicd.commands.read import Site
from cicd.contract import Plan as Inputs
from cicd.core.deployment_summary import plan_markdown
from cicd.core.migrations import Migration, between, head, read_migrations
from cicd.core.plan import Plan, Running, plan_promotion
from cicd.core.release import Record, Release, bare_digest, config_digest, digest, full_sha, parse_dotenv
from cicd.core.results import Result


@dataclass(frozen=True)
class Proposal:
    """A plan with what is needed to carry it out.

    Attributes:
        plan: what would happen.
        record: the release as it would lie on the target.
        settings: all settings it would get, secrets included.
        running: what runs now.
    """

    plan: Plan
    record: Record
    settings: dict[str, str]
    running: Running

    def __repr__(self) -> str:  # settings hold secrets
        return f"Proposal({self.plan.hash})"


def main(inputs: Inputs, runner: Runner) -> Result:
    """Say it; nothing is touched, GitHub is not asked."""
    site = Site.of(inputs.working_directory, inputs.config, inputs.environment, runner)
    proposal = propose(
        site, runner, bare_digest(inputs.image), full_sha(inputs.sha or runner.sha), inputs.version, inputs.app_env
    )
    plan = proposal.plan
    return Result(
        decision="planned",
        message=plan_markdown(plan) if not runner.is_actions else f"Plan {plan.hash}: {plan.rollback_class}",
        outputs={"plan": plan.hash},
        data={"steps": [str(step) for step in plan.steps], "rollback_class": plan.rollback_class},
        summary=plan_markdown(plan),
    )


def propose(site: Site, runner: Runner, image: str, sha: str, version: str, app_env: str) -> Proposal:
    """Decide what putting an image into an environment means now. Raises ImageMissing, ConfigError."""
    path = site.engine.require_image(image)
    migrations: list[Migration] = []
    if site.deploy.migrate == "alembic":
        migrations = read_migrations(read_texts(path, (".py", "alembic.ini")))
    secrets = parse_dotenv(app_env)
    public = {**site.deploy.env, **site.environment.env}
    release = Release(
        sha=sha,
        image=image,
        config=config_digest(public, secrets, site.target.key()),
        schema=head(migrations),
        manifest=digest([msgspec.to_builtins(site.deploy), msgspec.to_builtins(site.environment.ports)]),
        version=version or tag_of(site.folder, sha),
    )
    running = site.running()
    pending = between(migrations, running.release.schema if running.release else "", release.schema)
    settings = {**public, **secrets}
    plan = plan_promotion(site.name, release, running, pending, changed(site, running, settings))
    record = Record(
        release=release,
        environment=site.name,
        deploy=site.deploy,
        ports=site.environment.ports,
        migrations=migrations,
        python=site.config.python,
    )
    return Proposal(plan, record, settings, running)


def changed(site: Site, running: Running, settings: dict[str, str]) -> list[str]:
    """Names of the settings that differ from what runs; never a value."""
    if running.release is None or not site.target.has(running.release.id):
        return sorted(settings)
    now = site.target.settings(running.release.id)
    return sorted(name for name in now.keys() | settings.keys() if now.get(name) != settings.get(name))
