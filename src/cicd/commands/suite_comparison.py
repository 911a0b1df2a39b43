"""run-suite against the base: changed lines by git, and measures by runs of both sides in turns on this machine."""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cicd.adapters import suite_run
from cicd.adapters.base_commit import base_of, checked_out, diff_since, lengths_of
from cicd.adapters.bounded_file import read_bounded
from cicd.adapters.measures import new_measures, report_states
from cicd.adapters.runner import Runner
from cicd.adapters.suite_history import load, save
from cicd.adapters.suite_run import Start
from cicd.core.base_commit import Base
from cicd.core.changed_lines import touched_lines
from cicd.core.coverage_gates import Against, hold
from cicd.core.covered_lines import LARGEST, read_lines
from cicd.core.gates import CoverageGate
from cicd.core.history import READS_ONLY, with_figures
from cicd.core.performance import Budget, Judged, Verdict
from cicd.core.regression import REGRESSION, Figures, figures, look, looks, order, settled
from cicd.core.suite import Outcome, judge_tests
from cicd.core.suite_run import SuiteRun
from cicd.errors import CommandFailed, Interrupted, ReportInvalid, ToolMissing, UsageError

TAIL = 15  # lines that are shown of a run that failed


@dataclass(frozen=True)
class Side:
    """One side of a comparison. `name`: `base` or `new`."""

    name: str
    folder: Path
    env: Mapping[str, str]


class _Unmeasured(Exception):
    """A run from which nothing can be compared. `side`: whose; `late`: the time for all of them was over."""

    def __init__(self, side: Side, why: str, *, late: bool = False) -> None:
        super().__init__(why)
        self.side, self.late = side, late


def against_base(gate: CoverageGate, files: Iterable[str], folder: Path, before: str, runner: Runner) -> Against:
    """What coverage is held against in this checkout.

    Args:
        files: that were measured.
        before: percent of the branch; empty: nobody knows.
    """
    if not gate.wanted:
        return Against()
    measured = sorted(files)
    lengths = lengths_of(folder, measured)
    if gate.changed_lines is None:
        return Against(lengths=lengths, before=before)
    try:
        base = base_of(folder, runner)
        touched = touched_lines(diff_since(folder, base.sha, measured)) if base.sha else None
    except (CommandFailed, ToolMissing) as error:
        base, touched = Base(why=str(error)[:300], avoidable=True), None
    return Against(base=base, touched=touched, lengths=lengths, before=before)


def hold_coverage(run: SuiteRun, outcome: Outcome, report: Path, runner: Runner) -> Outcome:
    """The outcome of a whole suite with its coverage held against the change and the branch.

    Args:
        report: coverage.py's.
    """
    gate = outcome.coverage
    if gate.found is None or (gate.changed_lines is None and gate.may_fall is None):
        return outcome
    try:
        lines = read_lines(read_bounded(report, LARGEST), report.name)
    except (OSError, ReportInvalid) as error:
        held = msgspec.structs.replace(gate, found=None, why=str(error))
    else:
        history, _ = load(run.history)
        before = history.of(run.suite).figures.coverage
        held = hold(gate, lines, against_base(gate, lines, run.folder, before, runner))
    return msgspec.structs.replace(outcome, coverage=held)


def learn_figures(run: SuiteRun, outcome: Outcome, runner: Runner) -> None:
    """Keep the figures of a whole suite that is green, for those that are held against them."""
    if run.history is None or runner.event in READS_ONLY:
        return
    history, _ = load(run.history)
    try:
        save(run.history, with_figures(history, run.suite, outcome))
    except UsageError as error:  # the suite is green without it
        runner.annotate("warning", str(error), title="cicd")


