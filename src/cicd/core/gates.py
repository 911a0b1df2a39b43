"""A measured value held against a policy. A value that was demanded and not measured never passes."""

import math
import re

import msgspec

from cicd.core.reading import PERCENT
from cicd.errors import UsageError


class Coverage(msgspec.Struct, frozen=True):
    """Line coverage as coverage.py counts it: statements that ran, of all statements. Branches are not in it."""

    covered: int
    statements: int

    @property
    def percent(self) -> float:
        return 100 * self.covered / self.statements

    @property
    def shown(self) -> str:
        """Two digits, rounded down: what is below a threshold never looks like it."""
        return f"{math.floor(10000 * self.covered / self.statements) / 100:.2f}"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Coverage held against something besides the threshold. `what` is the gate's name, `why` a sentence."""

    what: str
    passed: bool
    why: str
    next_step: str = ""


class CoverageGate(msgspec.Struct, frozen=True, kw_only=True):
    """Whether coverage was wanted, what was found, and what it is held against.

    Attributes:
        wanted: whether the suite is to be measured at all.
        least: the threshold in percent; None: measured only.
        found: what was measured; None: nothing.
        why: why nothing was measured.
        changed_lines: least percent of the lines that a change touches; None: they are not held.
        may_fall: by how many percent it may be below what the branch had; None: it is not held.
        held: what came of these two.
        missing: file → changed lines that did not run.
    """

    wanted: bool = False
    least: float | None = None
    found: Coverage | None = None
    why: str = ""
    changed_lines: float | None = None
    may_fall: float | None = None
    held: tuple[Held, ...] = ()
    missing: dict[str, list[int]] = {}

    @property
    def passed(self) -> bool:
        return self.meets_least and all(one.passed for one in self.held)

    @property
    def meets_least(self) -> bool:
        """Whether the whole reaches the threshold."""
        if not self.wanted:
            return True
        if self.found is None:
            return False
        # In whole numbers as far as they go, so that 17 of 20 is 85% whatever a float makes of it.
        return self.least is None or 100 * self.found.covered >= self.least * self.found.statements

    @property
    def sentence(self) -> str:
        """The gate in words: figure, kind of figure, threshold."""
        policy = "nothing is demanded of it here" if self.least is None else f"at least {self.least:g}% is demanded"
        if not self.wanted:
            return "Coverage was not asked for"
        if self.found is None:
            return f"Line coverage was not measured, and {policy}"
        lines = f"{self.found.covered} of {self.found.statements} statements by coverage.py"
        told = [f"Line coverage is {self.found.shown}% ({lines}), and {policy}", *(one.why for one in self.held)]
        return ". ".join(told)


class _Totals(msgspec.Struct):
    covered_lines: int
    num_statements: int


class _CoverageJson(msgspec.Struct):
    totals: _Totals


def read_coverage(text: bytes) -> Coverage | str:
    """The totals of `coverage json`, or why there are none."""
    try:
        totals = msgspec.json.decode(text, type=_CoverageJson).totals
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"coverage.py's JSON report cannot be read: {error}"
    if not 0 <= totals.covered_lines <= totals.num_statements:
        return f"coverage.py's totals cannot be: {totals.covered_lines} of {totals.num_statements}"
    if not totals.num_statements:
        return "coverage.py found no statement to measure; see `source` in the project's coverage settings"
    return Coverage(totals.covered_lines, totals.num_statements)


def coverage_policy(given: str, *, asked: bool, configured: float | None) -> CoverageGate:
    """What coverage is held against, before anything was measured.

    Args:
        given: the input: a percentage, `none`, or empty.
        asked: whether the suite's config asks for coverage.
        configured: the config's `gates.coverage`.

    Raises:
        UsageError: the input is neither.
    """
    text = given.strip()
    if text == "none":
        return CoverageGate()
    if not text:
        return CoverageGate(wanted=asked, least=configured if asked else None)
    if not re.fullmatch(PERCENT.strip("^$"), text) or float(text.rstrip("%")) > 100:
        raise UsageError(
            f"`coverage` must be a percentage from 0 to 100, or `none`; it is `{text[:40]}`",
            next_step="write for example `coverage: 85`",
        )
    return CoverageGate(wanted=True, least=float(text.rstrip("%")))
