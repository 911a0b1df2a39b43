"""`act`: runs a workflow of some project against this checkout's actions, as the consumer of a release would."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from cicd.adapters.act import stand_ins
from tests.commands.site import consumer
from tests.world import World, hub_of

CHECKOUT = Path(__file__).resolve().parents[2]
ACTION = "org/cicd@v1"
# What a runner needs from this machine; all else stays out, so that a test sees what a runner would.
KEPT = re.compile(
    r"PATH|LANG|TZ|SSL_CERT_\w+|(PIP|UV)_(CERT|INDEX\w*|DEFAULT_\w+|EXTRA_INDEX_URL|FIND_LINKS)|\w+_(proxy|PROXY)"
)


@dataclass(frozen=True)
class ActRun:
    """What act said. `output` is its whole log; `steps` the lines that steps printed, without act's prefix."""

    code: int
    output: str

    @property
    def steps(self) -> list[str]:
        return [line.split(" | ", 1)[1].rstrip() for line in self.output.splitlines() if " | " in line]

    def said(self, name: str) -> str:
        """The value in the last line `name=value` that a step printed."""
        found = [line for line in self.steps if line.startswith(f"{name}=")]
        assert found, f"no step said {name}=…\n{self.output[-8000:]}"
        return found[-1].partition("=")[2]


Act = Callable[..., ActRun]


def scrubbed(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of act itself: little of ours, its own HOME and cache."""
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    return {**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), **extra}


def git(project: Path, *arguments: str) -> str:
    """Run git in `project` as nobody in particular."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
        env=scrubbed(project, {}),
    )
    return done.stdout.strip()


@pytest.fixture(scope="session")
def act_program() -> str:
    beside = Path(sys.executable).parent / "act"
    found = str(beside) if beside.exists() else shutil.which("act")
    assert found, "act is not there; run the tests with bin/test, whose environment has it"
    return found


@pytest.fixture(scope="session")
def cicd_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the actions' locked environment is made: once for all tests, and all xdist workers."""
    if given := os.environ.get("CICD_HOME"):
        return Path(given)
    base = tmp_path_factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "cicd-home"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """What a job would have of this machine's environment."""
    return scrubbed(tmp_path, {})


@pytest.fixture
def act(act_program: str, cicd_home: Path, tmp_path: Path) -> Act:
    """Call it as `act(project, event, *arguments, env={…}, secrets={…}, inputs={…})`; the project becomes a git
    repository if it is none. `path` is put before PATH."""

    def run(
        project: Path,
        event: str = "push",
        *arguments: str,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        inputs: Mapping[str, str] | None = None,
        path: str = "",
        timeout: float = 300,
    ) -> ActRun:
        if not (project / ".git").exists():
            git(project, "init", "--quiet")
            git(project, "add", "--all")
            git(project, "commit", "--quiet", "--message", "first")
        home = tmp_path / "act-home"
        home.mkdir(exist_ok=True)
        options = ["-P", "ubuntu-latest=-self-hosted", "--local-repository", f"{ACTION}={CHECKOUT}"]
        options += stand_ins(CHECKOUT)
        given = {"CICD_HOME": str(cicd_home), "CICD_ACT_STORE": str(tmp_path / "act-store"), **(env or {})}
        options += [f"--env={name}={value}" for name, value in given.items()]
        options += [f"--secret={name}={value}" for name, value in (secrets or {}).items()]
        options += [f"--input={name}={value}" for name, value in (inputs or {}).items()]
        done = subprocess.run(
            [act_program, event, *options, *arguments],
            cwd=project,
            env=scrubbed(home, {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"} if path else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
        return ActRun(done.returncode, done.stdout.decode(errors="replace"))

    return run


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A small consumer at v1, and a LocalHub that knows it."""
    (tmp_path / "repository").mkdir()
    for app in consumer(tmp_path):
        app.commit("v1")
        with hub_of(app) as hub:
            yield World(app, hub)
