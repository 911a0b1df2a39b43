"""Where secrets of the demo have ended up: in nothing that is read by others, kept for long, or shown."""

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from cicd.demo.stage import ENVIRONMENTS, Stage
from cicd.demo.story import Told


def secrets_of(stage: Stage, told: Told) -> dict[str, str]:
    """Every secret by a name for it: passwords, the settings that they are in, tokens of people and runs."""
    found = {f"password of {name}": server.password for name, server in stage.servers.items()}
    found |= {f"token of {login}": token for login, token in stage.tokens.items()}
    found |= {f"token of run {name}": played.token for name, played in told.runs.items()}
    for name in ENVIRONMENTS:
        for line in stage.app_env(name).splitlines():
            found[f"{line.partition('=')[0]} of {name}"] = line.partition("=")[2]
    return {name: secret for name, secret in found.items() if secret}


# There to hold secrets, and for their owner alone: what act is given, what a server starts with, settings of releases.
KEPT = ("runner/secrets", "services/state.json", "services/*/redis.conf", "targets/*/*/releases/*/settings.json")


def leaks(stage: Stage, told: Told) -> list[str]:
    """A line for each place with a secret: logs, outputs, summaries, journals, databases, command lines that still run.

    KEPT are no such places, as long as nobody but their owner can read them.
    """
    wanted = secrets_of(stage, told)
    found = []
    for run, played in told.runs.items():
        found += [f"log of {run}: {name}" for name in _in("\n".join(played.log).encode(), wanted)]
        found += [f"outputs of {run}: {name}" for name in _in(repr(played.results).encode(), wanted)]
    for process in psutil.process_iter(["cmdline"]):
        line = "\0".join(process.info["cmdline"] or [])
        found += [f"command line of process {process.pid}: {name}" for name in _in(line.encode(), wanted)]
    for path in _files(stage.folder):
        place = path.relative_to(stage.folder)
        if not (any(place.match(kept) for kept in KEPT) and _is_private(path)):
            found += [f"{place}: {name}" for name in _in(path.read_bytes(), wanted)]
    return found


def _in(data: bytes, wanted: dict[str, str]) -> Iterable[str]:
    return [name for name, secret in wanted.items() if secret.encode() in data]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _is_private(path: Path) -> bool:
    return not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
