"""A suite's command on this machine: its interpreter, its run, the reports that it leaves."""

import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from os.path import isfile
from pathlib import Path

from cicd.adapters import process
from cicd.adapters.bounded_file import read_bounded
from cicd.adapters.process import KILL, Completed
from cicd.core.covered_lines import LARGEST as LARGEST_LINES
from cicd.core.gates import Coverage, read_coverage
from cicd.core.junit import Report, read_report
from cicd.core.pytest_command import INI_FILES, Command
from cicd.errors import Interrupted, ReportInvalid, ToolMissing

Start = Callable[..., Completed]  # process.run, or a fake
# SIGINT first: it makes pytest write the report of what has ended so far. All within 5 s: a cancelled job gives 10.
ENDING = ((signal.SIGINT, 3.0), (signal.SIGTERM, 1.0), (KILL, 0.5))
ASK = "import importlib.util as u; print('has', *[n for n in ('pytest_cov', 'coverage', 'xdist') if u.find_spec(n)])"
STOPPED = " _pytest.outcomes.Exit: "  # pytest's last line after pytest.exit(), which may have told it to end with 0
MARK = "CICD_SUITE"  # in the environment of all that a suite starts: servers and daemons end with it
LARGEST_INI = 1024 * 1024


@dataclass(frozen=True)
class Ran:
    """How the command ended.

    Attributes:
        left: how many processes it had left running; they were ended.
        stopped: whether pytest said that pytest.exit() ended it.
    """

    code: int
    seconds: float
    left: int = 0
    timed_out: bool = False
    interrupted: bool = False
    stopped: bool = False


def interpreter(command: Command, env: Mapping[str, str]) -> tuple[str, ...]:
    """argv of the interpreter that the command uses: for a script such as `pytest`, the python beside it."""
    argv, beside = command.interpreter
    script = process.which(beside, env.get("PATH")) if beside else None
    if script:
        for folder in (Path(script).parent, Path(script).resolve().parent):
            if (folder / "python").exists():
                return (*argv[:-1], str(folder / "python"))
    return argv


def modules(python: tuple[str, ...], start: Start, env: Mapping[str, str], cwd: Path) -> list[str]:
    """Which of pytest-cov, coverage and pytest-xdist the interpreter has."""
    done = start([*python, "-c", ASK], env=env, cwd=cwd, check=False, timeout=60)
    lines = [line for line in done.output.splitlines() if line.startswith("has")]
    return lines[-1].split()[1:] if lines and not done.code else []


def settings(folder: Path) -> dict[str, str]:
    """The files that may hold pytest's settings."""
    found = {}
    for name in INI_FILES:
        path = folder / name
        if path.is_file() and path.stat().st_size < LARGEST_INI:
            found[name] = path.read_text(encoding="utf-8", errors="replace")
    return found


def run_command(
    command: Command, start: Start, env: Mapping[str, str], cwd: Path, limit: float, say: Callable[[str], None]
) -> Ran:
    """Run it to its end, its time's end, or a signal's. Raises ToolMissing."""
    began, mark = time.monotonic(), secrets.token_hex(16)
    marked, stopped = {**env, MARK: mark}, False

    def hear(line: str) -> None:
        nonlocal stopped
        stopped = stopped or STOPPED in line
        say(line)

    try:
        done = start(command.argv, env=marked, cwd=cwd, timeout=limit, check=False, each_line=hear, ending=ENDING)
        ran = Ran(done.code, done.seconds, timed_out=done.timed_out)
    except (Interrupted, KeyboardInterrupt):
        ran = Ran(130, time.monotonic() - began, interrupted=True)
    return replace(ran, left=process.stop_marked(MARK, mark, grace=1.0), stopped=stopped)


def state(path: Path) -> tuple[int, int, int]:
    """What tells a report from one that was there before."""
    try:
        about = path.stat()
    except OSError:
        return (0, 0, 0)
    return (about.st_ino, about.st_size, about.st_mtime_ns)


def report_of(path: Path, before: tuple[int, int, int], since: float, root: Path) -> Report | ReportInvalid:
    """The JUnit report, or why there is none.

    Args:
        before: its state when the command began; `since`: seconds since 1970 then. A copy may have an older time.
    """
    hint = "name the report that the command writes with `junit`"
    if not isfile(path):
        cause = "it ended too early, or it is no pytest and writes its report elsewhere"
        return ReportInvalid(f"The command left no JUnit report at `{path}`", cause=cause, next_step=hint)
    if state(path) == before or state(path)[2] < (since - 1) * 1e9:
        cause = "the command wrote none this time, or it is a copy of an older one, or the clock was set back"
        return ReportInvalid(f"The JUnit report `{path}` is from before the command", cause=cause, next_step=hint)
    try:
        return read_report(_chunks(path), path.name, str(root))
    except ReportInvalid as error:
        return error
    except OSError as error:
        return ReportInvalid(f"The JUnit report `{path}` cannot be read: {error}", next_step=hint)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(256 * 1024):
            yield chunk


def coverage_of(
    path: Path, command: Command, python: tuple[str, ...], start: Start, env: Mapping[str, str], cwd: Path
) -> Coverage | str:
    """What was measured, or why nothing was. Under `coverage run` the data are still to be made a report of."""
    said = ""
    if command.measures:
        start([*python, "-m", "coverage", "combine", "--quiet"], env=env, cwd=cwd, check=False)  # if they are in parts
        done = start([*python, "-m", "coverage", "json", "--quiet", "-o", str(path)], env=env, cwd=cwd, check=False)
        said = done.output.strip()[-300:]
    try:
        return read_coverage(read_bounded(path, LARGEST_LINES))
    except FileNotFoundError:
        return said or "the command wrote no coverage data; something may have switched it off, such as `--no-cov`"
    except OSError as error:
        return f"coverage.py's JSON report cannot be read: {error}"


def import_paths(python: tuple[str, ...], start: Start, env: Mapping[str, str], folder: Path) -> list[str]:
    """Where an interpreter imports a project's own code from: paths below its folder, first one first."""
    try:
        done = start(
            [*python, "-c", "import sys; print('path', *sys.path, sep='\\n')"], env=env, cwd=folder, check=False
        )
    except ToolMissing:  # the suite is no Python
        return []
    said = done.output.splitlines() if not done.code else []
    found = [Path(line) for line in said[said.index("path") + 1 :]] if "path" in said else []
    return [str(path.relative_to(folder)) for path in found if path.is_absolute() and path.is_relative_to(folder)]
