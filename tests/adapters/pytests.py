"""Real pytest of several versions, each in an environment of its own, made once per machine."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cicd.core.receipt import Receipt, read_receipt
from tests.adapters.conftest import environments

FOLDER = Path(__file__).resolve().parents[2] / "src" / "cicd" / "pytest_plugin"
BESIDE = ("pytest-xdist", "pytest-randomly", "pytest-cov", "pytest-rerunfailures", "flaky")
VERSIONS = {"7": "pytest==7.0.1", "8": "pytest==8.4.2", "9": "pytest==9.*"}
WITNESS = """
import os

class Witness:
    def __init__(self, config):
        self.config = config

    def pytest_runtest_logstart(self, nodeid):
        if not self.config.pluginmanager.hasplugin("dsession"):  # the controller of xdist hears of what its workers run
            with open(os.environ["WITNESS"], "a", encoding="utf-8", errors="backslashreplace") as file:
                print(repr(nodeid), file=file)

def pytest_configure(config):
    config.pluginmanager.register(Witness(config))
"""


def environment(version: str) -> Path:
    """The python of an environment with that pytest."""
    wanted = (VERSIONS[version], *BESIDE)
    digest = hashlib.sha256(repr((wanted, sys.version)).encode()).hexdigest()[:12]
    home = Path(environments())
    home.mkdir(parents=True, exist_ok=True)
    place = home / f"pytest-{version}-{digest}"
    uv = Path(sys.executable).parent / "uv"
    with (home / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "ready").exists():
            subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, place], check=True)
            python = place / "bin" / "python"
            subprocess.run([uv, "pip", "install", "-q", "--system-certs", "--python", python, *wanted], check=True)
            (place / "ready").touch()
    return place / "bin" / "python"


@dataclass
class Run:
    """What one pytest left."""

    code: int
    output: str
    started: list[str]
    imported: set[str]
    raw: bytes = b""
    left: list[str] = field(default_factory=list)

    @property
    def receipt(self) -> Receipt:
        return read_receipt(self.raw)


@dataclass
class Pytest:
    """Starts one version of pytest in a project, plainly or as a shard."""

    python: Path
    project: Path
    scratch: Path
    runs: int = 0

    def plain(self, *arguments: str, cwd: Path | None = None) -> Run:
        return self.run(arguments, {}, cwd)

    def shard(self, shard: int, shards: int, *arguments: str, cwd: Path | None = None, **plan: Any) -> Run:
        given = {
            "suite": "unit",
            "plan": "d1",
            "attempt": 1,
            "shard": shard,
            "shards": shards,
            "files": {},
            "split": {},
        }
        place = self.scratch / f"shard-{shard}-of-{shards}-{self.runs}"
        place.mkdir()
        path = place / "plan.json"
        path.write_text(json.dumps({**given, "receipt": str(place / "receipt.json"), **plan}))
        run = self.run(("-p", "cicd_shard", *arguments), {"CICD_SHARD_PLAN": str(path)}, cwd)
        run.left = sorted(one.name for one in place.iterdir())
        receipt = place / "receipt.json"
        run.raw = receipt.read_bytes() if receipt.exists() else b""
        return run

    def environment(self, extra: dict[str, str]) -> dict[str, str]:
        self.runs += 1
        witnesses = self.scratch / f"run-{self.runs}"
        witnesses.mkdir()
        (witnesses / "witness.py").write_text(WITNESS)
        paths = {name: str(witnesses / name.lower()) for name in ("WITNESS", "IMPORTS")}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.scratch),
            "PYTHONPATH": os.pathsep.join([str(FOLDER), str(witnesses)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            **paths,
            **extra,
        }

    def run(self, arguments: tuple[str, ...], extra: dict[str, str], cwd: Path | None) -> Run:
        env = self.environment(extra)
        argv = [str(self.python), "-m", "pytest", "-p", "witness", "-p", "no:cacheprovider", "-q", *arguments]
        done = subprocess.run(argv, cwd=cwd or self.project, env=env, capture_output=True, text=True, errors="replace")
        started, imported = (_lines(Path(env[name])) for name in ("WITNESS", "IMPORTS"))
        project = str(self.project) + "/"
        return Run(
            code=done.returncode,
            output=done.stdout + done.stderr,
            started=[str(eval(line)) for line in started],
            imported={line.removeprefix(project) for line in imported},
        )


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
