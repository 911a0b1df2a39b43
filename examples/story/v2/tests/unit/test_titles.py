from __future__ import annotations

import pytest

from assistant.titles import title_of


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("short", "short"),
        ("two\n words", "two words"),
        ("plan a week in Lisbon", "plan a week…"),
        ("incomprehensibilities", "incomprehens"),
    ],
)
def test_title(message: str, title: str) -> None:
    assert title_of(message, 12) == title
