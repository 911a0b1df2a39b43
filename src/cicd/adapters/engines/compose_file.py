"""Reading a project's Compose files, by Compose itself: no other program knows all that may stand in them."""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cicd.adapters.engines.layout import Layout, Source
from cicd.adapters.process import output, run
from cicd.adapters.runner import Runner
from cicd.adapters.tools import compose_command
from cicd.core.compose import (
    Shape,
    local_paths,
    outside,
    port_of,
    problems,
    relative_paths,
    several,
    shape,
    unbuilt,
    with_env_files,
)
from cicd.core.release import digest, redact
from cicd.core.stack_file import stack_problems
from cicd.errors import CommandFailed, ConfigError

IMAGE = "cicd.invalid/image"  # stands for the release's image until it is named
RELEASE = "cicd-release-id"  # stands for the release's id, which comes from all of this
PUBLIC = ("--no-interpolate", "--no-path-resolution", "--no-env-resolution")
KEPT = ("PATH", "HOME", "DOCKER_CONFIG", "LANG")  # of the job's variables: what Docker's own programs need
PLACEHOLDERS = (".gitkeep", ".gitignore")  # files by which git holds a folder that is empty


def read_layout(
    source: Source, settings: Mapping[str, str], runner: Runner, *, whole: bool, own: Collection[str] = ()
) -> Layout:
    """How a release of a checkout would run by its Compose files.

    Args:
        whole: whether all settings are known; if not, what needs them is left out.
        own: names of settings that are the environment's own: those of `deploy.env` change with releases.

    Raises:
        ConfigError: a file is not there or wrong, a variable has no value, or it cannot be deployed.
    """
    with ThreadPoolExecutor(1) as pool:  # each starts a program
        asked = pool.submit(read_model, source, settings, runner, own) if whole else None
        public = render(source, runner, {}, PUBLIC)
    if away := outside(public):
        raise ConfigError(
            f"{', '.join(source.compose)}: {', '.join(away)} is outside of {source.folder}",
            cause="a release is laid out on its hosts from what the project's folder has",
            next_step="move it into that folder, or give the absolute path that it has on the hosts",
        )
    found = _shape(source, public)
    model = asked.result() if asked else {}
    shared = _shared(public, found)
    over_nodes = ["swarm"] if source.deploy.engine == "swarm" else []  # they are made otherwise there
    paths = {Path(path) for path in local_paths(model, str(source.folder.resolve()))}
    shipped = {path: _digest_of(path) for path in paths if is_in_git(source.folder, path)}
    return Layout(
        manifest=digest([public, _contents(source.folder, public)]),
        services=digest([shared, _contents(source.folder, shared), *over_nodes]),
        model=model,
        shipped=shipped,
        led={path: path.relative_to(source.folder.resolve()) for path in paths - shipped.keys()},
        data=source.data,
    )


def read_model(
    source: Source, settings: Mapping[str, str], runner: Runner, own: Collection[str] = ()
) -> dict[str, Any]:
    """The model with all variables filled in, without services whose profile is off. Raises ConfigError."""
    ours = {"IMAGE": IMAGE, "CICD_RELEASE": RELEASE, "CICD_ENVIRONMENT": source.environment}
    with redacted(settings.values()):
        model = render(source, runner, {**settings, **ours}, ("--no-env-resolution",))
    if source.deploy.service not in (model.get("services") or {}):
        raise ConfigError(
            f"{', '.join(source.compose)}: services.{source.deploy.service}: none of its profiles is on",
            next_step="take `profiles` from it, or name one with COMPOSE_PROFILES under `deploy.env`",
        )
    found = _shape(source, model)
    wrong = problems(model, found, port_of(model["services"][found.service], source.deploy.port))
    wrong += stack_problems(model, found) if source.deploy.engine == "swarm" else several(model, found)
    if wrong:
        raise ConfigError(
            f"The compose files of `{source.environment}` cannot be deployed: {'; '.join(wrong)}",
            next_step="mend them, or give this environment files of its own with `compose`",
        )
    files = [one["path"] for service in model["services"].values() for one in service.get("env_file") or []]
    missing = [path for path in files if not is_in_git(source.folder, Path(path))]
    # A database that got the application's settings would be started anew when one of them changes.
    lasting = {name: value for name, value in settings.items() if name in own or name not in source.deploy.env}
    return with_env_files(model, missing, settings, dict.fromkeys(found.shared, lasting))


def _shape(source: Source, model: Mapping[str, Any]) -> Shape:
    """Who is who, and that there is an image of each. Raises ConfigError."""
    found = shape(model, source.deploy.service, source.deploy.companions)
    if names := [f"services.{name}" for name in unbuilt(model, found)]:
        raise ConfigError(
            f"{', '.join(source.compose)}: {', '.join(names)} has `build` and no `image`",
            cause="a service that both slots use is started from its image: a host has no checkout to build from",
            next_step="push what it builds to a registry and name that with `image`, by digest; or name the service in "
            "deploy.companions, if it runs the release's image",
        )
    return found


