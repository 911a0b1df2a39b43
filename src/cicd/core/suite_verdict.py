"""The verdict of a suite from the parts of all its shards: complete, green, covered, fast enough."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from cicd.core.completeness import Incomplete, Whole, complete
from cicd.core.coverage_gates import Against, hold
from cicd.core.covered_lines import Lines, disagreeing, together
from cicd.core.flaky import Quarantined, Sorted, sort_failures
from cicd.core.gates import CoverageGate
from cicd.core.part import Part, merged
from cicd.core.receipt import RED, Receipt
from cicd.core.security_gate import SecurityGate
from cicd.core.suite import Outcome, judge_gates, judge_tests
from cicd.core.suite_plan import SuitePlan
from cicd.errors import CicdError, NoTests, SuiteIncomplete, TestsFailed

NOTHING = Against()


class SuiteVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a suite came to.

    Attributes:
        suite: its name.
        error: why it is red; None: it is green.
        proof: the run that proved it, when it was left out.
        outcome: all shards as one; None when it was left out or nothing came.
        seconds: of the longest shard; `work` of all.
        shards: shard → seconds of its command.
        whole: the proof that every test ran; None where none was asked for, or there is none.
        flaky: node ids that passed only when they were run again.
        sorted: failures by quarantine.
        said: what else is to be told.
    """

    suite: str
    error: CicdError | None = None
    proof: str = ""
    outcome: Outcome | None = None
    seconds: float = 0.0
    work: float = 0.0
    shards: dict[int, float] = {}
    whole: Whole | None = None
    flaky: list[str] = []
    sorted: Sorted | None = None
    said: list[str] = []


def verdict_of(
    plan: SuitePlan,
    parts: Iterable[Part],
    receipts: Iterable[Receipt],
    lines: Mapping[int, Mapping[str, Lines]],
    gate: CoverageGate,
    quarantine: Sequence[Quarantined],
    today: date,
    sha: str = "",
    against: Against = NOTHING,
    *,
    tested: bool = True,
    is_pytest: bool = False,
    security: SecurityGate | None = None,
) -> SuiteVerdict:
    """The verdict of one suite.

    Args:
        sha: of the plan; a part of another commit is none.
        parts: of all its shards and attempts.
        receipts: the same.
        lines: shard → lines that its newest attempt covered.
        gate: what coverage is held against; `found` is still empty.
        tested: whether its command runs tests.
        is_pytest: whether its command is pytest, whatever its parts say: then each has to have a receipt.
        security: what its scanners found; None: it has none.
        against: what the checkout and earlier runs give to hold it against.
    """
    if plan.proof:
        return SuiteVerdict(suite=plan.suite, proof=plan.proof, said=[plan.why])
    own = [part for part in parts if part.suite == plan.suite and part.plan == plan.digest and part.sha == sha]
    left = [one for one in receipts if one.suite == plan.suite]
    chosen = {shard: _without_false_claim(part, left) for shard, part in newest(own).items()}
    proof = _twice(plan, own, chosen) or _proof(plan, chosen, left, is_pytest=is_pytest)
    whole = proof if isinstance(proof, Whole) else None
    sorted_ = _sorted(whole, quarantine, today) if whole else None
    if not chosen:
        return SuiteVerdict(suite=plan.suite, error=proof if isinstance(proof, CicdError) else _missing(plan, [1]))
    gate = _covered(gate, lines, list(chosen.values()), against)
    outcome = msgspec.structs.replace(
        _outcome(plan.suite, list(chosen.values()), gate), tested=tested, security=security
    )
    error = _error(list(chosen.values()), proof, sorted_, outcome)
    return SuiteVerdict(
        suite=plan.suite,
        error=error,
        outcome=outcome,
        seconds=max(part.seconds for part in chosen.values()),
        work=sum(part.seconds for part in chosen.values()),
        shards={shard: part.seconds for shard, part in sorted(chosen.items())},
        whole=whole,
        flaky=sorted(test for test, ran in whole.ran.items() if ran.reruns and ran.outcome not in RED) if whole else [],
        sorted=sorted_,
        said=[plan.why, *(whole.said if whole else ())],
    )


def newest(parts: Iterable[Part]) -> dict[int, Part]:
    """Shard → its part of the newest attempt."""
    chosen: dict[int, Part] = {}
    for part in parts:
        if part.shard not in chosen or part.attempt >= chosen[part.shard].attempt:
            chosen[part.shard] = part
    return dict(sorted(chosen.items()))


def _without_false_claim(part: Part, receipts: Sequence[Receipt]) -> Part:
    """A part that says that no test fell to it, and has no receipt that shows it, is one like any other."""
    shown = any(
        one.is_rightly_empty and one.plan == part.plan and (one.shard, one.attempt) == (part.shard, part.attempt)
        for one in receipts
    )
    return part if shown or not part.empty else msgspec.structs.replace(part, empty=False)


def _twice(plan: SuitePlan, parts: Sequence[Part], chosen: Mapping[int, Part]) -> SuiteIncomplete | None:
    """Two parts of a shard's newest attempt: nobody knows which of them counts."""
    counts = Counter((part.shard, part.attempt) for part in parts)
    for shard, part in chosen.items():
        if (count := counts[shard, part.attempt]) > 1:
            return SuiteIncomplete(
                f"{plan.suite}: there are {count} reports of shard {shard}, attempt {part.attempt}",
                cause="what earlier runs have left lies in the same folder, or a job ran twice",
                next_step="hand only what the jobs of this run have left to the verdict",
            )
    return None


