from __future__ import annotations

import pytest

from assistant.tokens import count_tokens


@pytest.mark.parametrize(
    ("content", "tokens"), [("", 0), ("hello", 1), ("hello, world!", 4), ("incomprehensible", 3)]
)
def test_count_tokens(content: str, tokens: int) -> None:
    assert count_tokens(content) == tokens
