"""What the gates found, as Markdown: measures against their limits, and changed lines that no test ran."""

from collections.abc import Sequence

from cicd.core.changed_lines import ranges
from cicd.core.gates import CoverageGate
from cicd.core.markdown import code, inline, table
from cicd.core.performance import Judged
from cicd.core.words import counted

MOST = 30  # rows
SIGNS = {"passed": "✅", "failed": "❌", "inconclusive": "❔"}
WORST = ("failed", "inconclusive", "passed")


def measures_table(judged: Sequence[Judged]) -> str:
    """Each measure and its limit, red ones first; empty where nothing was measured."""
    if not judged:
        return ""
    ranked = sorted(judged, key=lambda one: WORST.index(one.verdict))
    rows = [(SIGNS[one.verdict], code(one.measure), inline(one.what), inline(one.why, 400)) for one in ranked[:MOST]]
    more = f"\n\n… and {len(judged) - MOST} more." if len(judged) > MOST else ""
    return f"{counted(len(judged), 'limit')} on measures.\n\n{table(['', 'measure', 'limit', 'what'], rows)}{more}"


def missing_table(gate: CoverageGate) -> str:
    """The changed lines that no test ran; empty where there is none."""
    if not gate.missing:
        return ""
    number = sum(len(lines) for lines in gate.missing.values())
    rows = [(code(file), ranges(lines)) for file, lines in list(sorted(gate.missing.items()))[:MOST]]
    more = f"\n\n… and in {counted(len(gate.missing) - MOST, 'file')} more." if len(gate.missing) > MOST else ""
    return f"{counted(number, 'changed line')} that no test ran.\n\n{table(['file', 'lines'], rows)}{more}"
