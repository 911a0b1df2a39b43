import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.pinning import Reference, Version, notes, pinned, read_version, references, require_next, rounds
from cicd.errors import NotReleasable

ONE = Version(1, 2, 3)
SHA = "a" * 40
LEAF = """# uses: org/cicd/actions/promote@v1 in a comment is for people
jobs:
  a:
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
      - uses: org/cicd@v1
      - id: x
        uses: org/cicd/actions/promote@v1 # nothing is checked out
"""
TOP = "jobs:\n  a:\n    uses: org/cicd/.github/workflows/leaf.yml@v1\n"


def test_what_is_referred_to() -> None:
    assert references(LEAF) == [Reference("", "v1"), Reference("actions/promote", "v1")]
    assert references(TOP) == [Reference(".github/workflows/leaf.yml", "v1")]


def test_a_reference_is_made_exact_and_nothing_else_changes() -> None:
    text = pinned(LEAF, SHA, ONE)
    assert f"- uses: org/cicd@{SHA} # v1.2.3\n" in text
    assert f"uses: org/cicd/actions/promote@{SHA} # v1.2.3; nothing is checked out\n" in text
    assert {one.ref for one in references(text)} == {SHA}
    same = [line for line in text.splitlines() if SHA not in line]
    assert same == [
        line for line in LEAF.splitlines() if not re.match(r".*uses: org/cicd.*@v1", line) or line[0] == "#"
    ]


def test_what_is_called_comes_before_what_calls_it() -> None:
    leaf, top, over = (f".github/workflows/{name}.yml" for name in ("leaf", "top", "over"))
    texts = {over: TOP.replace("leaf", "top"), top: TOP, leaf: LEAF, ".github/workflows/own.yml": "jobs: {}\n"}
    assert rounds(texts, ONE) == [[leaf], [top], [over]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LEAF.replace("promote@v1", "promote@v2"), "at `v2`"),
        (LEAF.replace("org/cicd@v1", "org/cicd@main"), "the root action` at `main`"),
        (TOP.replace("leaf", "none"), "which is not there"),
        (TOP.replace("leaf", "own"), "call each other"),
    ],
)
def test_what_cannot_be_made_exact(text: str, says: str) -> None:
    with pytest.raises(NotReleasable, match=says):
        rounds({".github/workflows/own.yml": text}, ONE)


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 3), max_size=6), st.tuples(*[st.integers(0, 30)] * 3))
def test_a_version_is_newer_than_all_of_its_major_number(
    there: list[tuple[int, int, int]], new: tuple[int, int, int]
) -> None:
    version, tags = Version(*new), {f"v{Version(*one)}" for one in there} | {"v1", "other", "v1.2.3-rc1"}
    assert read_version(str(version)) == version
    if any(one[0] == new[0] and one >= new for one in there):
        with pytest.raises(NotReleasable, match="never goes back"):
            require_next(version, tags)
    else:
        require_next(version, tags)


@pytest.mark.parametrize("text", ["v1.2.3", "1.2", "1.2.3-rc1", "01.2.3", "1.2.3\n", ""])
def test_no_version(text: str) -> None:
    with pytest.raises(NotReleasable, match="without a v"):
        read_version(text)


def test_notes_are_those_of_the_version() -> None:
    said = "- a\n\n### Mended\n\n- b"
    others = ("## Unreleased\n\n- c", "## 1.2.2 (2026-01-01)\n\n- d\n")
    changelog = f"# Changelog\n\n{others[0]}\n\n## 1.2.3 (2026-11-23)\n\n{said}\n\n{others[1]}"
    assert notes(changelog, ONE) == said
    for version in ("1.2.4", "11.2.3"):
        with pytest.raises(NotReleasable, match="says nothing"):
            notes(changelog, read_version(version))
    with pytest.raises(NotReleasable, match="or nothing below it"):
        notes("## 1.2.3 (2026-11-23)\n\n## 1.2.2 (2026-01-01)\n", ONE)
