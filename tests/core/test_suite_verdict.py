"""The verdict of a suite: nothing that is missing, red, uncovered or slow is green."""

from collections.abc import Sequence
from datetime import date

import msgspec
import pytest

from cicd.core.covered_lines import Lines
from cicd.core.flaky import Quarantined
from cicd.core.gates import Coverage, CoverageGate
from cicd.core.history import History, learned, read_history
from cicd.core.junit import Failure, Report
from cicd.core.part import Part, part_text, read_part
from cicd.core.performance import Judged
from cicd.core.receipt import Ran, Receipt
from cicd.core.shards import Assignment
from cicd.core.suite_plan import SuitePlan
from cicd.core.suite_verdict import SuiteVerdict, verdict_of
from cicd.core.verdict_summary import verdict_summary
from cicd.errors import ReportInvalid

PLAN = SuitePlan(suite="unit", assignment=Assignment(shards=2, files={"a.py": 1, "b.py": 2}), inputs={"tree": "1"})
TODAY = date(2026, 6, 1)
WANTED = CoverageGate(wanted=True, least=80)


def part(shard: int, **values: object) -> Part:
    given = {
        "suite": "unit",
        "shard": shard,
        "shards": 2,
        "plan": PLAN.digest,
        "command": "pytest",
        "code": 0,
        "seconds": 2.0,
        "limit": 60.0,
        "is_pytest": True,
        "report": Report(tests=1, seconds=1.0),
        **values,
    }
    return msgspec.convert(msgspec.to_builtins(given), Part)


def receipt(shard: int, outcome: str = "passed", *, reruns: int = 0, attempt: int = 1, ended: bool = True) -> Receipt:
    file = {1: "a.py", 2: "b.py"}[shard]
    return Receipt(
        suite="unit",
        plan=PLAN.digest,
        attempt=attempt,
        shard=shard,
        shards=2,
        seen={"a.py": 1, "b.py": 2},
        collected=(f"{file}::t",),
        ran={f"{file}::t": Ran(outcome=outcome, seconds=1.0, reruns=reruns)} if ended else {},  # type: ignore[arg-type]
        ended=ended,
    )


def verdict(
    parts: Sequence[Part],
    receipts: Sequence[Receipt],
    lines: dict[int, dict[str, Lines]] | None = None,
    gate: CoverageGate = CoverageGate(),  # noqa: B008 - frozen
    quarantine: Sequence[Quarantined] = (),
) -> SuiteVerdict:
    return verdict_of(PLAN, parts, receipts, lines or {}, gate, quarantine, TODAY)


BOTH = [part(1), part(2)]
RECEIPTS = [receipt(1), receipt(2)]
FAILED = part(2, code=1, report=Report(tests=1, failed=1, marked=1, failures=(Failure(test="b::t"),)))


def reason(found: SuiteVerdict) -> str:
    return found.error.reason if found.error else "ok"


def test_all_shards_green() -> None:
    found = verdict(BOTH, RECEIPTS)
    assert reason(found) == "ok", found.error
    assert found.outcome is not None
    assert (found.outcome.seen.ran, found.work, found.seconds) == (2, 4.0, 2.0)
    assert found.whole is not None


@pytest.mark.parametrize(
    ("parts", "receipts", "why"),
    [
        ([], [], "incomplete"),
        ([part(1)], [receipt(1)], "incomplete"),
        (BOTH, [receipt(1)], "incomplete"),
        (BOTH, [receipt(1), receipt(2, ended=False)], "incomplete"),
        ([part(1), part(2, plan="another")], RECEIPTS, "incomplete"),
        ([part(1), FAILED], [receipt(1), receipt(2, "failed")], "tests-failed"),
        ([part(1), part(2, code=-9, unreadable="cut off")], [receipt(1), receipt(2, ended=False)], "report-invalid"),
        ([part(1), part(2, timed_out=True)], [receipt(1), receipt(2, ended=False)], "tests-failed"),
        ([part(1), part(2, interrupted=True)], [receipt(1)], "interrupted"),
        (
            [part(1), part(2, judged=[Judged(measure="m", what="p95", verdict="failed", why="m: too slow")])],
            RECEIPTS,
            "too-slow",
        ),
    ],
)
def test_what_is_red(parts: list[Part], receipts: list[Receipt], why: str) -> None:
    found = verdict(parts, receipts)
    assert reason(found) == why, found.error
    assert "❌" in verdict_summary([found], History(), 100_000)