def _proof(
    plan: SuitePlan, chosen: Mapping[int, Part], receipts: Sequence[Receipt], *, is_pytest: bool
) -> Whole | CicdError | None:
    """The proof that every test ran; None for a runner that leaves no receipts, and whose shards are all there."""
    count = plan.assignment.shards
    missing = [shard for shard in range(1, count + 1) if shard not in chosen]
    if missing:
        return _missing(plan, missing)
    if not is_pytest and not receipts and not any(part.is_pytest for part in chosen.values()):
        return None
    counted = {part.shard: part.attempt for part in chosen.values()}
    proof = complete(
        plan.digest, count, [one for one in receipts if counted.get(one.shard, one.attempt) == one.attempt]
    )
    if isinstance(proof, Incomplete):
        first = proof.gaps[0]
        more = f" (and {len(proof.gaps) - 1} more gaps)" if proof.gaps[1:] else ""
        return SuiteIncomplete(f"{plan.suite}: {first.what}{more}", next_step=first.next_step)
    return proof


def _missing(plan: SuitePlan, shards: Sequence[int]) -> SuiteIncomplete:
    count = plan.assignment.shards
    which = f"shard {', '.join(map(str, shards))} of {count}" if count > 1 else "its job"
    return SuiteIncomplete(
        f"{plan.suite}: {which} left no report",
        cause="it was skipped, cancelled, or ended before it could write one",
        next_step="look at the end of that job, and run it again",
    )


def _sorted(whole: Whole, quarantine: Sequence[Quarantined], today: date) -> Sorted:
    failed = [test for test, ran in whole.ran.items() if ran.outcome in RED]
    passed = [test for test, ran in whole.ran.items() if ran.outcome == "passed"]
    return sort_failures(failed, passed, quarantine, today)


def _outcome(suite: str, parts: Sequence[Part], gate: CoverageGate) -> Outcome:
    """All parts as one: the worst end of them."""
    worst = max(parts, key=lambda part: (part.interrupted, part.timed_out, part.code != 0 and not part.empty))
    return Outcome(
        suite=suite,
        command=worst.command,
        code=0 if worst.empty else worst.code,
        seconds=max(part.seconds for part in parts),
        limit=worst.limit,
        is_pytest=worst.is_pytest,
        report=merged([part.report for part in parts]),
        coverage=gate,
        judged=tuple(one for part in parts for one in part.judged),
        timed_out=any(part.timed_out for part in parts),
        interrupted=any(part.interrupted for part in parts),
    )


def _error(
    parts: Sequence[Part], proof: Whole | CicdError | None, sorted_: Sorted | None, outcome: Outcome
) -> CicdError | None:
    """The gravest reason: nobody knows, then failed tests, then a gate."""
    if isinstance(proof, CicdError):
        # A shard that ended early says more than that its receipt is not whole.
        return next((error for part in parts if (error := _own(part, tested=outcome.tested))), None) or proof
    own = [error for part in parts if (error := _own(part, tested=outcome.tested))]
    if own and not (isinstance(proof, Whole) and sorted_ and excused(proof, sorted_, parts)):
        first = own[0]
        if isinstance(first, TestsFailed) and outcome.report and len(parts) > 1:
            return judge_tests(outcome) or first
        return first
    if outcome.tested and not outcome.seen.ran and not own:
        return judge_tests(outcome)
    return judge_gates(outcome)


def excused(whole: Whole, found: Sorted, parts: Sequence[Part]) -> bool:
    """Whether all that is red are failures in quarantine, and nothing else: no test that did not run, no other end."""
    ended = all(part.code in (0, 1) and not part.timed_out and not part.interrupted for part in parts if not part.empty)
    failed = sum(part.report.failed for part in parts)
    early = any("ended early" in sentence for sentence in whole.said)
    return (
        bool(found.excused)
        and not found.failed
        and not whole.errors
        and ended
        and not early
        and (failed == len(found.excused))
    )


def excused_alone(part: Part, receipt: Receipt | None, quarantine: Sequence[Quarantined], today: date) -> bool:
    """The same for one shard: whether nothing is red in it but failures in quarantine."""
    if receipt is None or not receipt.red or receipt.errors or not receipt.ended:
        return False
    if part.code not in (0, 1) or part.timed_out or part.report.failed != len(receipt.red):
        return False
    return not sort_failures(receipt.red, [], quarantine, today).failed


def _own(part: Part, *, tested: bool) -> CicdError | None:
    """Why a shard alone is red. Coverage, and whether any test ran at all, are the whole suite's."""
    found = None if part.empty else judge_tests(msgspec.structs.replace(part.outcome, tested=tested))
    return None if isinstance(found, NoTests) and part.shards > 1 and not part.code else found


def _covered(
    gate: CoverageGate, lines: Mapping[int, Mapping[str, Lines]], parts: Sequence[Part], against: Against
) -> CoverageGate:
    if not gate.wanted or gate.why:
        return gate
    if other := disagreeing(list(lines.values())):
        why = f"the shards measured different code in {', '.join(other[:3])}: is it the same checkout?"
        return msgspec.structs.replace(gate, why=why)
    without = [part for part in parts if not part.empty and part.coverage.found is None]
    if without:
        return msgspec.structs.replace(gate, why=without[0].coverage.why or "a shard measured nothing")
    unseen = [part.shard for part in parts if not part.empty and part.shard not in lines]
    if unseen:
        return msgspec.structs.replace(gate, why=f"shard {unseen[0]} left no coverage report")
    return hold(gate, together(lines.values()), against)
