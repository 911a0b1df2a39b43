"""plan → shards → verdict with a real pytest, and its workers."""

import json
import os
import sys
from pathlib import Path

import pytest

from cicd.adapters import process
from cicd.adapters.runner import Runner
from cicd.commands.run_suite import run_suite
from cicd.contract import RunSuite
from cicd.core.results import Result
from tests.fakes import runner

pytestmark = pytest.mark.real
CONFIG = f"""
version: 1
app: shop
suites:
  unit: {{run: {sys.executable} -m pytest -q, shards: 2, workers: 2, reuse: false}}
"""
TEST = """
import os, shop
def test_a(): assert shop.sign({number}) == {number} % 2
def test_b(): assert os.environ["PYTEST_XDIST_WORKER_COUNT"] == "2"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / ".github").mkdir(parents=True)
    (folder / ".github" / "cicd.yml").write_text(CONFIG)
    (folder / "shop.py").write_text("def sign(number):\n    if number % 2:\n        return 1\n    return 0\n")
    for number in range(6):
        (folder / f"test_{number}.py").write_text(TEST.format(number=number))
    process.run(["git", "init", "--quiet"], cwd=folder)
    process.run(["git", "add", "."], cwd=folder)
    monkeypatch.chdir(folder)
    return folder


def here(tmp_path: Path) -> Runner:
    # Without what the pytest around this one has told its own workers.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    return runner({**env, "RUNNER_TEMP": str(tmp_path / "temp")})


def run(tmp_path: Path, **inputs: str) -> Result:
    return run_suite(RunSuite(**inputs), here(tmp_path), process.run)


def test_shards_with_workers_make_up_the_suite(project: Path, tmp_path: Path) -> None:
    planned = run(tmp_path, plan="true")
    jobs = json.loads(planned.outputs["matrix"])
    assert [job["shard"] for job in jobs] == ["1/2", "2/2"]
    parts = [run(tmp_path, plan=planned.outputs["plan"], suite="unit", shard=job["shard"]) for job in jobs]
    assert [part.exit_code for part in parts] == [0, 0]
    assert sum(int(part.outputs["tests"]) for part in parts) == 12
    verdict = run(tmp_path, plan=planned.outputs["plan"], parts=str(tmp_path / "temp"))
    assert (verdict.exit_code, verdict.message) == (0, "All green: 1 suite, 12 tests.")
    (suite,) = verdict.data["suites"]
    assert suite["complete"]


def test_all_in_one_job(project: Path, tmp_path: Path) -> None:
    result = run(tmp_path, suite="unit")
    assert (result.exit_code, result.outputs["tests"]) == (0, "12")