def test_the_newest_attempt_of_a_shard_counts() -> None:
    again = part(2, attempt=2)
    found = verdict([part(1), FAILED, again], [receipt(1), receipt(2, "failed"), receipt(2, attempt=2)])
    assert reason(found) == "ok", found.error


@pytest.mark.parametrize("order", [1, -1])
def test_two_parts_of_one_attempt_say_nothing(order: int) -> None:
    parts = [part(1), *[FAILED, part(2)][::order]]
    assert reason(verdict(parts, RECEIPTS)) in ("incomplete", "tests-failed")
    others = [msgspec.structs.replace(one, is_pytest=False) for one in [part(1), part(2), part(2)]]
    assert reason(verdict(others, [])) == "incomplete"


def test_pytest_leaves_receipts_whatever_its_parts_say() -> None:
    parts = [msgspec.structs.replace(one, is_pytest=False) for one in BOTH]
    assert reason(verdict(parts, [])) == "ok"
    found = verdict_of(PLAN, parts, [], {}, CoverageGate(), [], TODAY, is_pytest=True)
    assert reason(found) == "incomplete"


def test_a_shard_that_says_without_proof_that_it_was_empty_is_judged() -> None:
    parts = [part(1), msgspec.structs.replace(FAILED, empty=True)]
    assert reason(verdict(parts, RECEIPTS)) == "tests-failed"


def test_an_empty_shard_is_fine() -> None:
    empty = part(2, code=5, empty=True, report=Report())
    nothing = Receipt(
        suite="unit", plan=PLAN.digest, attempt=1, shard=2, shards=2, seen={"a.py": 1}, ended=True, exit=5
    )
    first = msgspec.structs.replace(receipt(1), seen={"a.py": 1})
    assert reason(verdict([part(1), empty], [first, nothing])) == "ok"


def test_coverage_is_that_of_all_shards() -> None:
    measured = [part(shard, coverage=CoverageGate(wanted=True, found=Coverage(1, 2))) for shard in (1, 2)]
    lines = {1: {"x.py": Lines({1, 2}, {3, 4, 5})}, 2: {"x.py": Lines({3, 4}, {1, 2, 5})}}
    found = verdict(measured, RECEIPTS, lines, WANTED)
    assert found.outcome is not None
    assert found.outcome.coverage.found == Coverage(4, 5)
    assert reason(found) == "ok"
    assert reason(verdict(measured, RECEIPTS, {1: lines[1]}, WANTED)) == "coverage-too-low"
    other = {1: lines[1], 2: {"x.py": Lines({3}, {9})}}
    wrong = verdict(measured, RECEIPTS, other, WANTED)
    assert wrong.error is not None
    assert "same checkout" in wrong.error.cause
    assert reason(verdict(BOTH, RECEIPTS, {}, WANTED)) == "coverage-too-low", "nothing was measured"


def test_quarantine_excuses_until_its_day() -> None:
    entry = Quarantined(test="b.py::t", owner="@ann", until="2026-06-01", reason="a race")
    parts, receipts = [part(1), FAILED], [receipt(1), receipt(2, "failed")]
    found = verdict(parts, receipts, quarantine=[entry])
    assert reason(found) == "ok"
    text = verdict_summary([found], History(), 100_000)
    assert "@ann" in text.replace("&#64;", "@")
    late = msgspec.structs.replace(entry, until="2026-05-31")
    assert reason(verdict(parts, receipts, quarantine=[late])) == "tests-failed"


