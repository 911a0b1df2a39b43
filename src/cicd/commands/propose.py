"""What a promotion would be, as a value: plan, record, settings. `cicd plan` and `cicd promote` both start here."""

import string
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from cicd.adapters.engines import layout_of
from cicd.adapters.engines.layout import Layout
from cicd.adapters.migrators.checkout import at_commit
from cicd.adapters.registry import Registry
from cicd.adapters.runner import Runner
from cicd.adapters.store import subjects, tag_of
from cicd.commands.read import Project, Site
from cicd.core.journal import durations
from cicd.core.ledger import Deployment, current
from cicd.core.migration_sources import read_migrations, suffixes
from cicd.core.migrations import Migration, between, head
from cicd.core.plan import Plan, Running, plan_promotion
from cicd.core.release import SHORTEST_SECRET as SHORTEST_SECRET
from cicd.core.release import Record, Release, config_digest, digest, full_sha, parse_dotenv
from cicd.errors import ConfigError, UsageError


@dataclass(frozen=True)
class Proposal:
    """A plan with what is needed to carry it out.

    Attributes:
        plan: what would happen.
        record: the release as it would lie on the target.
        settings: all settings it would get, secrets included.
        layout: how it would run.
        running: what runs now.
        secrets: values of secret settings, the new release's and the running one's, to be kept out of every text.
    """

    plan: Plan
    record: Record
    settings: dict[str, str]
    layout: Layout
    running: Running
    secrets: list[str]

    def __repr__(self) -> str:  # settings hold secrets
        return f"Proposal({self.plan.hash})"


@dataclass(frozen=True)
class Ground:
    """What a proposal starts from.

    Attributes:
        running: what runs now.
        record: of the release that runs; None where it is not to be seen.
        settings: of the release that runs, secrets included.
        key: for digests of secrets.
        took: seconds that each kind of step took before.
        built_from: commit of the image; empty if it does not tell.
        migrations: that the image's code knows, first to last.
    """

    running: Running
    record: Record | None
    settings: Mapping[str, str] = field(repr=False)
    key: bytes = field(repr=False)
    took: Mapping[str, float]
    built_from: str
    migrations: list[Migration]


def seen(site: Site, image: str) -> Ground:
    """What a proposal starts from, by what lies on the target. Raises ImageMissing, PrepareFailed."""
    engine, target = site.engine, site.target
    with ThreadPoolExecutor(1) as pool:  # each asks programs of the host
        asked = pool.submit(site.running)
        engine.require_image(image)
        built_from = engine.commit(image)
    wanted, running = suffixes(site.deploy), asked.result()
    there = running.release is not None and target.has(running.release.id)
    return Ground(
        running=running,
        record=target.record(running.release.id) if running.release and there else None,
        settings=target.settings(running.release.id) if running.release and there else {},
        key=target.key(),
        took=durations(target.entries()),
        built_from=built_from,
        migrations=read_migrations(site.deploy, engine.texts(image, wanted) if wanted else {}),
    )


def unseen(project: Project, runner: Runner, ledger: Sequence[Deployment], image: str, sha: str) -> Ground:
    """The same where the hosts are not to be seen, such as by a job that has no key: by ledger, registry and checkout.

    A plan that it leads to has the hash of the one that is made on the target, or is refused there.

    Raises:
        ImageMissing, RegistryDenied, RegistryUnavailable, UsageError.
    """
    site, said = project.site, current(ledger, project.site.name)
    built_from = Registry.of(site.repository, runner).manifest(image).revision
    commit = full_sha(sha or built_from or runner.sha)
    return Ground(
        running=Running(release=said.release if said else None),
        record=None,
        settings={},
        key=b"",
        took={},
        built_from=built_from,
        migrations=at_commit(site.deploy, project.folder, commit) if suffixes(site.deploy) else [],
    )


