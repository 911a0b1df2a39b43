import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.gates import Coverage, CoverageGate, coverage_policy, read_coverage
from cicd.errors import UsageError


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        (CoverageGate(), True),
        (CoverageGate(wanted=True, why="x"), False),
        (CoverageGate(wanted=True, least=0, why="x"), False),
        (CoverageGate(wanted=True, found=Coverage(1, 10)), True),
        (CoverageGate(wanted=True, least=85, found=Coverage(17, 20)), True),
        (CoverageGate(wanted=True, least=85.01, found=Coverage(17, 20)), False),
        (CoverageGate(wanted=True, least=85, found=Coverage(84_999, 100_000)), False),
        (CoverageGate(wanted=True, least=100, found=Coverage(9_999, 10_000)), False),
        (CoverageGate(wanted=True, least=100, found=Coverage(10, 10)), True),
    ],
)
def test_the_threshold_is_at_least_and_what_is_not_measured_never_passes(gate: CoverageGate, passed: bool) -> None:
    assert gate.passed is passed


def test_the_sentence_says_figure_kind_and_threshold() -> None:
    found = CoverageGate(wanted=True, least=85, found=Coverage(84_999, 100_000)).sentence
    assert "Line coverage is 84.99%" in found
    assert "84999 of 100000 statements by coverage.py" in found
    assert "at least 85% is demanded" in found
    assert "not measured" in CoverageGate(wanted=True, least=85).sentence
    assert "nothing is demanded" in CoverageGate(wanted=True, found=Coverage(1, 2)).sentence
    assert "not asked" in CoverageGate().sentence


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 100))
def test_what_is_shown_never_reaches_a_threshold_that_was_missed(covered: int, statements: int, least: int) -> None:
    found = Coverage(min(covered, statements), statements)
    if not CoverageGate(wanted=True, least=least, found=found).passed:
        assert float(found.shown) < least


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"totals": {"covered_lines": 7, "num_statements": 8, "percent_covered": 1}, "files": {}}', Coverage(7, 8)),
        (b'{"totals": {"covered_lines": 0, "num_statements": 0}}', "no statement"),
        (b'{"totals": {"covered_lines": 9, "num_statements": 8}}', "cannot be"),
        (b'{"totals": {"covered_lines": -1, "num_statements": 8}}', "cannot be"),
        (b'{"totals": {}}', "cannot be read"),
        (b"[]", "cannot be read"),
        (b"", "cannot be read"),
        (b"\xff", "cannot be read"),
    ],
)
def test_the_report_of_coverage(text: bytes, found: Coverage | str) -> None:
    answer = read_coverage(text)
    if isinstance(found, str):
        assert found in str(answer)
    else:
        assert answer == found


@pytest.mark.parametrize(
    ("given_", "asked", "configured", "expected"),
    [
        ("", False, 85.0, CoverageGate()),
        ("", True, 85.0, CoverageGate(wanted=True, least=85)),
        ("", True, None, CoverageGate(wanted=True)),
        ("none", True, 85.0, CoverageGate()),
        ("70", False, 85.0, CoverageGate(wanted=True, least=70)),
        (" 70.5% ", True, 85.0, CoverageGate(wanted=True, least=70.5)),
    ],
)
def test_inputs_come_before_the_config(
    given_: str, asked: bool, configured: float | None, expected: CoverageGate
) -> None:
    assert coverage_policy(given_, asked=asked, configured=configured) == expected


@pytest.mark.parametrize("text", ["high", "-1", "101", "1e2", "8 5", "%", "nan"])
def test_other_inputs_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="percentage"):
        coverage_policy(text, asked=False, configured=None)
