"""Failed tests on their lines, as far as GitHub shows them."""

from os.path import isfile
from pathlib import Path

from cicd.adapters.runner import Runner
from cicd.core.junit import Failure

ERRORS = 9  # GitHub shows 10 errors of a step, and one is the verdict


def annotate_failures(failures: tuple[Failure, ...], folder: Path, runner: Runner) -> int:
    """Annotate failures on their lines; gives how many.

    Args:
        folder: the project's, which the files are named from.
    """
    chosen = annotated(failures)
    for failure in chosen:
        file = from_workspace(failure.file, folder, runner)
        runner.annotate("error", failure.message, file=file, line=failure.line, title=failure.test)
    return len(chosen)


def annotated(failures: tuple[Failure, ...]) -> list[Failure]:
    """The failures to annotate: the first of each file, then others, as far as GitHub shows them."""
    first = list({failure.file: failure for failure in reversed(failures)}.values())[::-1]
    chosen = first[:ERRORS]
    chosen += [failure for failure in failures if failure not in chosen][: ERRORS - len(chosen)]
    return chosen


def from_workspace(file: str, folder: Path, runner: Runner) -> str:
    """The file as GitHub wants it: from the repository's root on. Empty if it is not there."""
    if not isfile(folder / file):  # unlike Path.is_file() it takes any text, however long
        return ""
    path = (folder / file).resolve()
    root = Path(runner.env.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else file
