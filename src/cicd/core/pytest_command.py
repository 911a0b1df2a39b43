"""Commands that are pytest in some dress: found, and given what makes them report."""

import configparser
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import msgspec

from cicd.errors import UsageError

NAMES = {"pytest", "py.test"}
MANAGERS = {"uv", "poetry", "pdm", "pipenv", "hatch", "rye", "pixi", "conda", "mamba", "micromamba"}  # … run …
PREFIXES = {"env", "nice", "ionice", "timeout", "stdbuf", "taskset", "xvfb-run", "time"}
VALUED = {
    "--with",
    "--with-requirements",
    "--with-editable",
    "--extra",
    "--group",
    "--only-group",
    "--package",
    "--python",
    "-p",
}
PYTHON = re.compile(r"(python|pypy)[\d.]*t?")
COVERAGE = re.compile(r"coverage[\d.-]*")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
OWN_WORKERS = re.compile(r"-n(\d+|auto|logical)|(-p)?no:xdist")
OPERATORS = {"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", "2>", "&>"}
INI_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")

# What pytest's own exit codes say; 0 and 1 need no words.
EXITS = {
    2: "it was interrupted, most often because a test file cannot be imported",
    3: "pytest itself, or one of its plugins, failed",
    4: "it was called wrongly: an unknown option, or a path that does not exist",
    5: "it collected no test",
}


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A suite's command, taken apart.

    Attributes:
        text: as it was written, on one line; argv may hold passwords, which were filled in from variables.
        argv: program and arguments.
        env: variables that were written before the program.
        pytest: index of the word `pytest` in argv; None: it is something else.
        module: whether pytest is started by `python -m`.
        measures: whether the command is already under `coverage run`.
    """

    text: str
    argv: tuple[str, ...]
    env: dict[str, str] = {}
    pytest: int | None = None
    module: bool = False
    measures: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """What stands after the word pytest."""
        return () if self.pytest is None else self.argv[self.pytest + 1 :]

    @property
    def managed(self) -> bool:
        """Whether a tool such as uv or poetry chooses the environment."""
        return starts_managed(self.argv)

    @property
    def interpreter(self) -> tuple[tuple[str, ...], str]:
        """argv that starts the command's own interpreter, and the script that `python` is to be looked for beside."""
        for index, word in enumerate(self.argv[: self.pytest]):
            name = PurePath(word).name
            if PYTHON.fullmatch(name) and self.argv[index - 1] not in VALUED:
                return self.argv[: index + 1], ""
            if COVERAGE.fullmatch(name):
                return (*self.argv[:index], "python"), "" if self.managed else word
        if self.pytest is None:
            return ("python",), ""
        return (*self.argv[: self.pytest], "python"), "" if self.managed else self.argv[self.pytest]


def parse_command(text: str, env: Mapping[str, str]) -> Command:
    """A command line as argv; `$NAME` and `${NAME}` are filled in from `env`, for no shell is there to do it.

    Raises:
        UsageError: it is empty, has an open quote, or needs a shell.
    """
    try:
        words = shlex.split(text, comments=False)
    except ValueError as error:
        raise UsageError(f"The suite's command cannot be split: {error}", next_step="close the quotes") from error
    if operators := OPERATORS.intersection(words):
        raise UsageError(
            f"The suite's command has `{sorted(operators)[0]}`, and it is run without a shell",
            next_step="put it into a script, or write `bash -c '…'` and name the report with `junit`",
        )
    words = [VARIABLE.sub(lambda found: env.get(found[1] or found[2], found[0]), word) for word in words]
    assigned: dict[str, str] = {}
    while words and (found := ASSIGNMENT.fullmatch(words[0])):
        assigned[found[1]] = found[2]
        words.pop(0)
    if not words:
        raise UsageError("The suite's command is empty", next_step="write for example `run: pytest -q`")
    index, module = find_pytest(words)
    measures = any(
        COVERAGE.fullmatch(PurePath(word).name) and after == "run" for word, after in pairwise(words[:index])
    )
    return Command(
        text=" ".join(text.split()), argv=tuple(words), env=assigned, pytest=index, module=module, measures=measures
    )


def starts_managed(words: Sequence[str]) -> bool:
    return PurePath(words[0]).name in MANAGERS and "run" in words[1:4]


def find_pytest(words: Sequence[str]) -> tuple[int | None, bool]:
    """Where the word `pytest` stands as the program, and whether `-m` starts it."""
    first = PurePath(words[0]).name
    if first in NAMES:
        return 0, False
    python = PYTHON.fullmatch(first) or COVERAGE.fullmatch(first)
    if not (python or first in PREFIXES or first == "uvx" or starts_managed(words)):
        return None, False
    for before, (index, word) in zip(words, list(enumerate(words))[1:], strict=False):
        name = PurePath(word).name
        if name in NAMES and before not in VALUED:
            return index, before == "-m"
        if word.endswith(".py") or (before == "-m" and not COVERAGE.fullmatch(name)):
            break  # a program of the project's own: what follows are its arguments
    return None, False


