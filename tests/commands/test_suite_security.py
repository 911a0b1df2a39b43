"""A suite with scanners, by a real bandit: alone, and through plan, part and verdict."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters import process
from cicd.adapters.runner import Runner
from cicd.commands.run_suite import run_suite
from cicd.contract import RunSuite
from cicd.core.results import Result
from cicd.errors import ConfigError
from tests.fakes import runner

pytestmark = pytest.mark.real
CONFIG = """
version: 1
app: shop
suites:
  security: {{run: "{run}", security: {security}}}
"""
FOUND = "import subprocess\ndef go(cmd):\n    subprocess.call(cmd, shell=True)\n"
RESULT = {"ruleId": "X", "message": {"text": "x"}}
SCANNER: dict[str, Any] = {"tool": {"driver": {"name": "other"}}, "results": [RESULT]}


def sarif(runs: list[dict[str, Any]]) -> str:
    return json.dumps({"version": "2.1.0", "runs": runs})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / ".github").mkdir(parents=True)
    (folder / "shop.py").write_text(FOUND)
    monkeypatch.chdir(folder)
    configured(folder, "{scan: [code], gate: {severity: high}}")
    process.run(["git", "init", "--quiet"], cwd=folder)
    process.run(["git", "add", "."], cwd=folder)
    return folder


def configured(folder: Path, security: str, run: str = "") -> None:
    (folder / ".github" / "cicd.yml").write_text(CONFIG.format(security=security, run=run))


def here(tmp_path: Path) -> Runner:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    path = f"{Path(sys.executable).parent}:{env['PATH']}"
    return runner({**env, "PATH": path, "RUNNER_TEMP": str(tmp_path / "temp")})


def run(tmp_path: Path, **inputs: str) -> Result:
    return run_suite(RunSuite(**inputs), here(tmp_path), process.run)


def verdict(tmp_path: Path) -> Result:
    """plan → the one job → verdict."""
    planned = run(tmp_path, plan="true")
    (job,) = json.loads(planned.outputs["matrix"])
    run(tmp_path, plan=planned.outputs["plan"], suite="security", shard=job["shard"])
    return run(tmp_path, plan=planned.outputs["plan"], parts=str(tmp_path / "temp"))


def test_a_finding_is_red_on_its_line_and_told_as_sarif(project: Path, tmp_path: Path) -> None:
    where = here(tmp_path)
    result = run_suite(RunSuite(suite="security"), where, process.run)
    assert (result.exit_code, result.reason_code, result.outputs["findings"]) == (67, "findings-block", "1")
    assert "error: shop.py:3: B602" in where.stream.getvalue()  # type: ignore[attr-defined]
    assert "B602" in result.summary
    (told,) = json.loads(Path(result.outputs["sarif"]).read_text())["runs"]
    assert told["tool"]["driver"]["name"] == "bandit"


@pytest.mark.parametrize(("until", "code"), [("2999-12-31", 67), ("2020-01-01", 67), ("", 0)])
def test_an_exception_has_a_reason_and_an_end(project: Path, tmp_path: Path, until: str, code: int) -> None:
    from datetime import UTC, datetime, timedelta

    day = until or str((datetime.now(UTC) + timedelta(days=30)).date())
    configured(
        project,
        f"{{scan: [code], gate: {{severity: high, exceptions: [{{id: B602, reason: tested, until: {day}}}]}}}}",
    )
    result = run(tmp_path, suite="security")
    assert result.exit_code == code, result.message
    assert "B602" in result.summary


def test_through_plan_and_verdict(project: Path, tmp_path: Path) -> None:
    red = verdict(tmp_path)
    assert (red.exit_code, red.reason_code) == (67, "findings-block")
    assert "B602" in red.summary
    (project / "shop.py").write_text("x = 1\n")
    green = verdict(tmp_path)
    assert green.exit_code == 0, green.message
    assert "it runs, for new weaknesses are known each day" in run(tmp_path, plan="true").summary


def test_the_verdict_judges_by_its_own_policy_and_misses_nothing(project: Path, tmp_path: Path) -> None:
    planned = run(tmp_path, plan="true")
    run(tmp_path, plan=planned.outputs["plan"], suite="security", shard="1/1")
    (scans,) = (tmp_path / "temp").rglob("scans.json")
    scans.unlink()
    result = run(tmp_path, plan=planned.outputs["plan"], parts=str(tmp_path / "temp"))
    assert (result.exit_code, result.reason_code) == (68, "scan-unfinished")
    scans.write_text("[")
    result = run(tmp_path, plan=planned.outputs["plan"], parts=str(tmp_path / "temp"))
    assert (result.exit_code, result.reason_code) == (68, "scan-unfinished")


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", 68),
        ("{", 68),
        (sarif([]), 68),
        (sarif([SCANNER]), 67),
        (sarif([{**SCANNER, "results": []}]), 0),
    ],
    ids=["none", "cut off", "no run", "without severities", "nothing found"],
)
def test_reports_that_the_command_leaves(project: Path, tmp_path: Path, written: str, code: int) -> None:
    """Its exit code says that it found something, or not; the reports are what counts."""
    (project / "scan.py").write_text(
        f"open('found.sarif', 'w').write({written!r}) if {bool(written)} else None; exit(1)\n"
    )
    configured(project, "{findings: [found.sarif]}", f"{sys.executable} scan.py")
    result = run(tmp_path, suite="security")
    assert result.exit_code == code, result.message


def test_tests_and_scanners_of_one_suite(project: Path, tmp_path: Path) -> None:
    (project / "test_x.py").write_text("def test(): assert 0\n")
    configured(project, "{scan: [code]}", f"{sys.executable} -m pytest -q")
    assert run(tmp_path, suite="security").exit_code == 60, "a failed test is one, whatever scanners say"
    assert verdict(tmp_path).exit_code == 60
    (project / "test_x.py").write_text("def test(): pass\n")
    assert run(tmp_path, suite="security").exit_code == 0, "bandit goes up to high, and critical is asked for"


@pytest.mark.parametrize(
    ("security", "said"),
    [
        ("{}", "needs `scan` or `findings`"),
        ("{scan: [code], gate: {exceptions: [{id: X, reason: ' ', until: 2026-12-31}]}}", "reason: is empty"),
    ],
)
def test_what_cannot_be(project: Path, tmp_path: Path, security: str, said: str) -> None:
    configured(project, security)
    with pytest.raises(ConfigError, match=said):
        run(tmp_path, suite="security")


def test_a_suite_of_nothing(project: Path, tmp_path: Path) -> None:
    (project / ".github" / "cicd.yml").write_text("version: 1\napp: shop\nsuites:\n  unit: {coverage: true}\n")
    with pytest.raises(ConfigError, match=r"suites\.unit\.run: is missing"):
        run(tmp_path, suite="unit")
