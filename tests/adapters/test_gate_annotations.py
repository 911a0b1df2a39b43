"""Warnings of the gates: on their lines, no more than GitHub shows, and the rest as a number."""

from pathlib import Path

from cicd.adapters.gate_annotations import WARNINGS, annotate_gates
from cicd.core.gates import CoverageGate
from cicd.core.junit import Report
from cicd.core.performance import Judged
from cicd.core.suite import Outcome
from tests.fakes import runner


def warned(folder: Path, missing: dict[str, list[int]], unsure: int = 0) -> list[str]:
    here = runner({"GITHUB_WORKSPACE": str(folder)})
    judged = [
        Judged(measure=str(n), what="regression", verdict="inconclusive", why=f"noise {n}") for n in range(unsure)
    ]
    judged.append(Judged(measure="x", what="p95", verdict="passed", why="fine"))
    outcome = Outcome(
        suite="unit",
        command="x",
        code=0,
        seconds=1,
        limit=2,
        is_pytest=True,
        report=Report(),
        coverage=CoverageGate(wanted=True, missing=missing),
        judged=tuple(judged),
    )
    annotate_gates(outcome, folder / "project", here)
    return here.stream.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_places_are_named_from_the_repositorys_root(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "a.py").touch()
    assert warned(tmp_path, {"a.py": [3, 4, 5, 9], "gone.py": [1]}) == [
        "warning: project/a.py:3: unit: no test ran lines 3 to 5",
        "warning: project/a.py:9: unit: no test ran line 9",
        "warning: unit: gone.py: no test ran line 1",
    ]
    assert warned(tmp_path, {}) == []


def test_the_rest_is_counted(tmp_path: Path) -> None:
    said = warned(tmp_path, {"a.py": list(range(1, 100, 2))}, unsure=5)
    assert len(said) == WARNINGS + 1
    assert sum("noise" in line for line in said) == 3
    assert said[-1] == "warning: unit: 2 measures and 45 places that no test ran more: see the summary"
