from __future__ import annotations

import re

_PIECE = re.compile(r"\w{1,6}|[^\w\s]")


def count_tokens(content: str) -> int:
    """About what a language model would count: pieces of words, and punctuation marks."""
    return len(_PIECE.findall(content))
