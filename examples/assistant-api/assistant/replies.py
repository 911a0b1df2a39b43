from __future__ import annotations

import re

_WORD = re.compile(r"\w+")
_HELLO = {"hello", "hi", "hey"}


def reply(message: str, greeting: str) -> str:
    """What the assistant answers; the place where a language model will go."""
    words = _WORD.findall(message.lower())
    if words and words[0] in _HELLO:
        return greeting
    if message.rstrip().endswith("?"):
        return "Good question. I have written it down and will look for an answer."
    count = "1 word" if len(words) == 1 else f"{len(words)} words"
    return f"Noted: {count}."
