import json

from cicd.core.results import SCHEMA, Result, result_json


def test_the_result_is_json_with_a_schema_version() -> None:
    result = Result(decision="failed", reason_code="x", message="m", outputs={"a": "b"}, data={"n": 1}, exit_code=60)
    assert json.loads(result_json("run-suite", result)) == {
        "schema": SCHEMA,
        "command": "run-suite",
        "decision": "failed",
        "reason_code": "x",
        "message": "m",
        "outputs": {"a": "b"},
        "data": {"n": 1},
    }


def test_it_is_one_line_whatever_is_in_it() -> None:
    assert "\n" not in result_json("plan", Result(decision="done", message="a\nb\r\n::error::c"))