def test_quarantine_excuses_its_tests_and_nothing_else() -> None:
    entry = Quarantined(test="b.py::t", owner="@ann", until="2026-06-01", reason="a race")
    early = msgspec.structs.replace(receipt(2, "failed"), collected=("b.py::t", "b.py::u"), ended=False, why="stopping")
    red = [
        ([part(1), FAILED], [receipt(1), early]),  # -x: another test did not run
        ([part(1), msgspec.structs.replace(FAILED, timed_out=True)], [receipt(1), receipt(2, "failed")]),
        ([part(1), msgspec.structs.replace(FAILED, code=2)], [receipt(1), receipt(2, "failed")]),
        (
            [part(1), msgspec.structs.replace(FAILED, report=Report(tests=2, failed=2, marked=2))],
            [receipt(1), receipt(2, "failed")],
        ),
    ]
    for parts, receipts in red:
        assert verdict(parts, receipts, quarantine=[entry]).error is not None, parts
    green = verdict([part(1), FAILED], [receipt(1), receipt(2, "failed")], quarantine=[entry])
    assert not learned(History(), green, PLAN.inputs, "run 7", "", 1.0).proofs, "an excuse proves nothing"


def test_a_shard_whose_tests_are_all_skipped_is_not_red_and_a_suite_is() -> None:
    skipped = part(2, report=Report(tests=1, skipped=1))
    assert reason(verdict([part(1), skipped], [receipt(1), receipt(2, "skipped")])) == "ok"
    both = [part(shard, report=Report(tests=1, skipped=1)) for shard in (1, 2)]
    assert reason(verdict(both, [receipt(1, "skipped"), receipt(2, "skipped")])) == "no-tests"


def test_what_later_runs_learn() -> None:
    flaky = verdict(BOTH, [receipt(1), receipt(2, reruns=2)])
    assert flaky.flaky == ["b.py::t"]
    history = learned(History(), flaky, PLAN.inputs, "run 7", "c" * 40, 1.0)
    assert history.proofs[0].run == "run 7"
    assert history.of("unit").times["b.py"].tests == {"b.py::t": 1.0}
    assert history.of("unit").fixed == 1.0
    assert "Flaky: 1 test" in verdict_summary([flaky], history, 100_000)
    red = verdict([part(1), FAILED], [receipt(1), receipt(2, "failed")])
    after = learned(history, red, {"tree": "2"}, "run 8", "", 2.0)
    assert [proof.run for proof in after.proofs] == ["run 7"], "what is red proves nothing"
    assert read_history(msgspec.json.encode(after)) == after
    assert isinstance(read_history(b"{"), str)


def test_a_proven_suite_is_green_and_says_by_whom() -> None:
    proven = SuitePlan(suite="unit", assignment=Assignment(shards=1), proof="run 7", why="proven by run 7")
    found = verdict_of(proven, [], [], {}, WANTED, [], TODAY)
    assert found.error is None
    assert "proven by run 7" in verdict_summary([found], History(), 100_000)


def test_parts_are_files() -> None:
    assert read_part(part_text(FAILED), "x") == FAILED
    for text in (b"", b"{}", part_text(FAILED).replace(b'"schema":1', b'"schema":2'), part_text(part(3))):
        with pytest.raises(ReportInvalid, match="no part of a suite"):
            read_part(text, "x")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"code": 2**40}, "its exit code"),
        ({"seconds": -1.0}, "its seconds"),
        ({"seconds": 1e12}, "its seconds"),
        ({"report": Report(tests=-1)}, "its counts"),
        ({"report": Report(tests=1, failed=2)}, "more failed"),
        ({"report": Report(tests=1, failures=(Failure(test="t"),))}, "so many failures"),
        ({"report": Report(tests=1, failed=1, failures=(Failure(test="t" * 2_000_000),))}, "its texts"),
    ],
)
def test_a_part_that_no_run_would_have_written(values: dict[str, object], said: str) -> None:
    with pytest.raises(ReportInvalid) as error:
        read_part(part_text(part(1, **values)), "x")
    assert said in error.value.cause


def test_a_part_of_another_commit_is_none() -> None:
    parts, receipts = [part(1, sha="old"), part(2, sha="new")], [receipt(1), receipt(2)]
    found = verdict_of(PLAN, parts, receipts, {}, CoverageGate(), [], TODAY, "new")
    assert "shard 1 of 2 left no report" in str(found.error)
