"""How grave a finding is, from all that was said about it. The worst counts: an exception can take it back."""

import math
from collections.abc import Callable, Iterable, Mapping

from cicd.core.findings import GRAVEST, Severity

Rate = Callable[[str], float | None]
"""The base score of a CVSS vector of any version, or None if it is none (adapters/cvss_scores.py)."""

WORDS: Mapping[str, Severity] = {
    "critical": "critical",
    "high": "high",
    "important": "high",  # Red Hat's
    "medium": "medium",
    "moderate": "medium",  # GitHub's and Red Hat's
    "low": "low",
    "minor": "low",
    "negligible": "low",  # Debian's and Ubuntu's
    "informational": "none",
    "info": "none",
    "none": "none",
}
LEVELS: Mapping[str, Severity] = {"error": "high", "warning": "medium", "note": "low", "none": "none"}
# The qualitative scale of CVSS v3 and v4: https://www.first.org/cvss/v4.0/specification-document#Qualitative-Severity-Rating-Scale
# v2 has no `critical` of its own; its scores are read on the same scale, which is the stricter one.
BANDS: tuple[tuple[float, Severity], ...] = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))
WORST: tuple[Severity, ...] = ("critical", "high", "medium", "low", "none")


def rated(
    rate: Rate,
    *,
    vectors: Iterable[object] = (),
    scores: Iterable[object] = (),
    words: Iterable[object] = (),
    level: object = "",
) -> tuple[Severity, float | None]:
    """Severity and score.

    Args:
        rate: scores a CVSS vector.
        vectors: CVSS vectors of any version; one of version 2 counts only where there is no newer one.
        scores: CVSS scores, as numbers or texts (SARIF's `security-severity`).
        words: such as `MODERATE`, of OSV, GHSA and scanners.
        level: SARIF's; the last resort, when nothing else was said.

    Returns:
        The worst of what could be read. `unknown` when nothing was said, or nothing of it can be read.
    """
    vectors, scores, words = ([one for one in given if one not in (None, "")] for given in (vectors, scores, words))
    numbers = [score for score in (*_newest(vectors, rate), *map(score_of, scores)) if score is not None]
    found = [band(number) for number in numbers]
    found += [WORDS[text] for word in words if (text := _word(word)) in WORDS]
    if not (vectors or scores or [word for word in words if _word(word) not in ("unknown", "undefined")]):
        found += [LEVELS[level]] if isinstance(level, str) and level in LEVELS else []
    return worst(found), max(numbers, default=None)


def worst(found: Iterable[Severity]) -> Severity:
    """The worst of them; what is known counts before `unknown`."""
    return min((one for one in found if one != "unknown"), key=WORST.index, default="unknown")


def band(score: float) -> Severity:
    """A CVSS score as a word."""
    return next((word for least, word in BANDS if score >= least), "none")


def score_of(value: object) -> float | None:
    """A CVSS score; None for what is none, such as NaN or 11."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and len(value) > 20:
        return None
    try:
        score = float(value)
    except (ValueError, OverflowError):
        return None
    return score if math.isfinite(score) and 0 <= score <= 10 else None


def order(severity: Severity) -> int:
    """0 for the gravest; `unknown` comes right after `critical`."""
    return GRAVEST.index(severity)


def _newest(vectors: Iterable[object], rate: Rate) -> list[float]:
    texts = [text for text in vectors if isinstance(text, str) and len(text) <= 500]
    scores = [(text.startswith("CVSS:"), score) for text in texts if (score := rate(text)) is not None]
    modern = [score for new, score in scores if new]
    return modern or [score for _, score in scores]


def _word(word: object) -> str:
    return word.strip().lower() if isinstance(word, str) and len(word) < 40 else "?"
