"""Coverage held against a change, and against what the branch had. Where there is neither, it passes and says so."""

import math
from collections.abc import Mapping

import msgspec

from cicd.core.base_commit import Base
from cicd.core.changed_lines import of_change
from cicd.core.config import Gates
from cicd.core.covered_lines import Lines, foreign, total
from cicd.core.gates import CoverageGate, Held


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkout and earlier runs give to hold coverage against.

    Attributes:
        base: where the change began.
        touched: file → lines that are new or changed since then; None: that is not known.
        lengths: measured file → how many lines it has in this checkout; None: it is not there.
        before: percent of the last green run on the branch; empty: there was none.
    """

    base: Base = Base()
    touched: dict[str, set[int]] | None = None
    lengths: dict[str, int | None] = {}
    before: str = ""


def with_policy(gate: CoverageGate, gates: Gates) -> CoverageGate:
    """The gate with what the config wants besides the threshold."""
    if not gate.wanted:
        return gate
    return msgspec.structs.replace(gate, changed_lines=gates.changed_lines, may_fall=gates.may_fall)


def hold(gate: CoverageGate, lines: Mapping[str, Lines], against: Against) -> CoverageGate:
    """The gate with what was measured in all, in the change, and against before.

    Args:
        lines: of all shards.
    """
    if not gate.wanted or gate.why:
        return gate
    if why := foreign(lines, against.lengths) if against.lengths else "":
        return msgspec.structs.replace(gate, found=None, why=f"{why}: is it the same checkout?")
    found = gate.found or total(lines)
    if found is None:
        return msgspec.structs.replace(gate, why="no shard measured anything")
    gate = msgspec.structs.replace(gate, found=found)
    held, missing = list[Held](), dict[str, list[int]]()
    if gate.changed_lines is not None:
        one, missing = _change(gate.changed_lines, lines, against)
        held.append(one)
    if gate.may_fall is not None:
        held.append(_fall(found.percent, gate.may_fall, against.before))
    return msgspec.structs.replace(gate, held=tuple(held), missing=missing)


def _change(least: float, lines: Mapping[str, Lines], against: Against) -> tuple[Held, dict[str, list[int]]]:
    policy, base = f"at least {least:g}% is demanded", against.base
    if against.touched is None:
        return Held(
            what="changed-lines",
            passed=not base.avoidable,
            why=f"Changed lines were not measured, and {policy}: {base.why or 'the change is not known'}",
            next_step=base.next_step,
        ), {}
    change = of_change(lines, against.touched)
    since = f"since {base.sha[:12]}"
    if change.found is None:
        return Held(what="changed-lines", passed=True, why=f"No line that can be measured was changed {since}"), {}
    found = change.found
    passed = 100 * found.covered >= least * found.statements
    why = f"Of the lines changed {since} {found.shown}% ran ({found.covered} of {found.statements}), and {policy}"
    return Held(
        what="changed-lines", passed=passed, why=why, next_step="test the lines that are listed"
    ), change.missing


def _fall(percent: float, may_fall: float, before: str) -> Held:
    """`before` is rounded down to two digits, so what is equal has not fallen."""
    try:
        last = float(before)
    except ValueError:
        return Held(what="may-fall", passed=True, why="Nothing is known of the branch's coverage before")
    passed = percent >= last - may_fall or math.isclose(percent, last - may_fall, abs_tol=1e-9)
    allowed = f"may fall by {may_fall:g}%" if may_fall else "must not fall"
    why = f"It was {last:.2f}% on the branch, and {allowed}"
    return Held(what="may-fall", passed=passed, why=why, next_step="test what is new, or what lost its tests")
