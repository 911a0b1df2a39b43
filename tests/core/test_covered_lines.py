"""Coverage of all shards as one, and of what a change touches."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.changed_lines import of_change, ranges, touched_lines
from cicd.core.covered_lines import Lines, disagreeing, read_lines, together, total
from cicd.errors import ReportInvalid

DIFF = """diff --git src/a.py src/a.py
index 1..2 100644
--- src/a.py
+++ src/a.py
@@ -1,0 +2,2 @@ def x():
+    y = 1
++++ not/a/file
@@ -9 +11 @@
-old
+new
diff --git src/gone.py src/gone.py
--- src/gone.py
+++ /dev/null
@@ -1,3 +0,0 @@
-a
-b
-c
diff --git src/b c.py src/b c.py
--- /dev/null
+++ src/b c.py
@@ -0,0 +1 @@
+z
"""


def test_a_statement_ran_if_it_ran_in_any_shard() -> None:
    one, two = {"a.py": Lines({1, 2}, {3, 4})}, {"a.py": Lines({1, 4}, {2, 3}), "b.py": Lines(set(), {7})}
    lines = together([one, two])
    assert lines == {"a.py": Lines({1, 2, 4}, {3}), "b.py": Lines(set(), {7})}
    found = total(lines)
    assert found is not None
    assert (found.covered, found.statements) == (3, 5)
    assert total({}) is None


def test_parts_that_were_measured_on_other_code() -> None:
    assert disagreeing([{"a.py": Lines({1}, {2})}, {"a.py": Lines({2}, {1})}]) == []
    assert disagreeing([{"a.py": Lines({1}, {2})}, {"a.py": Lines({1}, {3})}]) == ["a.py"]


def test_the_lines_that_a_change_touches() -> None:
    touched = touched_lines(DIFF)
    assert touched == {"src/a.py": {2, 3, 11}, "src/b c.py": {1}}
    found = of_change({"src/a.py": Lines({2, 50}, {11, 60})}, touched)
    assert found.found is not None
    assert (found.found.covered, found.found.statements, found.missing) == (1, 2, {"src/a.py": [11]})
    assert of_change({}, touched).found is None


def test_ranges() -> None:
    assert ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
    assert ranges(range(1, 100, 2)).endswith("39, …")
    assert ranges([]) == ""


@pytest.mark.parametrize("text", [b"", b"{}", b'{"files": {"a": {"executed_lines": [-1]}}}', b"\xff", b"[" * 100_000])
def test_what_cannot_be_read(text: bytes) -> None:
    with pytest.raises(ReportInvalid, match="cannot be read"):
        read_lines(text, "coverage.json")


lines_of = st.builds(
    lambda all_, ran: Lines(all_ & ran, all_ - ran), st.just(set(range(1, 20))), st.sets(st.integers(1, 19))
)


@given(st.lists(st.dictionaries(st.sampled_from("ab"), lines_of), min_size=1, max_size=5))
def test_the_order_of_shards_does_not_matter(parts: list[dict[str, Lines]]) -> None:
    forth, back = together(parts), together(parts[::-1])
    assert forth == back
    assert not disagreeing(parts)
    covered = total(forth)
    assert covered is None or covered.covered >= max(len(one.executed_lines) for part in parts for one in part.values())


def test_a_report_of_coverage_is_read() -> None:
    text = json.dumps({"meta": {}, "totals": {}, "files": {"a.py": {"executed_lines": [1], "missing_lines": [2]}}})
    assert read_lines(text.encode(), "x") == {"a.py": Lines({1}, {2})}