def render(source: Source, runner: Runner, variables: Mapping[str, str], options: Sequence[str]) -> dict[str, Any]:
    """Compose's own reading of the files, as JSON. `variables` fill them in, and errors may quote their values.

    Raises:
        ConfigError: a file is not there or wrong, or a variable has no value; all of these are named.
    """
    command, env = _command(source, runner, variables)
    said = list[str]()
    answer: dict[str, Any] | None = None
    with suppress(CommandFailed, ValueError):
        answer = json.loads(output([*command, "--format=json", *options], env=env, complain=said.append))
    unset = sorted(set(re.findall(r'The \\?"(\w+)\\?" variable is not set', said[0])))
    if answer is None or (unset and variables):
        raise ConfigError(
            f"{', '.join(source.compose)}: {_named(unset) or _last_line(said[0])}",
            cause="each variable needs a value: a default in the file, `env` in cicd.yml, or a line of `app-env`"
            if unset
            else "",
            next_step="mend the file; `docker compose config` reads it as this does",
        )
    return answer


def ask(source: Source, runner: Runner, variables: Mapping[str, str], options: Sequence[str]) -> dict[str, Any]:
    """What Compose answers in JSON about the files. Raises ConfigError."""
    command, env = _command(source, runner, variables)
    try:
        return dict(json.loads(output([*command, "--format=json", *options], env=env)))
    except (CommandFailed, ValueError) as error:
        raise ConfigError(f"{', '.join(source.compose)} cannot be read: {_last_line(str(error))}") from error


def _command(source: Source, runner: Runner, variables: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """`docker compose config` for the files, and its environment: nothing of this machine is filled in.

    Compose reads a `.env` beside the files. It counts if git has it, and not if it is somebody's own.
    """
    absent = [path for path in source.compose if not (source.folder / path).is_file()]
    if absent:
        raise ConfigError(
            f"There is no {', '.join(absent)} in {source.folder}",
            cause="it was not committed, or has another name",
            next_step="mend `compose` of the environment or of `deploy`",
        )
    dotenv = source.folder.resolve() / ".env"
    known = dotenv if is_in_git(source.folder, dotenv) else "/dev/null"
    place = ["--project-directory", str(source.folder), f"--env-file={known}"]
    files = [part for path in source.compose for part in ("--file", str(source.folder / path))]
    env = {name: runner.env[name] for name in KEPT if name in runner.env} | dict(variables)
    return [*compose_command(runner), *place, *files, "config"], env


@contextmanager
def redacted(values: Iterable[str]) -> Iterator[None]:
    """Errors in here have none of these values, which Compose quotes when it cannot use them."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(redact(error.what, values), cause=error.cause, next_step=error.next_step) from None


def _named(unset: Sequence[str]) -> str:
    return f"{', '.join(unset)} has no value" if unset else ""


def _last_line(said: str) -> str:
    lines = [line for line in said.strip().splitlines() if "variable is not set" not in line]
    return lines[-1][:500] if lines else "Compose does not say why"


def _shared(public: Mapping[str, Any], found: Shape) -> dict[str, Any]:
    """The part of a model that all slots use."""
    services = {name: public["services"][name] for name in found.shared}
    return {**public, "services": services, "router": public["services"][found.service].get("ports")}


def _contents(folder: Path, public: Mapping[str, Any]) -> dict[str, str]:
    """Digests of what the services of a public model are given of the checkout: a changed file is a change of them."""
    given = {path: (folder / path).resolve() for path in relative_paths(public)}
    inside = {path: place for path, place in given.items() if place.is_relative_to(folder.resolve())}
    return {path: _digest_of(place) for path, place in inside.items() if is_in_git(folder, place)}


def is_in_git(folder: Path, path: Path) -> bool:
    """Whether git has the file, or something in the folder; without git, whether it is there."""
    if not path.exists():
        return False
    done = run(["git", "-C", str(folder), "ls-files", "-z", "--", str(path)], check=False)
    if done.code:
        return True
    return any(Path(name).name not in PLACEHOLDERS for name in done.output.split("\0") if name)


def _digest_of(path: Path) -> str:
    """sha256 over the file, or over all files below the folder with their names and modes."""
    total = hashlib.sha256()
    for file in sorted(each for each in (path.rglob("*") if path.is_dir() else [path]) if each.is_file()):
        total.update(f"{file.relative_to(path)}\0{file.stat().st_mode & 0o100:o}\0".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
