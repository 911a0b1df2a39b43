"""Why a server did not get ready, by the lines of its log."""

import re
from collections.abc import Sequence

TELLING = re.compile(r"fatal|error|>>>|denied|refused|no such", re.IGNORECASE)
FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
FULL_CAUSE = "the disk is full"
FULL_NEXT_STEP = "free room, or set RUNNER_TEMP to a folder on a disk that has some"


def why(lines: Sequence[str]) -> str:
    """The cause; empty if no line tells."""
    telling = [line.strip()[:400] for line in lines if TELLING.search(line) or FULL.search(line)]
    full = [line for line in telling if FULL.search(line)]
    return f"{FULL_CAUSE}: {full[-1]}" if full else (telling[-1] if telling else "")


def next_step(lines: Sequence[str], otherwise: str) -> str:
    return FULL_NEXT_STEP if any(map(FULL.search, lines)) else otherwise
