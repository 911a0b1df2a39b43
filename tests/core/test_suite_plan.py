"""The plan of a run as a text that is handed on, and what of it a job is told."""

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.shards import Assignment
from cicd.core.suite_files import files_of
from cicd.core.suite_plan import RunPlan, SuitePlan, for_plugin, plan_text, read_plan, shard_of
from cicd.errors import UsageError

UNIT = SuitePlan(
    suite="unit",
    assignment=Assignment(shards=2, files={"a_test.py": 1}, split={"b_test.py": {"b_test.py::x": 2}}),
    inputs={"tree": "1"},
    why="it runs",
)
PROVEN = SuitePlan(suite="e2e", assignment=Assignment(shards=1), proof="https://example.com/7", why="proven")
PLAN = RunPlan(suites=[UNIT, PROVEN], sha="c" * 40)


def test_it_is_handed_on_as_one_line() -> None:
    text = plan_text(PLAN)
    assert "\n" not in text
    assert read_plan(f" {text}\n") == PLAN
    assert read_plan(text).of("unit").digest == UNIT.digest


def test_only_what_is_not_proven_has_jobs() -> None:
    assert PLAN.matrix == [
        {"suite": "unit", "shard": "1/2", "part": "unit-1"},
        {"suite": "unit", "shard": "2/2", "part": "unit-2"},
    ]


def test_another_assignment_is_another_plan() -> None:
    other = SuitePlan(suite="unit", assignment=Assignment(shards=2, files={"a_test.py": 2}))
    assert other.digest != UNIT.digest


BOMB = base64.b64encode(zlib.compress(b" " * 100_000_000)).decode()


@pytest.mark.parametrize(
    "text", ["", "x", "true false", BOMB, base64.b64encode(zlib.compress(b'{"suites": 1}')).decode()]
)
def test_what_is_no_plan(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_plan(text)


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(UsageError):
        read_plan(base64.b64encode(zlib.compress(data)).decode())


def test_a_suite_that_it_does_not_have() -> None:
    with pytest.raises(UsageError, match="it has unit, e2e"):
        PLAN.of("security")


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/257", "-1/2", "a/b", "1/2/3"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="such as 2/4"):
        shard_of(text)
    assert shard_of("2/4") == (2, 4)


def test_what_the_plugin_is_told() -> None:
    told = json.loads(for_plugin(UNIT, 2, 3, "/tmp/receipt.json"))
    assert (told["shard"], told["shards"], told["attempt"], told["plan"]) == (2, 2, 3, UNIT.digest)
    assert told["files"] == {"a_test.py": 1}


def test_the_files_that_a_command_is_about() -> None:
    files = ["tests/a_test.py", "tests/deep/test_b.py", "e2e/test_c.py", "src/a.py", "tests/data.yaml"]
    assert files_of(files, ["tests", "-q"], []) == ["tests/a_test.py", "tests/deep/test_b.py"]
    assert files_of(files, ["tests/a_test.py::test_x"], ["tests/data.yaml", "gone.py"]) == [
        "tests/a_test.py",
        "tests/data.yaml",
    ]
    assert files_of(files, ["-k", "x"], []) == ["e2e/test_c.py", "tests/a_test.py", "tests/deep/test_b.py"]
