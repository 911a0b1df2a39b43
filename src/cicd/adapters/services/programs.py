"""Where a server's program comes from: this machine if its version is the one asked for, else our locked wheels."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cicd.adapters.process import which
from cicd.adapters.runner import Runner
from cicd.adapters.services import SERVICES, Service
from cicd.adapters.tools import from_wheel, version_of
from cicd.core.services import Wanted, satisfies
from cicd.errors import ServiceFailed


@dataclass(frozen=True)
class Program:
    """A server's program and where it comes from: `path` (this machine) or `wheel`."""

    path: Path
    version: tuple[int, ...]
    source: str


def find_program(wanted: Wanted, runner: Runner) -> Program:
    """The server's program in the version asked for; any when none was. Raises ServiceFailed with what there is."""
    seen = []
    for program in _programs(SERVICES[wanted.name], runner):
        if satisfies(wanted.version, program.version):
            return program
        seen.append(f"{'.'.join(map(str, program.version))} ({program.source})")
    raise ServiceFailed(
        f"{wanted} cannot be had",
        cause=f"there is {' and '.join(dict.fromkeys(seen)) or 'none'}",
        next_step=f"ask for one of these, or put another `{SERVICES[wanted.name].PROGRAM}` on PATH",
    )


def _programs(service: Service, runner: Runner) -> Iterator[Program]:
    """PATH, then the folders of packages, newest first, then the wheel, which may have to be installed.

    Links are not followed: Debian's redis-server is one to redis-check-rdb, and what it does goes by its name.
    """
    on_path = which(service.PROGRAM, runner.env.get("PATH"))
    packaged = [path for pattern in service.FOLDERS for path in Path("/").glob(f"{pattern[1:]}/{service.PROGRAM}")]
    found = [Program(path, version_of(path), "path") for path in packaged]
    if on_path:
        yield Program(Path(on_path).absolute(), version_of(on_path), "path")
    yield from sorted(found, key=lambda program: program.version, reverse=True)
    wheel = from_wheel(service.PROGRAM, runner.env)
    yield Program(wheel, version_of(wheel), "wheel")
