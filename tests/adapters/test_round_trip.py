"""Migrations up, down and up again: which one is named when one does not go."""

import pytest

from cicd.adapters.migrators.alembic import Run
from cicd.adapters.migrators.round_trip import Tried, try_migrations
from cicd.core.migrations import Migration
from cicd.errors import MigrationFailed


def line(text: str) -> list[Migration]:
    """`a b! c`: migrations in order; `!` has no way down."""
    found: list[Migration] = []
    for word in text.split():
        before = found[-1].revision if found else ""
        kind = "irreversible" if "!" in word else "expand"
        found.append(
            Migration(revision=word[0], down=before, kind=kind, title="t", way_down="!" not in word)  # type: ignore[arg-type]
        )
    return found


class Schema:
    """A database that goes up one by one, or all at once, and where some ways fail.

    Attributes:
        fails: `up a`, `down b`, `again b` (up after it was down), `stays c` (down does nothing).
    """

    def __init__(self, known: list[Migration], fails: str = "", at_once: bool = False) -> None:
        self.names, self.fails, self.at_once = "".join(one.revision for one in known), fails, at_once
        self.at, self.went, self.was_down = "", list[str](), set[str]()

    def current(self, run: Run) -> str:
        return self.at

    def upgrade(self, run: Run, revision: str) -> None:
        end = self.names[-1] if self.at_once else revision
        for name in self.names[self.names.find(self.at) + 1 if self.at else 0 : self.names.index(end) + 1]:
            if self.fails == f"up {name}" or (self.fails == f"again {name}" and name in self.was_down):
                raise MigrationFailed("boom")
            self.at = name
            self.went.append(f"+{name}")

    def downgrade(self, run: Run, revision: str) -> None:
        name = self.at
        if self.fails == f"down {name}":
            raise MigrationFailed("boom")
        if self.fails == f"stays {name}":
            return
        self.at = "" if revision == "base" else revision
        self.was_down.add(name)
        self.went.append(f"-{name}")


def run(argv: object) -> None:
    raise AssertionError("a fake driver runs nothing")


@pytest.mark.parametrize(
    ("known", "new", "tried", "went"),
    [
        ("a b c", 3, Tried(["a", "b", "c"], []), "+a +b +c -c -b -a +a +b +c"),
        ("a b c", 1, Tried(["c"], ["a", "b"][2:]), "+a +b +c -c +c"),
        ("a b! c", 3, Tried(["c"], ["a", "b"]), "+a +b +c -c +c"),
        ("a b c!", 2, Tried([], ["b", "c"]), "+a +b +c"),
        ("a b", 0, Tried([], []), "+a +b"),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_all_go(known: str, new: int, tried: Tried, went: str, at_once: bool) -> None:
    migrations = line(known)
    schema = Schema(migrations, at_once=at_once)
    assert try_migrations(schema, run, migrations, migrations[len(migrations) - new :]) == tried  # type: ignore[arg-type]
    assert " ".join(schema.went) == went


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        ("up b", r"Migration b \(t\) cannot be applied: boom"),
        ("down b", r"Migration b \(t\) cannot be taken back: boom"),
        ("stays c", r"Migration c \(t\) cannot be taken back: the database is at c, not at b"),
        ("again b", r"Migration b \(t\) cannot be applied again .* leaves something: boom"),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_the_one_that_does_not_go_is_named(fails: str, message: str, at_once: bool) -> None:
    migrations = line("a b c")
    with pytest.raises(MigrationFailed, match=message):
        try_migrations(Schema(migrations, fails, at_once), run, migrations, migrations)  # type: ignore[arg-type]
