from __future__ import annotations

from textwrap import shorten


def title_of(message: str, length: int) -> str:
    """A title from a conversation's first message: whole words, and an ellipsis for what is left out."""
    line = " ".join(message.split())
    return shorten(line, length, placeholder="…") if " " in line[:length] else line[:length]