def propose(
    project: Project,
    runner: Runner,
    image: str,
    sha: str,
    version: str,
    app_env: str,
    *,
    whole: bool = True,
    ground: Ground | None = None,
    layout: Layout | None = None,
) -> Proposal:
    """Decide what putting an image into an environment means now.

    Args:
        whole: whether `app_env` has the environment's secrets; a job that plans cannot see them.
        ground: what it starts from; None: what is seen on the target.
        layout: of an earlier proposal from the same checkout and settings.

    Raises:
        ImageMissing, ConfigError.
    """
    site = project.site
    ground = ground or seen(site, image)
    sha = commit(ground, runner, image, sha)
    public, secrets = settings_of(project, runner, app_env)
    settings = {**public, **secrets}
    layout = layout or read_layout(project, runner, app_env, whole=whole)
    release = Release(
        sha=sha,
        image=image,
        config=config_digest(public, secrets, ground.key),
        schema=head(ground.migrations),
        manifest=digest([msgspec.to_builtins(site.deploy), msgspec.to_builtins(site.ports), layout.manifest]),
        version=version or tag_of(project.folder, sha),
    )
    running = ground.running
    services = digest([layout.services, release.config]) if layout.services else ""
    plan = plan_promotion(
        site.name,
        release,
        running,
        between(ground.migrations, running.release.schema if running.release else "", release.schema),
        changed(ground, public, secrets),
        public=digest(public),
        commits=subjects(project.folder, running.release.sha, sha) if running.release else [],
        took=ground.took,
        canary=site.deploy.canary.share if site.deploy.canary else 0.0,
        services=services != running.services,
    )
    record = Record(
        release=release,
        environment=site.name,
        deploy=site.deploy,
        ports=site.ports,
        migrations=ground.migrations,
        python=project.config.python,
        secrets=sorted(secrets),
        production=site.production,
        repository=site.repository,
        hosts=list(site.hosts),
        services=services,
        url=site.given_url,
    )
    old = [
        ground.settings[name] for name in (ground.record.secrets if ground.record else ()) if name in ground.settings
    ]
    return Proposal(plan, record, settings, layout, running, [*secrets.values(), *old])


def settings_of(project: Project, runner: Runner, app_env: str) -> tuple[dict[str, str], dict[str, str]]:
    """The settings of a release, public and secret; the secret ones are masked. Raises ConfigError."""
    secrets = parse_dotenv(app_env)
    for value in secrets.values():
        if len(value) >= SHORTEST_SECRET:
            runner.mask(value)
    refuse_in_command(project.site.deploy.run, secrets)
    return {**project.site.deploy.env, **project.environment.env}, secrets


def read_layout(project: Project, runner: Runner, app_env: str, *, whole: bool = True) -> Layout:
    """How a release of the checkout would run. `whole`: see propose. Raises ConfigError."""
    public, secrets = settings_of(project, runner, app_env)
    own = {*project.environment.env, *secrets}
    return layout_of(project.source, {**public, **secrets}, runner, whole=whole, own=own)


def commit(ground: Ground, runner: Runner, image: str, sha: str) -> str:
    """The commit of a release: the one that its image was built from. Raises UsageError for another one."""
    built_from = ground.built_from
    if sha and built_from and sha != built_from:
        raise UsageError(
            f"Image {image[:19]}… was built from commit {built_from[:12]}, not from {sha[:12]}",
            cause="a release is one commit and the image of it",
            next_step="leave `sha` out, or give the image that was built from it",
        )
    return full_sha(sha or built_from or runner.sha)


def refuse_in_command(command: str, secrets: Iterable[str]) -> None:
    """A command line can be read by all. Raises ConfigError if one names a secret setting."""
    if named := set(string.Template(command).get_identifiers()).intersection(secrets):
        name = min(named)
        raise ConfigError(
            f"deploy.run: ${name} is a secret setting, and is not filled in",
            cause="all users of the machine can read a command line",
            next_step=f"let the program read {name} from its environment, and take it out of the command",
        )


def lost_secrets(site: Site, proposal: Proposal) -> list[str]:
    """Names of secret settings that the running release has, when the new one was given none at all."""
    release = proposal.running.release
    if release is None or proposal.record.secrets or not site.target.has(release.id):
        return []
    return site.target.record(release.id).secrets


def changed(ground: Ground, public: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """The settings that differ from what runs: `NAME: "old" → "new"`, of secret ones the name alone.

    Secrets that are not seen here, where none is given, are left out.
    """
    record, now = ground.record, ground.settings
    if record is None:
        return [*(f'{name}: "{public[name]}"' for name in sorted(public)), *sorted(secrets)]
    was = {name: value for name, value in now.items() if name not in record.secrets}
    differ = [name for name in sorted(was.keys() | public.keys()) if was.get(name) != public.get(name)]
    told = [f"{name}: {shown(was.get(name))} → {shown(public.get(name))}" for name in differ if name not in secrets]
    hidden = {name: now[name] for name in record.secrets if name in now} if secrets else {}
    return [*told, *(name for name in sorted(hidden.keys() | secrets.keys()) if hidden.get(name) != secrets.get(name))]


def shown(value: str | None) -> str:
    """A public setting, cut to what can be read."""
    return "none" if value is None else f'"{value[:60]}{"…" if len(value) > 60 else ""}"'
