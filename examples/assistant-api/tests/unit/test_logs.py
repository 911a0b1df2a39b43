from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from assistant.logs import JsonFormatter, configure_logs, request_id


@pytest.fixture(autouse=True)
def _restored_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def line(record: logging.LogRecord) -> dict[str, object]:
    text = JsonFormatter("r1").format(record)
    assert "\n" not in text
    return dict(json.loads(text))


def test_a_line_tells_level_release_and_what_was_added() -> None:
    record = logging.makeLogRecord(
        {"name": "assistant", "levelname": "INFO", "msg": "%s\nfaked", "args": ("a",), "status": 200}
    )
    got = line(record)
    assert got.pop("time")
    assert got == {
        "level": "info",
        "logger": "assistant",
        "message": "a\nfaked",
        "release": "r1",
        "status": 200,
    }


def test_the_correlation_id_is_on_the_line() -> None:
    token = request_id.set("abc")
    try:
        assert line(logging.makeLogRecord({"msg": "x"}))["request_id"] == "abc"
    finally:
        request_id.reset(token)


def test_an_exception_keeps_its_traceback() -> None:
    try:
        raise ValueError("no good")
    except ValueError:
        record = logging.makeLogRecord({"msg": "x", "exc_info": sys.exc_info()})
    assert "ValueError: no good" in str(line(record)["exception"])


def test_configuring_twice_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("INFO", "r1")
    configure_logs("INFO", "r2")
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("uvicorn.access").info("GET /")
    lines = capsys.readouterr().err.splitlines()
    assert [(json.loads(one)["message"], json.loads(one)["release"]) for one in lines] == [("started", "r2")]
