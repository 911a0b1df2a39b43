"""The consumer's Python: an interpreter of the version asked for, and a venv with the project's dependencies.

The consumer's own index settings (PIP_*, UV_*, pip.conf, uv.toml) hold here, other than in bin/bootstrap, save those
that would install somewhere else than into the venv.
"""

import hashlib
import platform
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cicd.adapters.folders import locked
from cicd.adapters.process import run, which
from cicd.adapters.requirements import Requirements
from cicd.adapters.runner import Runner
from cicd.adapters.tools import lock_tool
from cicd.core.install_trouble import why
from cicd.core.services import satisfies
from cicd.errors import DependenciesFailed, ToolMissing

ASK = """import sys
print(sys.executable)
print(getattr(sys, "_base_executable", sys.executable))
print(".".join(map(str, sys.version_info[:3])))"""
ELSEWHERE = {
    *("PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "VIRTUAL_ENV", "UV_PYTHON", "UV_TARGET", "UV_PREFIX"),
    *("UV_SYSTEM_PYTHON", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON"),
    *("PIP_REQUIRE_VIRTUALENV", "PIP_DRY_RUN", "UV_PROJECT_ENVIRONMENT", "POETRY_ACTIVE", "PDM_PROJECT_ROOT"),
    *("PDM_IGNORE_ACTIVE_VENV", "PDM_PYTHON"),
}


@dataclass(frozen=True)
class Python:
    """An interpreter that answered.

    `base` is what a venv is made from: for a venv's interpreter, that of the venv's maker, so that a second step, which
    finds the first one's venv on PATH, comes to the same key.
    """

    path: Path
    base: Path
    version: str


@dataclass(frozen=True)
class Venv:
    """A venv that is ready. `reused`: it was there already."""

    python: Path
    version: str
    seconds: float
    reused: bool
    installer: str


def find_python(wanted: str, runner: Runner) -> Python:
    """The interpreter asked for.

    Args:
        wanted: a version such as `3.11`, a path, or empty for the one at hand.

    Raises:
        ToolMissing: naming the versions that there are.
    """
    if "/" in wanted:
        found = _ask(Path(wanted).expanduser(), runner)
        if found is None:
            raise ToolMissing(f"`{wanted}` is no Python that runs", next_step="give a version or another path")
        return found
    seen = []
    for candidate in dict.fromkeys(_candidates(wanted, runner)):
        python = _ask(candidate, runner)
        if python and re.fullmatch(r"[\d.]*", wanted) and satisfies(wanted, _numbers(python.version)):
            return python
        seen += [python.version] if python else []
    others = [python.version for path in _candidates("", runner) if (python := _ask(path, runner))]
    raise ToolMissing(
        f"There is no Python {wanted} on this machine".replace("  ", " "),
        cause=f"there is {', '.join(sorted({*seen, *others}, key=_numbers)) or 'none at all'}",
        next_step="use one of these, or put an `actions/setup-python` step before this one",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _candidates(wanted: str, runner: Runner) -> Iterator[Path]:
    """Where interpreters are, the likeliest first: PATH, the runner's tool cache, pyenv, uv."""
    search = runner.env.get("PATH")
    names = [f"python{'.'.join(wanted.split('.')[:2])}"] if wanted else []
    for name in (*names, "python3", "python"):
        if found := which(name, search):
            yield Path(found)
    home = Path(runner.env.get("HOME") or "/")
    pyenv = Path(runner.env.get("PYENV_ROOT") or home / ".pyenv")
    cache = runner.env.get("RUNNER_TOOL_CACHE") or runner.env.get("AGENT_TOOLSDIRECTORY") or "/opt/hostedtoolcache"
    version = f"{wanted}*" if wanted.count(".") != 1 else f"{wanted}[.]*"
    for folder, pattern in (
        (Path(cache) / "Python", f"{version}/*/bin/python3"),
        (pyenv, f"versions/{version}/bin/python3"),
    ):
        yield from sorted(folder.glob(pattern), key=lambda path: _numbers(str(path)), reverse=True)
    uv = which("uv", search)
    if uv and wanted:
        done = run([uv, "python", "find", "--no-python-downloads", wanted], env=dict(runner.env), check=False)
        if done.code == 0 and done.output:
            yield Path(done.output.splitlines()[-1])


def _ask(path: Path, runner: Runner) -> Python | None:
    """What an interpreter says of itself; None when it does not run (a pyenv shim without that version, say)."""
    try:
        done = run([str(path), "-I", "-c", ASK], env=_environ(runner), check=False, timeout=20)
    except ToolMissing:
        return None
    lines = done.output.splitlines()
    if done.code or len(lines) < 3 or not re.fullmatch(r"[\d.]+", lines[-1]):
        return None
    return Python(Path(lines[-3]), Path(lines[-2]).resolve(), lines[-1])


def ensure_venv(
    requirements: Sequence[Path] | Requirements, python: Python, root: Path, runner: Runner, *, pip: bool = False
) -> Venv:
    """A venv with what is required, made once and then used again.

    It is known by the requirements' text (with the files that they name), the interpreter's version and the machine; a
    `ready` file is written last, and a folder without one is made anew.

    Args:
        root: holds venvs, one folder each.
        pip: whether the venv has a pip of its own, for people's later steps.

    Raises:
        DependenciesFailed: with the end of what the installer said.
    """
    wanted = requirements if isinstance(requirements, Requirements) else Requirements(tuple(requirements))
    started = time.monotonic()
    folder = root / f"python-{_key(wanted, python, pip)}-{'.'.join(python.version.split('.')[:2])}"
    ready, own = folder / "ready", folder / "venv" / "bin" / "python"
    try:
        with locked(folder):
            reused = ready.is_file()
            if not reused:
                _make(folder, wanted, python, runner, pip)
            installer = ready.read_text().strip()
    except OSError as error:
        raise DependenciesFailed(
            f"{folder} cannot be written: {error}", next_step="set CICD_HOME to a folder that can"
        ) from error
    return Venv(own, python.version, time.monotonic() - started, reused, installer)


def _key(wanted: Requirements, python: Python, pip: bool) -> str:
    digest = hashlib.sha256(f"{python.base} {python.version} {platform.machine()} {pip}".encode())
    for text in wanted.texts():
        digest.update(text + b"\0")
    return digest.hexdigest()[:16]


def _make(folder: Path, wanted: Requirements, python: Python, runner: Runner, pip: bool) -> None:
    """The venv, its pip if it is to have one, and what is required: the last two side by side where they can be."""
    env, venv = _environ(runner), folder / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    own = venv / "bin" / "python"
    seed = [str(own), "-I", "-m", "ensurepip", "--default-pip"]
    _run([str(python.base), "-I", "-m", "venv", "--without-pip", str(venv)], env, folder)
    if wanted.lock:
        env = {**env, **wanted.lock.environ(venv)}
        installer, arguments = [str(lock_tool(wanted.lock.tool, runner))], wanted.lock.arguments(own)
        name = wanted.lock.tool
    else:
        installer = _installer(python, own, env, which("uv", runner.env.get("PATH")))
        arguments, name = wanted.arguments(), "uv" if installer[0].endswith("uv") else "pip"
    with ThreadPoolExecutor(2) as pool:
        seeded = pool.submit(_run, seed, env, folder) if pip or installer[0] == str(own) else None
        if seeded and (installer[0] == str(own) or not wanted):
            seeded.result()
        if wanted:
            _run([*installer, *arguments], env, wanted.base)
        if seeded:
            seeded.result()
    (folder / "ready").write_text(name)


def _installer(python: Python, own: Path, env: dict[str, str], uv: str | None) -> list[str]:
    """What installs into the venv: uv, else the interpreter's own pip (`--python` needs 22.3), else the venv's."""
    if uv:
        return [uv, "pip", "install", "--python", str(own)]
    pip = run([str(python.base), "-I", "-m", "pip", "--version"], env=env, check=False)
    if pip.code == 0 and _numbers(pip.output)[:2] >= (22, 3):
        return [str(python.base), "-I", "-m", "pip", "--python", str(own), "install"]
    return [str(own), "-I", "-m", "pip", "install"]


def _run(argv: Sequence[str], env: dict[str, str], where: Path) -> None:
    done = run(argv, env=env, cwd=where, check=False)
    if done.code:
        tail = "\n".join(done.output.strip().splitlines()[-20:])
        cause, next_step = why(done.output)
        raise DependenciesFailed(
            f"The dependencies cannot be installed: `{' '.join(argv[:5])} …` ended with {done.code}:\n{tail}",
            cause=cause,
            next_step=next_step,
        )


def _environ(runner: Runner) -> dict[str, str]:
    """The job's variables without what would install somewhere else."""
    kept = {name: value for name, value in runner.env.items() if name not in ELSEWHERE}
    # The machine's own certificates, which pip trusts too: a company's proxy is known to both or to neither.
    return {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_SYSTEM_CERTS": "1", **kept}
