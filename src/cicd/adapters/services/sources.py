"""Where a server comes from: a program of this machine, our locked wheels, or an image that Docker runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cicd.adapters.process import which
from cicd.adapters.runner import Runner
from cicd.adapters.services import Service, Started, service_of
from cicd.adapters.services.container import InContainer, docker_program, fetch_image
from cicd.adapters.services.job import Job
from cicd.adapters.tools import IN_WHEELS, from_wheel, version_of
from cicd.core.service_texts import fill
from cicd.core.services import Wanted, satisfies
from cicd.errors import ServiceFailed, ToolMissing


@dataclass(frozen=True)
class Source:
    """What a server is started from: `path` (this machine), `wheel`, `command` (the config's) or `container`.

    `version` is empty where only the running server can tell it.
    """

    name: str
    service: Started
    program: Path
    version: tuple[int, ...] = ()


def find_source(wanted: Wanted, job: Job, runner: Runner) -> Source:
    """The quickest source with the version asked for; any when none was.

    Raises:
        ServiceFailed: with what there is.
    """
    service = service_of(wanted)
    if wanted.about.image:
        return _image(wanted, service, wanted.about.image, job, runner)
    if wanted.about.command:
        return Source("command", service, Path("/"))
    seen = []
    for source in _programs(service, runner):
        if satisfies(wanted.version, source.version):
            return source
        seen.append(f"{'.'.join(map(str, source.version))} ({source.name})")
    there = f"there is {' and '.join(dict.fromkeys(seen)) or 'none'}"
    try:
        return _image(wanted, service, service.IMAGE, job, runner)
    except (ServiceFailed, ToolMissing) as error:
        raise ServiceFailed(
            f"{wanted} cannot be had",
            cause=f"{there}; as a container: {error.what.rstrip('.')}" + (f" ({error.cause})" if error.cause else ""),
            next_step=f"ask for one of these, or put another `{service.PROGRAM}` on PATH",
        ) from error


def _image(wanted: Wanted, service: Service, image: str, job: Job, runner: Runner) -> Source:
    """Raises ServiceFailed, ToolMissing."""
    docker = docker_program(runner)
    reference = fill(image, {"version": wanted.version or "latest", "name": wanted.name})
    fetch_image(docker, reference, runner)
    return Source("container", InContainer(service, reference, job, runner.env), docker)


def _programs(service: Service, runner: Runner) -> Iterator[Source]:
    """PATH, then the folders of packages, newest first, then the wheel, which may have to be installed.

    Links are not followed: Debian's redis-server is one to redis-check-rdb, and what it does goes by its name.
    """
    on_path = which(service.PROGRAM, runner.env.get("PATH"))
    packaged = [path for pattern in service.FOLDERS for path in Path("/").glob(f"{pattern[1:]}/{service.PROGRAM}")]
    found = [Source("path", service, path, version) for path in packaged if (version := service.version(path))]
    if on_path and (version := service.version(Path(on_path))):
        yield Source("path", service, Path(on_path).absolute(), version)
    yield from sorted(found, key=lambda source: source.version, reverse=True)
    if service.PROGRAM in IN_WHEELS:
        wheel = from_wheel(service.PROGRAM, runner.env)
        yield Source("wheel", service, wheel, version_of(wheel))
