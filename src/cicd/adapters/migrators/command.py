"""Migrations by the project's own commands, such as dbmate's."""

import re
import shlex
import string
from collections.abc import Sequence

from cicd.adapters.migrators.alembic import Run, failure
from cicd.adapters.process import Completed
from cicd.core.config import Migrations
from cicd.core.migrations import Migration, between
from cicd.errors import MigrationFailed

NONE = "0"  # the revision before the first, as golang-migrate and goose call it


def current(run: Run, settings: Migrations, known: Sequence[Migration]) -> str:
    """The newest revision that is applied; empty before the first. Raises MigrationFailed, also when one was left out.

    What the database has and this release does not know does not count.
    """
    output = _command(run, settings.current, {}).output
    pattern = re.compile(settings.applied)
    numbers = {int(match[1]) for line in output.splitlines() if (match := pattern.match(line.strip()))}
    revisions = [migration.revision for migration in known]
    applied = [int(revision) in numbers for revision in revisions]
    if not any(applied):
        return ""
    newest = max(index for index, yes in enumerate(applied) if yes)
    if sum(applied) > 1 and not all(applied[: newest + 1]):
        left_out = revisions[applied.index(False)]
        raise MigrationFailed(
            f"Migration {left_out} is not applied, but {revisions[newest]}, which follows it, is",
            cause="it was merged after the later one had been applied",
            next_step="give it a later number",
        )
    return revisions[newest]


def upgrade(run: Run, settings: Migrations) -> None:
    """Apply all that is not applied. Raises MigrationFailed."""
    _command(run, settings.up, {})


def downgrade(run: Run, settings: Migrations, known: Sequence[Migration], revision: str) -> None:
    """Take back what follows a revision, `base` or empty for all. Raises MigrationFailed."""
    low = "" if revision == "base" else revision
    steps = len(between(known, low, current(run, settings, known)))
    at_once = re.search(r"\$\{?(REVISION|STEPS)\b", settings.down)
    for _ in range(min(steps, 1) if at_once else steps):
        _command(run, settings.down, {"REVISION": low or NONE, "STEPS": str(steps)})


def _command(run: Run, command: str, values: dict[str, str]) -> Completed:
    argv = [string.Template(part).safe_substitute(values) for part in shlex.split(command)]
    done = run(argv)
    if done.code or done.timed_out:
        raise failure(done, shlex.join(argv), again=shlex.join(argv))
    return done
