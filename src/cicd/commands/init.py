"""`cicd init`: look at a repository, and write the config and the workflows with which it begins."""

import difflib
from pathlib import Path

from cicd.adapters.project_survey import survey
from cicd.adapters.runner import Runner
from cicd.contract import Init
from cicd.core.config_rules import parse_config
from cicd.core.results import Result
from cicd.core.starter import CONFIG, Starter, starter
from cicd.errors import UsageError

NEXT = "look at the files, commit them, then: cicd doctor"


def main(inputs: Init, runner: Runner) -> Result:
    """read → decide → write, unless something is there already → report.

    Raises:
        UsageError: there is no such folder, or a file is there that says something else.
    """
    folder = Path(inputs.working_directory)
    if not folder.is_dir():
        raise UsageError(f"There is no folder `{folder}`", next_step="give the repository's as --working-directory")
    made = starter(survey(folder), inputs.engine)
    parse_config(made.files[CONFIG], CONFIG)  # what we write we can read
    others = {path: text for path, text in made.files.items() if _has_other(folder / path, text)}
    if others and inputs.force != "true" and inputs.dry_run != "true":
        raise UsageError(
            f"{' and '.join(others)} {'is' if len(others) == 1 else 'are'} there already",
            cause="nothing was written",
            next_step="see what would change with --dry-run, or write over with --force",
        )
    written = [path for path, text in made.files.items() if not _has_same(folder / path, text)]
    if inputs.dry_run == "true":
        return report(made, written, _differences(folder, made), dry=True)
    for path in written:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(made.files[path], encoding="utf-8")
    return report(made, written, "", dry=False)


def _text(path: Path) -> str | None:
    """Raises UsageError."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error}", next_step="move it away") from error


def _has_other(path: Path, text: str) -> bool:
    return _text(path) not in (None, text)


def _has_same(path: Path, text: str) -> bool:
    return _text(path) == text


def _differences(folder: Path, made: Starter) -> str:
    """What would be written, as a patch."""
    lines: list[str] = []
    for path, text in made.files.items():
        before = _text(folder / path)
        source = "/dev/null" if before is None else path
        lines += difflib.unified_diff((before or "").splitlines(), text.splitlines(), source, path, lineterm="")
    return "\n".join(lines)


def report(made: Starter, written: list[str], patch: str, *, dry: bool) -> Result:
    """What was found, what was written, what is open."""
    told = [f"  found  {one}" for one in made.found]
    told += [f"  {'would write' if dry else 'wrote'}  {path}" for path in written]
    told += [f"  open   {one}" for one in made.open]
    return Result(
        decision="planned" if dry else "done" if written else "nothing-to-do",
        answer="\n".join(filter(None, ["\n".join(told), patch])),
        message=f"Next: {NEXT}." if written and not dry else "",
        outputs={"files": " ".join(written)},
        data={"found": made.found, "open": made.open, "written": [] if dry else written},
    )
