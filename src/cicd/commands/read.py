"""What every deploy command reads first: config, environment, target."""

from dataclasses import dataclass
from pathlib import Path

from cicd.adapters.engines import ENGINES, Engine
from cicd.adapters.migrators import MIGRATORS, Migrator
from cicd.adapters.routers import ROUTERS, Router
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target, target_root
from cicd.commands.steps import TargetSteps
from cicd.core.config import Config, Deploy, Environment, deploy_of, environment_of, parse_config
from cicd.core.plan import Running
from cicd.core.release import Record
from cicd.errors import ConfigError


def read_config(working_directory: str, config: str) -> Config:
    """The consumer's config. Raises ConfigError."""
    path = Path(working_directory) / config
    try:
        return parse_config(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise ConfigError(
            f"There is no {path}",
            cause="it was not committed, or the job has not checked the repository out",
            next_step="add the file (docs/reference.md), or give its path with `config`",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", next_step="mend the file") from error


@dataclass(frozen=True)
class Site:
    """One environment of the config, with what drives it."""

    config: Config
    deploy: Deploy
    name: str
    environment: Environment
    target: Target
    engine: Engine
    folder: Path

    @classmethod
    def of(cls, folder: str, config_path: str, name: str, runner: Runner) -> "Site":
        """The environment `name` of the project in `folder`. Raises ConfigError, UnknownEnvironment."""
        config = read_config(folder, config_path)
        environment = environment_of(config, name)
        deploy = deploy_of(config, environment)
        target = Target(target_root(runner), config.app, name)
        return cls(config, deploy, name, environment, target, ENGINES[deploy.engine](target, runner), Path(folder))

    def router(self, runner: Runner) -> Router:
        return ROUTERS[self.deploy.router](self.target, runner)

    def migrator(self) -> Migrator:
        return MIGRATORS[self.deploy.migrate]

    def steps(
        self, runner: Runner, running: Running, new: Record | None = None, settings: dict[str, str] | None = None
    ) -> TargetSteps:
        """The steps of a deployment here."""
        return TargetSteps(self.target, self.engine, self.router(runner), self.migrator(), running, new, settings)

    def running(self) -> Running:
        """What runs here: by the journal, and whether the other slot still lives by its process."""
        running = self.target.state().running
        other = "green" if running.slot == "blue" else "blue"
        return Running(release=running.release, slot=running.slot, warm=self.engine.alive(other))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment.ports.router}"
