from __future__ import annotations

import logging

import pytest

from assistant.counter import MessageCounter
from assistant.services import connect_redis


def test_without_redis_nobody_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    counter = MessageCounter(connect_redis("redis://127.0.0.1:1/0"), limit=1)
    with caplog.at_level(logging.WARNING):
        assert all(counter.admit("somebody") for _ in range(3))
    assert "messages are not counted" in caplog.text
