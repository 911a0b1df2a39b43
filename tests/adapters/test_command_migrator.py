"""The driver `command`: which programs it runs, and what it makes of what they say."""

from collections.abc import Sequence

import pytest

from cicd.adapters.migrators import command
from cicd.adapters.process import Completed
from cicd.core.config import Migrations
from cicd.core.migrations import Migration
from cicd.errors import MigrationFailed

KNOWN = [Migration(revision=f"{number:03}", down="", kind="expand") for number in (1, 2, 3)]
DBMATE = "[X] 001_a.sql\n[{}] 002_b.sql\n[{}] 003_c.sql\n\nApplied: 1\nPending: 2"


class Program:
    def __init__(self, output: str = "", code: int = 0) -> None:
        self.output, self.code = output, code
        self.ran: list[str] = []

    def __call__(self, argv: Sequence[str]) -> Completed:
        self.ran.append(" ".join(argv))
        return Completed(tuple(argv), self.code, self.output, 0.1)


def settings(**given: str) -> Migrations:
    return Migrations(**{"up": "m up", "down": "m down", "current": "m status", **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("output", "revision"),
    [
        ("", ""),
        (DBMATE.format(" ", " "), "001"),
        (DBMATE.format("X", " "), "002"),
        (DBMATE.format("X", "X"), "003"),
        ("2", "002"),  # golang-migrate says only the newest, without zeros
        ("7", ""),
    ],
)
def test_current(output: str, revision: str) -> None:
    assert command.current(Program(output), settings(), KNOWN) == revision


def test_one_that_was_left_out() -> None:
    with pytest.raises(MigrationFailed, match="002 is not applied, but 003, which follows it, is"):
        command.current(Program(DBMATE.format(" ", "X")), settings(), KNOWN)


def test_a_pattern_of_the_project_s_own() -> None:
    told = Program("| 001 | done |\n| 002 | open |")
    assert command.current(told, settings(applied=r"\| (\d+) \| done"), KNOWN) == "001"


@pytest.mark.parametrize(
    ("down", "revision", "expected"),
    [
        ("m down", "001", ["m down", "m down"]),
        ("m down", "base", ["m down", "m down", "m down"]),
        ("m down", "003", []),
        ("m to $REVISION", "001", ["m to 001"]),
        ("m to ${REVISION}", "", ["m to 0"]),
        ("m down $STEPS", "002", ["m down 1"]),
        ("m down $STEPS", "003", []),
    ],
)
def test_downgrade(down: str, revision: str, expected: list[str]) -> None:
    program = Program(DBMATE.format("X", "X"))
    command.downgrade(program, settings(down=down), KNOWN, revision)
    assert program.ran == ["m status", *expected]


def test_no_setting_gets_into_the_command_line() -> None:
    program = Program()
    command.upgrade(program, settings(up="m '--note=two words' $DATABASE_URL"))
    assert program.ran == ["m --note=two words $DATABASE_URL"]


def test_a_failure_says_what_to_type() -> None:
    with pytest.raises(MigrationFailed, match=r"`m up` ended with 2:\nboom.*try it with `m up`"):
        command.upgrade(Program("boom", 2), settings())
