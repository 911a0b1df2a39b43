"""Which servers a job needs, with which settings, and whether a running one will do."""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from cicd.core.config import Config, Service, Setting, suite_of
from cicd.core.service_texts import KNOWN
from cicd.errors import CicdError, ConfigError, UsageError

VERSION = re.compile(r"\d+(\.\d+){0,2}")
SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Processes that run one job each, by the name that the kernel shows: GitHub's runner, act, Gitea's and Forgejo's.
RUNNERS = frozenset({"Runner.Worker", "act", "act_runner", "forgejo-runner"})


@dataclass(frozen=True)
class Wanted:
    """A server to bring up. An empty version is any; settings are the server's own, by their own names.

    `about` is how the config describes it, without version and settings.
    """

    name: str
    version: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    about: Service = field(default_factory=Service)

    @property
    def is_described(self) -> bool:
        """Whether the config says how it is run."""
        return bool(self.about.command or self.about.image)

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True)
class Ancestor:
    """A process above ours: its id and the name that the kernel shows."""

    pid: int
    name: str


def wanted_services(
    config: Config | None, *, suite: str, services: str, settings: str, known: Collection[str] = KNOWN
) -> list[Wanted]:
    """The servers to bring up, in the order in which they were named.

    Which: the input `services`, else what the suite needs, else all of the config's. Version and settings: the
    config's for that name, under what the inputs say.

    Args:
        config: None when the project has no config file.
        suite: name of a suite of the config, or empty.
        services: `name` or `name:version`, separated by spaces or commas.
        settings: lines of `service.name=value`.
        known: names of the services that can be started without being described.

    Raises:
        UsageError, ConfigError, UnknownSuite: a name or value that cannot be.
    """
    configured = {name: service or Service() for name, service in config.services.items()} if config else {}
    described = [name for name, service in configured.items() if service.command or service.image]
    startable = [*known, *(name for name in described if name not in known)]
    named = _named(services, startable, described) or dict.fromkeys(_from_config(config, suite), "")
    for name in named:
        if name not in startable:
            raise _unknown(name, startable, ConfigError, f"services.{name}: ")
    more = _setting_lines(settings, list(named))
    wanted = []
    for name, version in named.items():
        own = configured.get(name) or Service()
        if name not in described:
            _check_version(own.version, f"services.{name}.version", ConfigError)
        both = {**_texts(name, own.settings), **more.get(name, {})}
        about = msgspec.structs.replace(own, version="", settings={})
        wanted.append(Wanted(name, version or own.version, both, about))
    return wanted


def _from_config(config: Config | None, suite: str) -> list[str]:
    if config is None:
        return []
    return list(suite_of(config, suite).needs if suite else config.services)


def _named(text: str, known: Collection[str], described: Collection[str]) -> dict[str, str]:
    """`postgres:18 redis` → {postgres: "18", redis: ""}. The version of a described one is any text: a tag, mostly."""
    named: dict[str, str] = {}
    for word in text.replace(",", " ").split():
        name, _, version = word.partition(":")
        if name not in known:
            raise _unknown(name, known, UsageError, "services: ")
        if name in named:
            raise UsageError(f"services: `{name}` is named twice", next_step="name each service once")
        if name not in described:
            _check_version(version, f"services: `{word}`", UsageError)
        named[name] = version
    return named


def _unknown(name: str, known: Collection[str], kind: type[CicdError], where: str) -> CicdError:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"write `{close[0]}`" if close else f"describe `{name}` in the config, by its `command` or `image`"
    return kind(
        f"{where}there is no service `{name}`",
        cause=f"setup-env starts {', '.join(known)}",
        next_step=hint,
    )


def _check_version(version: str, where: str, kind: type[CicdError]) -> None:
    if version and not VERSION.fullmatch(version):
        raise kind(f"{where}: `{version}` is no version", next_step="write a number such as `18` or `18.1`")


def _setting_lines(text: str, named: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        key, equals, value = line.partition("=")
        service, _, name = key.strip().partition(".")
        if not equals or not SETTING.fullmatch(name):
            raise UsageError(
                f"settings: `{line}` is no setting", next_step="write lines such as `postgres.max_connections=200`"
            )
        if service not in named:
            raise UsageError(
                f"settings: `{line}` is for `{service}`, which is not started",
                cause=f"this job starts {', '.join(named) or 'no service'}",
                next_step="name the service under `services`, or leave the line out",
            )
        found.setdefault(service, {})[name] = value.strip()
    return found


def _texts(service: str, settings: Mapping[str, Setting]) -> dict[str, str]:
    """Settings of the config as servers read them; PostgreSQL and Redis both know yes and no."""
    texts = {}
    for name, value in settings.items():
        text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
        if not SETTING.fullmatch(name) or not text.isprintable():
            raise ConfigError(f"services.{service}.settings.{name}: is no setting", next_step="mend the file")
        texts[name] = text
    return texts


def satisfies(asked: str, version: Sequence[int]) -> bool:
    """Whether a program's version is the one asked for: `18` takes any 18.x, `18.1` only 18.1.x."""
    numbers = tuple(int(part) for part in asked.split(".") if part)
    return tuple(version[: len(numbers)]) == numbers


def will_do(wanted: Wanted, version: Sequence[int], running: Wanted) -> bool:
    """Whether a running server can be used again.

    It must have the version asked for, at least the settings asked for, and be described in the same words.

    Args:
        version: that it says it has; empty where it does not tell.
        running: what was asked for when it was started.
    """
    same = satisfies(wanted.version, version) if version else wanted.version == running.version
    return same and wanted.about == running.about and wanted.settings.items() <= running.settings.items()


def job_process(ancestors: Sequence[Ancestor], session_leader: int) -> int:
    """The process whose end is the end of the job.

    A runner, where one is above us. Else the leader of our session, which on a terminal is the shell that one types
    into. Else whoever called.

    Args:
        ancestors: from our parent upwards.
        session_leader: the leader of our session; may be ourselves.
    """
    for ancestor in ancestors:
        if ancestor.name in RUNNERS:
            return ancestor.pid
    if session_leader in [ancestor.pid for ancestor in ancestors]:
        return session_leader
    return ancestors[0].pid if ancestors else 0