def has_option(options: Sequence[str], *names: str) -> bool:
    """Whether one of the options is among the words, as `--name` or `--name=…`."""
    return any(word.split("=", 1)[0] in names for word in before_dashes(options))


def before_dashes(options: Sequence[str]) -> Sequence[str]:
    return options[: options.index("--")] if "--" in options else options


def named_report(options: Sequence[str]) -> str:
    """The path that the command itself gives to --junitxml; empty if it does not. The last one counts, as in pytest."""
    words, found = before_dashes(options), ""
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in ("--junitxml", "--junit-xml"):
            found = value if equals else "".join(words[index + 1 : index + 2])
    return found


def with_options(command: Command, options: Sequence[str]) -> Command:
    """The command with options right after the word pytest, where no `--` of the user can stand before them."""
    assert command.pytest is not None
    after = command.pytest + 1
    return msgspec.structs.replace(command, argv=(*command.argv[:after], *options, *command.argv[after:]))


def under_coverage(command: Command, python: Sequence[str]) -> Command:
    """The command as `python -m coverage run -m pytest …`."""
    start = (*python, "-m", "coverage", "run", "-m")
    argv = (*start, "pytest", *command.options)
    return msgspec.structs.replace(command, argv=argv, pytest=len(start), module=True, measures=True)


def measured(
    command: Command, report: str, python: Sequence[str], modules: Sequence[str], addopts: Sequence[str]
) -> Command | str:
    """The command such that line coverage is measured by the project's own settings, or why it cannot be.

    Args:
        report: where pytest-cov is to write its JSON.
        python: argv of the command's interpreter.
        modules: those of `pytest_cov`, `coverage` and others that it has.
        addopts: what the project's settings add to the command line.
    """
    if command.measures:
        return command
    if command.pytest is None:
        return "the command is neither pytest nor `coverage run`"
    words = [*addopts, *command.options]
    asked = has_option(words, "--cov")
    if asked or "pytest_cov" in modules:  # before coverage, for it follows xdist's workers
        own = ["--cov-report=term"] if asked and not has_option(words, "--cov-report") else []
        return with_options(command, [*([] if asked else ["--cov"]), f"--cov-report=json:{report}", *own])
    if "coverage" in modules:
        return under_coverage(command, python)
    return "neither pytest-cov nor coverage is in the environment of the command"


def in_parallel(command: Command, workers: int, modules: Sequence[str], addopts: Sequence[str]) -> Command | str:
    """The command with so many of pytest-xdist's workers, each file's tests in one of them; or why it has none.

    A command that says itself how many it wants is left as it is.

    Args:
        modules: those of `xdist` and others that its interpreter has.
        addopts: what the project's settings add to the command line.
    """
    if command.pytest is None:
        return "the command is not pytest"
    words = [*addopts, *before_dashes(command.options)]
    if has_option(words, "-n", "--numprocesses") or any(OWN_WORKERS.fullmatch(word) for word in words):
        return command
    if command.measures:
        return "`coverage run` does not follow workers, pytest-cov does"
    if "xdist" not in modules:
        return "pytest-xdist is not in the environment of the command"
    spread = [] if has_option(words, "--dist") else ["--dist", "loadfile"]
    return with_options(command, ["-n", str(workers), *spread])


def added_options(files: Mapping[str, str]) -> list[str]:
    """`addopts` of the project's pytest settings: of the first file that has some, in pytest's order.

    Args:
        files: name → text of those of INI_FILES that there are.
    """
    for name in INI_FILES:
        if name in files and (found := _addopts(name, files[name])) is not None:
            try:
                return found if isinstance(found, list) else shlex.split(found)
            except ValueError:
                return []
    return []


def _addopts(name: str, text: str) -> list[str] | str | None:
    if name.endswith(".toml"):
        try:
            value: Any = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return None
        for key in ("tool", "pytest") if name == "pyproject.toml" else ("pytest",):
            value = value.get(key) if isinstance(value, dict) else None
        value = value if isinstance(value, dict) else {}
        value = value.get("ini_options", value)
        found = value.get("addopts") if isinstance(value, dict) else None
        return [str(word) for word in found] if isinstance(found, list) else found if isinstance(found, str) else None
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return parser.get("tool:pytest" if name == "setup.cfg" else "pytest", "addopts", fallback=None)
