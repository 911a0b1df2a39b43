import pytest

from cicd.core.migrations import (
    Migration,
    between,
    breaking_old_code,
    declaration,
    judged,
    lost_on_the_way_back,
    why_no_way_back,
)
from cicd.core.schema_changes import Change, adding, altering, breaking, losing
from cicd.errors import ConfigError

LINE = [Migration(revision=name, down="", kind="expand") for name in "abcd"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [("", "d", "abcd"), ("b", "d", "cd"), ("d", "d", ""), ("d", "b", ""), ("unknown", "b", "ab"), ("a", "", "")],
)
def test_between(low: str, high: str, expected: str) -> None:
    assert "".join(migration.revision for migration in between(LINE, low, high)) == expected


UP, DOWN = [losing("drops column `a.b`")], [adding("adds `a.b`")]


@pytest.mark.parametrize(
    ("text", "down", "kind", "loses"),
    [
        ("", DOWN, "irreversible", ["drops column `a.b`"]),
        ("# cicd: reversible, it was always empty", DOWN, "reversible", []),
        ("  -- cicd: expand: nobody reads it", DOWN, "expand", []),
        ("-- cicd: irreversible — data moved", DOWN, "irreversible", ["drops column `a.b`"]),
    ],
)
def test_the_author_s_word_goes_before(text: str, down: list[Change], kind: str, loses: list[str]) -> None:
    migration = judged("1", "", "", UP, down, text, "x")
    assert (migration.kind, migration.loses) == (kind, loses)
    assert bool(migration.breaks) == (kind != "expand")
    assert bool(migration.declared) == bool(text)


@pytest.mark.parametrize(
    ("text", "down", "message"),
    [
        ("# cicd: expand", DOWN, "without a reason"),
        ("# cicd: harmless, trust me", DOWN, "declares nothing"),
        ("# cicd: reversible, trust me", None, "has no way down"),
    ],
)
def test_a_declaration_must_be_able_to_be_true(text: str, down: list[Change] | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        judged("1", "", "", UP, down, text, "x")


def test_nothing_declared() -> None:
    assert declaration("# about cicd: expand\nx = 1", "x") == (None, "")


def test_an_altering_change_is_neither_expanding_nor_breaking() -> None:
    migration = judged("1", "", "", [altering("drops index `i`")], [adding("creates an index")], "", "x")
    assert (migration.kind, migration.breaks) == ("reversible", [])


def test_a_refused_rollback_says_why_and_what_it_would_cost() -> None:
    three = judged("3", "2", "", [adding("adds `a.c`")], [losing("drops column `a.c`")], "", "x")
    two = judged("2", "1", "", UP, DOWN, "", "x")
    assert why_no_way_back([three]) == ""
    assert why_no_way_back([three, two]) == (
        "2 drops column `a.b`, and what it took is gone. To take back would be 3, 2;"
        " what was written since would be lost: 3 drops column `a.c`"
    )
    one = judged("1", "", "", [adding("adds `a.d`")], None, "", "x")
    assert why_no_way_back([one]).startswith("1 has no way down. To take back would be 1; no way down drops")
    said = judged("4", "3", "", [], [], "# cicd: irreversible, mails went out", "x")
    assert why_no_way_back([said]).startswith("4 is declared irreversible (mails went out)")


def test_what_breaks_the_old_code_can_be_said_before() -> None:
    one = judged("1", "", "", [breaking("renames table `a`"), adding("adds `b.c`")], DOWN, "", "x")
    assert breaking_old_code([one]) == ["1 renames table `a`"]
    assert lost_on_the_way_back([one]) == []
