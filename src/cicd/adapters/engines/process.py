"""Engine `process`: a release is a folder, a slot is a process. The embedded default: it needs no Docker."""

import json
import os
import shlex
import shutil
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from cicd.adapters.engines.layout import Layout
from cicd.adapters.http import probe
from cicd.adapters.output import tail
from cicd.adapters.ports import HOST, require_free
from cicd.adapters.process import Completed, ProcessId, Started, clients, find, run, spawn, stop, with_variable
from cicd.adapters.python_env import ensure_venv, find_python
from cicd.adapters.runner import Runner
from cicd.adapters.store import built_from, image_path, read_texts, unpack, verified
from cicd.adapters.target import Target
from cicd.core.health import Probe
from cicd.core.release import Record
from cicd.errors import PrepareFailed

MARK = "CICD_SLOT"  # in the environment of a slot's program: the slot that it belongs to
RUN_MARK = "CICD_RUN_IN"  # in the environment of what run_in starts: the target's folder
BASE_PATH = "/usr/local/bin:/usr/bin:/bin"


class Living(msgspec.Struct, frozen=True):
    """What a slot's file says of its program."""

    release: str
    pid: Annotated[int, msgspec.Meta(ge=1)]
    started: Started

    @property
    def process(self) -> ProcessId:
        return ProcessId(self.pid, self.started)


@dataclass(frozen=True)
class Processes:
    """Programs of this machine."""

    ids: list[ProcessId]

    def __bool__(self) -> bool:
        return bool(self.ids)

    def clients(self) -> set[tuple[str, int]]:
        return clients(self.ids)

    def end(self) -> None:
        for process in self.ids:
            stop(process)