def compare_with_base(run: SuiteRun, outcome: Outcome, runner: Runner, start: Start) -> list[Judged]:
    """The suite's measures against those of the base; nothing where the config does not ask for it.

    Raises:
        Interrupted.
    """
    if run.budget is None or run.budget.regression is None:
        return []
    if judge_tests(outcome):
        return settled([_one("inconclusive", "it was not compared with the base, for its tests are red")], run.budget)
    try:
        base = base_of(run.folder, runner)
        if not base.sha:
            next_step = f"; next: {base.next_step}" if base.next_step else ""
            why = f"there is no base to compare with: {base.why}{next_step}"
            return settled([_one("failed" if base.avoidable else "inconclusive", why)], run.budget)
        runner.say(f"Against the base {base.sha[:12]}, by turns on this machine:")
        with checked_out(run.folder, base.sha, run.temp) as folder:
            return settled(_by_turns(run, run.budget, folder, runner, start), run.budget)
    except (CommandFailed, ToolMissing) as error:
        return settled([_one("inconclusive", f"the base cannot be compared with: {error}")], run.budget)


def _by_turns(run: SuiteRun, budget: Budget, base: Path, runner: Runner, start: Start) -> list[Judged]:
    """Pairs of runs until what they show is clear, or the time is over."""
    until = time.monotonic() + budget.within
    sides = {name: _side(name, run, folder, runner, start) for name, folder in (("base", base), ("new", run.folder))}
    pairs: list[tuple[Figures, Figures]] = []
    late = ""
    try:
        _measured(run, budget, sides["base"], start, until)  # what is compiled and read once: the new side had its run
        for number in range(budget.pairs):
            found = {name: _measured(run, budget, sides[name], start, until) for name in order(number)}
            pairs.append((found["base"], found["new"]))
            runner.say(f"  pair {number + 1} of {budget.pairs}")
            if len(pairs) in looks(budget.pairs) and look(pairs, budget).clear:
                break
    except _Unmeasured as error:
        if not error.late:
            return [_one("failed" if error.side.name == "new" else "inconclusive", str(error))]
        late = str(error)
    if not pairs:
        return [_one("inconclusive", late)]
    if late:
        runner.say(f"  {late}")
    return [
        msgspec.structs.replace(one, why=f"{one.why}; {late}") if late and one.verdict == "inconclusive" else one
        for one in look(pairs, budget, last=True).judged
    ]


def _side(name: str, run: SuiteRun, folder: Path, runner: Runner, start: Start) -> Side:
    """A side that imports its own code, also where the environment holds an editable install of the new one."""
    inherited = {key: value for key, value in runner.env.items() if not key.startswith("CICD_INPUT_")}
    env = {**inherited, **run.command.env}
    own = suite_run.import_paths(suite_run.interpreter(run.command, env), start, env, run.folder)
    places = [folder / path for path in dict.fromkeys([*own, "src", "."])]
    given = [path for path in env.get("PYTHONPATH", "").split(":") if path]
    env["PYTHONPATH"] = ":".join([*(str(path) for path in places if path.is_dir()), *given])
    return Side(name, folder, env)


def _measured(run: SuiteRun, budget: Budget, side: Side, start: Start, until: float) -> Figures:
    """What one run of a side measured. Raises _Unmeasured, Interrupted."""
    who = "the base's code" if side.name == "base" else "the new code"
    left = until - time.monotonic()
    said: deque[str] = deque(maxlen=TAIL)
    over = _Unmeasured(side, f"the {budget.within:g} seconds for the comparison (`within`) are over", late=True)
    if left <= 0:
        raise over
    before = report_states(run.measures, side.folder)
    ran = suite_run.run_command(run.command, start, side.env, side.folder, min(left, run.limit), said.append)
    if ran.interrupted:
        raise Interrupted(f"{run.name} was interrupted while it was compared", next_step="run it again")
    if ran.timed_out:
        raise over if left < run.limit else _Unmeasured(side, f"{who} was not done after {run.limit:g} seconds")
    if ran.code:
        last = f": {said[-1].strip()[:200]}" if said else ""
        raise _Unmeasured(side, f"{who} cannot be measured, its run ended with {ran.code}{last}")
    try:
        found = figures(new_measures(run.measures, side.folder, before), budget)
    except ReportInvalid as error:
        raise _Unmeasured(side, f"{who} cannot be measured: {error}") from error
    if not found:
        raise _Unmeasured(side, f"{who} cannot be measured: its reports say no time")
    return found


def _one(verdict: Verdict, why: str) -> Judged:
    return Judged(measure="", what=REGRESSION, verdict=verdict, why=why)
