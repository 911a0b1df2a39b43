"""Coverage of a change and against the branch: what is not known is told, and what can be known must be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.base_commit import Base, wanted_base
from cicd.core.changed_lines import of_change, touched_lines
from cicd.core.config import Gates
from cicd.core.coverage_gates import Against, hold, with_policy
from cicd.core.covered_lines import Lines, foreign
from cicd.core.gate_tables import measures_table, missing_table
from cicd.core.gates import Coverage, CoverageGate
from cicd.core.junit import Report
from cicd.core.performance import Judged
from cicd.core.suite import Outcome, judge_gates

LINES = {"a.py": Lines({1, 2, 3}, {4, 5}), "b.py": Lines({1}, set())}
BASE = Base(sha="0123456789abcdef" * 2)


def gate(**wanted: float) -> CoverageGate:
    return with_policy(CoverageGate(wanted=True), Gates(**wanted))


def test_changed_lines_are_held_and_listed() -> None:
    against = Against(base=BASE, touched={"a.py": {3, 4, 5, 9}, "readme": {1}})
    found = hold(gate(changed_lines=50), LINES, against)
    assert not found.passed
    assert found.missing == {"a.py": [4, 5]}
    assert "since 0123456789ab 33.33% ran (1 of 3), and at least 50% is demanded" in found.sentence
    assert hold(gate(changed_lines=33.3), LINES, against).passed
    assert found.meets_least
    assert "<code>a&#46;py</code>" in missing_table(found) or "a.py" in missing_table(found)


def test_nothing_measurable_changed() -> None:
    found = hold(gate(changed_lines=100), LINES, Against(base=BASE, touched={"readme": {1}}))
    assert found.passed
    assert "No line that can be measured was changed" in found.sentence


@pytest.mark.parametrize("avoidable", [True, False])
def test_without_a_base(avoidable: bool) -> None:
    base = Base(why="nobody knows", next_step="look", avoidable=avoidable)
    found = hold(gate(changed_lines=0), LINES, Against(base=base))
    assert found.passed is not avoidable
    assert "nobody knows" in found.sentence


@pytest.mark.parametrize(
    ("before", "may_fall", "passed"),
    [("66.66", 0, True), ("66.67", 0, False), ("70", 3.4, True), ("70", 3.3, False), ("", 0, True), ("x", 0, True)],
)
def test_coverage_against_the_branch(before: str, may_fall: float, passed: bool) -> None:
    found = hold(gate(may_fall=may_fall), LINES, Against(before=before))
    assert found.found == Coverage(4, 6)
    assert found.passed is passed
    assert ("Nothing is known" in found.sentence) is (before in ("", "x"))


def test_all_of_it_is_told_in_one_error() -> None:
    against = Against(base=BASE, touched={"a.py": {4}}, before="99")
    outcome = Outcome(
        suite="unit",
        command="x",
        code=0,
        seconds=1,
        limit=2,
        is_pytest=True,
        report=Report(),
        coverage=hold(gate(coverage=10, changed_lines=80, may_fall=0), LINES, against),
    )
    error = judge_gates(outcome)
    assert error is not None
    assert error.code == 62
    assert "0.00% ran (0 of 1)" in error.what
    assert "It was 99.00% on the branch" in error.what
    assert error.next_step == "test the lines that are listed"


def test_data_of_another_checkout_are_no_coverage() -> None:
    here = {"a.py": 5, "b.py": None}
    assert foreign(LINES, here) == ""
    assert "none of the measured files" in foreign(LINES, dict.fromkeys(LINES))
    assert "line 5 of `a.py`, which has 4 here" in foreign(LINES, {"a.py": 4, "b.py": 1})
    installed = {"/env/a.py": LINES["a.py"], ".venv/lib/site-packages/b.py": LINES["b.py"]}
    assert foreign(installed, dict.fromkeys(installed)) == ""
    found = hold(gate(coverage=0), LINES, Against(lengths={"a.py": 4, "b.py": 1}))
    assert (found.found, found.passed) == (None, False)
    assert "the same checkout" in found.why


def test_a_gate_that_nobody_wants_and_one_that_is_red_already() -> None:
    assert hold(with_policy(CoverageGate(), Gates(changed_lines=1)), {}, Against()) == CoverageGate()
    wrong = CoverageGate(wanted=True, why="no data")
    assert hold(wrong, LINES, Against()) == wrong
    assert hold(gate(), {}, Against()).why == "no shard measured anything"


@given(
    st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(1, 30))),
    st.dictionaries(
        st.sampled_from("abcd"), st.builds(lambda ran, no: Lines(ran, no - ran), *[st.sets(st.integers(1, 30))] * 2)
    ),
)
def test_a_change_is_counted_statement_by_statement(touched: dict[str, set[int]], lines: dict[str, Lines]) -> None:
    change = of_change(lines, touched)
    told = {(file, line) for file, numbers in touched.items() for line in numbers if file in lines}
    ran = {(file, line) for file, line in told if line in lines[file].executed_lines}
    missed = {(file, line) for file, line in told if line in lines[file].missing_lines}
    assert (change.found or Coverage(0, 0)) == Coverage(len(ran), len(ran) + len(missed))
    assert {(file, line) for file, numbers in change.missing.items() for line in numbers} == missed


@given(st.text())
def test_any_text_is_a_diff_of_something_or_nothing(text: str) -> None:
    assert isinstance(touched_lines(text), dict)


def test_tables_are_cut_and_counted() -> None:
    judged = [Judged(measure=str(n), what="p95", verdict="passed", why="x") for n in range(40)]
    judged.append(Judged(measure="bad", what="regression", verdict="failed", why="y"))
    text = measures_table(judged)
    assert text.index("bad") < text.index("<code>0</code>")
    assert "… and 11 more." in text
    many = CoverageGate(wanted=True, missing={f"{n}.py": [1] for n in range(40)})
    assert "40 changed lines that no test ran" in missing_table(many)
    assert "… and in 10 files more." in missing_table(many)
    assert measures_table([]) == missing_table(CoverageGate()) == ""


def test_where_a_change_began_by_the_event() -> None:
    sha = "a" * 40
    pull = wanted_base("pull_request", "main", {"pull_request": {"base": {"sha": sha}}})
    assert (pull.names, pull.or_parent) == (("refs/remotes/origin/main", sha), False)
    main = {"ref": "refs/heads/main", "before": sha, "repository": {"default_branch": "main"}}
    assert wanted_base("push", "", main).names == (sha,)
    assert wanted_base("push", "", {**main, "before": "--upload-pack=x"}).names == ()
    assert not wanted_base("push", "", {**main, "ref": "refs/heads/x"}).or_parent
    assert wanted_base("", "", {}).or_parent