@dataclass(frozen=True)
class ProcessEngine:
    """Runs releases as processes of this machine, below the target's folder."""

    target: Target
    runner: Runner

    def require_image(self, image: str) -> None:
        verified(self.target.root, image)

    def commit(self, image: str) -> str:
        return built_from(image_path(self.target.root, image))

    def size(self, image: str) -> int:
        return image_path(self.target.root, image).stat().st_size

    def free(self) -> int:
        return self.target.free()

    def texts(self, image: str, suffixes: tuple[str, ...]) -> dict[str, str]:
        return read_texts(image_path(self.target.root, image), suffixes)

    def has(self, release_id: str) -> bool:
        return self.target.has(release_id)

    def lacking(self, release_id: str) -> list[str]:
        return [] if self.has(release_id) else [self.target.host.name]

    def prepare(self, record: Record, settings: Mapping[str, str], layout: Layout) -> None:
        image = verified(self.target.root, record.release.image)
        folder = self.target.release_folder(record.release.id)
        if (folder / "record.json").exists():
            return
        self.target.remove(record.release.id)  # what a killed run left
        self.target.make("releases")
        folder.mkdir(mode=0o700)
        unpack(image, folder / "app")
        python = self._python(record, folder / "app")
        self.target.write(folder / "settings.json", json.dumps(dict(settings)))
        self.target.write(folder / "python", str(python))
        self.target.write(folder / "record.json", msgspec.json.encode(record).decode())

    def _python(self, record: Record, app: Path) -> Path:
        requirements = [app / name for name in record.deploy.requirements]
        inside = app.resolve()
        missing = [path.name for path in requirements if not (path.is_file() and path.resolve().is_relative_to(inside))]
        if missing:
            raise PrepareFailed(
                f"The image has no {', '.join(missing)}", next_step="commit the file, or mend deploy.requirements"
            )
        python = find_python(record.python, self.runner)
        return ensure_venv(requirements, python, self.target.root / "venvs", self.runner).python

    def discard(self, release_id: str, hosts: Collection[str] | None = None) -> None:
        if hosts is not None and self.target.host.name not in hosts:
            return
        self.target.remove(release_id)

    def bring_services(self, record: Record) -> str:
        return ""

    def take_over(self, slot: str, record: Record) -> str:
        return ""

    def fallen(self, slot: str, record: Record) -> str:
        return ""  # there are no companions

    def start(self, slot: str, record: Record) -> None:
        self.stop(slot)
        port = getattr(record.ports, slot)
        require_free(port, f"slot {slot}")
        folder = self.target.release_folder(record.release.id)
        slots = self.target.make("slots")
        env = self.environment(record, {"PORT": str(port), "HOST": HOST, MARK: self._mark(slot)})
        hidden = set(record.secrets)  # all can read a command line
        settings = self.target.settings(record.release.id)
        shown = {name: value for name, value in settings.items() if name not in hidden} | {
            "PORT": str(port),
            "HOST": HOST,
        }
        argv = [string.Template(part).safe_substitute(shown) for part in shlex.split(record.deploy.run)]
        program = shutil.which(argv[0], path=env["PATH"]) or argv[0]
        log = slots / f"{slot}.log"
        log.unlink(missing_ok=True)
        process = spawn([program, *argv[1:]], env=env, cwd=folder / "app", log=log, outlive_job=True)
        living = Living(record.release.id, process.pid, process.started)
        self.target.write(slots / f"{slot}.json", msgspec.json.encode(living).decode())

    def services_run(self, record: Record) -> bool:
        return True  # there are none besides the router, which starts with the first route

    def revive(self, slot: str, record: Record) -> str:
        if self.alive(slot) == record.release.id:
            return ""
        self.start(slot, record)
        return f"{record.release.name} in slot {slot}"

    def stop(self, slot: str) -> None:
        if living := self._living(slot):
            stop(living.process)
        self._file(slot).unlink(missing_ok=True)
        for process in with_variable(MARK, self._mark(slot)):
            stop(process)  # its pid was not written down, for the run was killed before it could, or not to be read

    def _file(self, slot: str) -> Path:
        return self.target.folder / "slots" / f"{slot}.json"

    def _living(self, slot: str) -> Living | None:
        """What was started in a slot; None for nothing, or where the file is damaged."""
        try:
            return msgspec.json.decode(self._file(slot).read_bytes(), type=Living)
        except (OSError, msgspec.MsgspecError):
            return None

    def _mark(self, slot: str) -> str:
        return str(self.target.folder / "slots" / slot)

    def alive(self, slot: str) -> str:
        living = self._living(slot)
        return living.release if living and find(living.process) else ""

    def addresses(self, slot: str, record: Record) -> tuple[str, ...]:
        return (f"{HOST}:{getattr(record.ports, slot)}",)

    def ask(self, slot: str, record: Record) -> list[Probe]:
        health = record.deploy.health
        (address,) = self.addresses(slot, record)
        return [probe(f"http://{address}{health.path}", release_header=health.release_header)]

    def run_in(self, record: Record, argv: Sequence[str], extra: Mapping[str, str], timeout: float) -> Completed:
        folder = self.target.release_folder(record.release.id) / "app"
        env = self.environment(record, {**extra, RUN_MARK: str(self.target.folder)})
        return run(argv, env=env, cwd=folder, check=False, timeout=timeout)

    def left_behind(self) -> "Processes":
        return Processes(with_variable(RUN_MARK, str(self.target.folder)))

    def reach(self, host: str, port: int) -> tuple[str, int]:
        return host, port

    def setting(self, record: Record, name: str) -> str:
        return self.target.settings(record.release.id).get(name, "")

    def python(self, record: Record) -> Path:
        """The interpreter that has the release's dependencies."""
        return Path((self.target.release_folder(record.release.id) / "python").read_text())

    def environment(self, record: Record, extra: Mapping[str, str]) -> dict[str, str]:
        """All that the release's program gets: its settings and nothing of the job's environment."""
        env = self.runner.env
        base = {
            "PATH": f"{self.python(record).parent}{os.pathsep}{BASE_PATH}",
            "HOME": env.get("HOME", "/"),
            "LANG": env.get("LANG", "C.UTF-8"),
            "PYTHONUNBUFFERED": "1",
        }
        own = {"CICD_RELEASE": record.release.id, "CICD_ENVIRONMENT": record.environment}
        return {**base, **self.target.settings(record.release.id), **own, **extra}

    def log_tail(self, slot: str, lines: int = 20) -> str:
        return tail(self.target.folder / "slots" / f"{slot}.log", lines)
