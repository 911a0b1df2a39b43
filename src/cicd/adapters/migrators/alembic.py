"""Alembic, run by the interpreter and with the settings of the code whose migrations they are."""

import re
from collections.abc import Callable, Sequence

from cicd.adapters.process import Completed
from cicd.errors import MigrationFailed

Run = Callable[[Sequence[str]], Completed]
"""Runs a program where the code lies, with its settings; does not check its end."""

# `0002 (head)`; whatever env.py or its logging says besides has more words.
REVISION = re.compile(r"([\w.+-]+)((?: \((?:effective )?(?:head|branchpoint|mergepoint)\))*)")
NO_URL = re.compile(r"Expected string or URL object, got None|Could not parse SQLAlchemy URL")  # SQLAlchemy's words


# Moves the schema and says where it is then: one start of Alembic, which is most of what either takes.
MOVE = "import sys; from alembic.config import main; main(sys.argv[1:]); main(['current'])"


def current(run: Run, python: str = "python") -> str:
    """The revision that the database is at; empty before the first. Raises MigrationFailed."""
    return _revision(_checked(run([python, "-m", "alembic", "current"]), "current"))


def upgrade(run: Run, revision: str = "head", python: str = "python") -> str:
    """Take the schema up to a revision; gives the one that it is at then. Raises MigrationFailed."""
    return _revision(_checked(run([python, "-c", MOVE, "upgrade", revision]), f"upgrade {revision}"))


def downgrade(run: Run, revision: str, python: str = "python") -> str:
    """Take the schema down to a revision, `base` or empty for none at all; gives the one that it is at then.

    Raises:
        MigrationFailed.
    """
    to = revision or "base"
    return _revision(_checked(run([python, "-c", MOVE, "downgrade", to]), f"downgrade {to}"))


def _revision(done: Completed) -> str:
    lines = done.output.splitlines()
    found = sorted({match[1] for line in lines if (match := REVISION.fullmatch(line.strip()))})
    if len(found) > 1:
        raise MigrationFailed(
            f"The database is at more than one revision: {', '.join(found)}",
            cause="its migrations have several heads",
            next_step="write a migration that merges them (`alembic merge heads`)",
        )
    return found[0] if found else ""


def _checked(done: Completed, what: str) -> Completed:
    if done.code or done.timed_out:
        raise failure(done, f"alembic {what}")
    return done


def failure(done: Completed, what: str, again: str = "alembic upgrade head") -> MigrationFailed:
    """The error that a migration's end is worth: the last lines hold the database's own words.

    `again`: what its author types to try it.
    """
    tail = "\n".join(done.output.strip().splitlines()[-20:])
    how = "did not end in time" if done.timed_out else f"ended with {done.code}"
    if re.search("No module named '?alembic", done.output):
        return MigrationFailed(
            f"`{what}` cannot be run: {tail}",
            cause="Alembic is not among the project's dependencies",
            next_step="add `alembic` to its requirements",
        )
    cause, mend = "", f"mend what it says, and try it with `{again}`"
    if "SSL is not enabled on the server" in done.output:  # Go's driver, so dbmate's, demands it unless told otherwise
        cause, mend = (
            "the program demands TLS, and the server has none",
            "put `?sslmode=disable` after its URL",
        )
    return MigrationFailed(f"`{what}` {how}:\n{tail}", cause=cause, next_step=mend)


def without_url(failure: MigrationFailed, name: str, next_step: str) -> MigrationFailed:
    """The same failure where the setting `name` is not there: if that is what it is about, in place of a traceback."""
    said = failure.what.splitlines()
    if failure.cause or not (name.lower() in failure.what.lower() or NO_URL.search(failure.what)):
        return failure
    return MigrationFailed(
        f"{said[0]} {said[-1]}", cause=f"there is no {name}, so the database is not known", next_step=next_step
    )
