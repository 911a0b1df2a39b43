"""What a doctor finds."""

from collections.abc import Callable
from dataclasses import dataclass

from cicd.errors import CicdError


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        what: what was looked at.
        error: what is wrong; None if nothing is.
        advice: what would be better; empty for nothing.
    """

    environment: str
    what: str
    error: CicdError | None = None
    advice: str = ""

    def __str__(self) -> str:
        mark = "✗" if self.error else "!" if self.advice else "✓"
        told = f": {self.error or self.advice}" if self.error or self.advice else ""
        return f"{mark} {self.environment}: {self.what}{told}"


def found(environment: str, what: str, look: Callable[[], str]) -> Finding:
    """What a look finds: its error, or what it saw, which is told beside what was looked at."""
    try:
        seen = look()
    except CicdError as error:
        return Finding(environment, what, error)
    return Finding(environment, f"{what}: {seen}" if seen else what)
