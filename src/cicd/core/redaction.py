"""What scanners say of secrets, without the secrets. Better one word too many than one too few."""

import re
from collections.abc import Iterable
from functools import lru_cache

from cicd.core.public_text import WORD, looks_secret

HIDDEN = "‹redacted›"
# `Possible hardcoded password: 'hunter2'` is how bandit puts it; a password may hold quotes, so up to the last one.
QUOTED = re.compile(rf"({WORD}\w*\s*(?:\bis\b|[:=]*)\s*)(['\"`]).*\2", re.IGNORECASE)
ASSIGNED = re.compile(rf"({WORD}\w*\s*[:=]+\s*)[^\s‹]\S*", re.IGNORECASE)


def redacted(text: str, known: Iterable[str] = ()) -> str:
    """A line of text without what looks like a secret.

    Args:
        text: one line.
        known: secrets that are known to be ones; where the text holds any, or its beginning, nothing of it is left.
    """
    if "-----BEGIN" in text or any(_holds(text, secret) for secret in known):
        return HIDDEN
    return _redacted(text)


@lru_cache(2000)  # a rule's title and address come with each of its findings
def _redacted(text: str) -> str:
    text = ASSIGNED.sub(rf"\1{HIDDEN}", QUOTED.sub(rf"\1{HIDDEN}", text))
    return " ".join(HIDDEN if _is_secret(word) else word for word in text.split(" "))


def _is_secret(word: str) -> bool:
    """Words of language are not looked at: what public_text.py knows is longer, or has signs in it."""
    bare = word.strip(".,()'\"")
    return not (bare.isalnum() and len(bare) < 11) and looks_secret("", word)


def _holds(text: str, secret: str) -> bool:
    """Whether a text repeats a secret, or as much of it as says something: long ones are cut, and blanks are joined."""
    parts = [part for part in secret.split() if len(part) >= 4]
    return any(part[:8] in text for part in parts) or (len(secret) < 4 and secret.strip() != "" and secret in text)
