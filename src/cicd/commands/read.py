"""What every deploy command reads first: the project with its config, and the site, which is where it runs."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cicd.adapters.config_file import read_text
from cicd.adapters.engines import engine_of
from cicd.adapters.engines.layout import Layout, Source
from cicd.adapters.engines.protocol import Engine
from cicd.adapters.host import Host
from cicd.adapters.host.address import host_of
from cicd.adapters.migrators import MIGRATORS
from cicd.adapters.routers import Router, router_of
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target, apps_with, target_root, usable
from cicd.commands.steps import TargetSteps
from cicd.core.config import NAME, Config, Deploy, Environment, Ports, deploy_of, environment_of
from cicd.core.config_rules import parse_config
from cicd.core.plan import Running, idle
from cicd.core.release import Record, Release
from cicd.errors import ConfigError, NothingToRollBackTo, UsageError

NO_LAYOUT = Layout()


def read_config(working_directory: str, config: str) -> Config:
    """The consumer's config. Raises ConfigError."""
    path = Path(working_directory) / config
    try:
        return parse_config(read_text(path), str(path))
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(
            f"There is no {path}",
            cause="it was not committed, or the job has not checked the repository out",
            next_step="add the file (docs/tutorial.md shows how), or give its path with `config`",
        ) from None


@dataclass(frozen=True)
class Site:
    """One environment where it runs, with what drives it there.

    Attributes:
        name: of the environment.
        app: the application.
        deploy: how releases run there.
        ports: of the environment.
        production: whether no environment comes after it.
        repository: of the images; empty where they lie in the target's store.
        hosts: that it runs on, as the config names them, the one with the journal first.
        given_url: where users reach it, as the config says.
    """

    name: str
    app: str
    deploy: Deploy
    ports: Ports
    production: bool
    runner: Runner
    repository: str = ""
    hosts: tuple[str, ...] = ("local",)
    given_url: str = ""

    @functools.cached_property
    def targets(self) -> tuple[Target, ...]:
        """The environment on each of its hosts. Raises HostUnreachable, HostRefused."""
        return tuple(target_of(address, self.app, self.name, self.runner) for address in self.hosts)

    @property
    def target(self) -> Target:
        """The environment on the first of its hosts, which has the journal."""
        return self.targets[0]

    @property
    def engine(self) -> Engine:
        return engine_of(self.deploy.engine, self.targets, self.runner, self.repository)

    @property
    def router(self) -> Router:
        return router_of(self.deploy.engine, self.targets, self.runner)

    @property
    def url(self) -> str:
        return self.given_url or f"http://127.0.0.1:{self.ports.router}"

    def steps(
        self,
        running: Running,
        new: Record | None = None,
        settings: dict[str, str] | None = None,
        layout: Layout = NO_LAYOUT,
    ) -> TargetSteps:
        """The steps of a deployment here; `new`, with its settings and layout, is not on the target yet."""
        migrator = MIGRATORS[self.deploy.migrate]
        return TargetSteps(
            self.target,
            self.engine,
            self.router,
            migrator,
            running,
            new,
            settings,
            layout,
            self.runner.env.get("CICD_PROMETHEUS_TOKEN", ""),
        )

    def running(self) -> Running:
        """What runs here: by the journal; the other slot and the services by their programs."""
        running = self.target.state().running
        return Running(
            release=running.release,
            slot=running.slot,
            warm=self.engine.alive(idle(running.slot)),
            services=self._services(running.release),
        )

    def _services(self, release: Release | None) -> str:
        """Digest of the services that both slots use, if all of them run."""
        if release is None or not self.target.has(release.id):
            return ""
        record = self.target.record(release.id)
        return record.services if record.services and self.engine.services_run(record) else ""

    def of_release(self, release_id: str) -> "Site":
        """This site as a release knew it, if that lies here: its config may have been another than today's."""
        if not self.target.has(release_id):
            return self
        return _of_record(self.target.record(release_id), self.app, self.hosts, self.runner)


def target_of(address: str, app: str, environment: str, runner: Runner) -> Target:
    """An environment on a host, by its address."""
    host = host_of(address, runner)
    return Target(root_of(host, Path(urlsplit(address).path), runner), app, environment, host)


def root_of(host: Host, given: Path, runner: Runner) -> Path:
    """The folder of all targets on a host; `given`: as its address has it."""
    if host.name == "local":
        return target_root(runner)
    return usable(given if given.is_absolute() else host.home() / ".local" / "state" / "cicd")


def _of_record(record: Record, app: str, hosts: tuple[str, ...], runner: Runner) -> Site:
    """The site as a release on the target knew it."""
    return Site(
        name=record.environment,
        app=app,
        deploy=record.deploy,
        ports=record.ports,
        production=record.production,
        runner=runner,
        repository=record.repository,
        hosts=hosts,
        given_url=record.url,
    )


@dataclass(frozen=True)
class Project:
    """One environment of a checkout's config, and its site."""

    config: Config
    folder: Path
    environment: Environment
    site: Site

    @property
    def source(self) -> Source:
        """What an engine reads of the checkout."""
        return Source(
            folder=self.folder,
            compose=self.environment.compose or self.site.deploy.compose,
            data=self.environment.folder,
            environment=self.site.name,
            deploy=self.site.deploy,
        )

    @classmethod
    def of(cls, folder: str, config_path: str, name: str, runner: Runner) -> "Project":
        """The environment `name` of the project in `folder`. Raises ConfigError, UnknownEnvironment."""
        config = read_config(folder, config_path)
        environment = environment_of(config, name)
        site = Site(
            name=name,
            app=config.app,
            deploy=deploy_of(config, environment),
            ports=environment.ports,
            production=not any(other.after == name for other in config.environments.values()),
            runner=runner,
            repository=config.image,
            hosts=tuple(environment.hosts),
            given_url=environment.url,
        )
        return cls(config, Path(folder), environment, site)


def site_of_target(name: str, app: str, runner: Runner, hosts: Sequence[str] = ("local",)) -> Site:
    """The site of an environment by what lies on its target alone: no checkout is needed to go back.

    Args:
        app: the application; empty if only one has the environment on this machine.
        hosts: that it runs on; this machine alone, where no config says otherwise, may be the first of several.

    Raises:
        NothingToRollBackTo: no release was ever stable there. UsageError: more than one application has it.
    """
    for given in filter(None, (name, app)):
        if not re.fullmatch(NAME, given):
            raise UsageError(f"`{given}` is no name of an environment or application", next_step="see `cicd status`")
    apps = [app] if app else apps_with(target_root(runner), name)
    if len(apps) > 1:
        raise UsageError(f"More than one application has `{name}` here: {', '.join(apps)}", next_step="give `app`")
    target = target_of(hosts[0], apps[0] if apps else "", name, runner)
    release = target.state().running.release if apps else None
    if release is None or not target.has(release.id):
        raise NothingToRollBackTo(
            f"Nothing runs in `{name}` on this target",
            cause=f"{target.folder} has no release" if apps else f"no application has `{name}` below {target.root}",
            next_step=f"run this on the target of `{name}`, or promote a release first",
        )
    record = target.record(release.id)
    return _of_record(record, target.app, (hosts[0], *(hosts[1:] or record.hosts[1:])), runner)
