from __future__ import annotations

import pytest

from assistant.replies import reply


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Hello there", "Welcome!"),
        ("hi", "Welcome!"),
        ("Who was that? ", "Good question. I have written it down and will look for an answer."),
        ("buy milk and bread", "Noted: 4 words."),
        ("milk", "Noted: 1 word."),
        ("…", "Noted: 0 words."),
        ("highest hill", "Noted: 2 words."),
    ],
)
def test_reply(message: str, expected: str) -> None:
    assert reply(message, greeting="Welcome!") == expected
