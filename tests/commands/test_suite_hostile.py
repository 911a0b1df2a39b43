"""Tests and reports that would have a suite look better than it is, with real processes: red, and it is said why."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from cicd.adapters import process
from cicd.commands.run_suite import run_suite
from cicd.contract import RunSuite
from cicd.core.covered_lines import read_lines
from cicd.core.gates import read_coverage
from cicd.core.history import read_history
from cicd.core.part import read_part
from cicd.core.results import Result
from cicd.core.shards import Assignment
from cicd.core.suite_plan import RunPlan, SuitePlan, plan_text, read_plan
from cicd.core.verdict_report import read_verdict_report
from cicd.errors import ReportInvalid, SuiteIncomplete, UsageError
from tests.fakes import runner

pytestmark = pytest.mark.real
GREEN = "<testsuite><testcase name='a'/></testsuite>"
PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider"


def ran(folder: Path, **inputs: str) -> Result:
    here = runner({"PATH": os.environ["PATH"], "RUNNER_TEMP": str(folder / "temp")})
    return run_suite(RunSuite(working_directory=str(folder), **inputs), here, process.run)


@pytest.mark.parametrize("options", ["", " -n 2", " --color=yes"])
def test_pytest_exit_with_0_is_not_green(tmp_path: Path, options: str) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): pytest.exit('enough', returncode=0)\ndef test_c(): assert 0\n"
    )
    result = ran(tmp_path, run=PYTEST + options)
    assert result.decision == "failed"
    assert result.exit_code in (60, 65)


def test_a_copy_of_an_older_report_is_not_of_this_run(tmp_path: Path) -> None:
    (tmp_path / "yesterday.xml").write_text(GREEN)
    os.utime(tmp_path / "yesterday.xml", (1e9, 1e9))
    result = ran(tmp_path, run="cp -p yesterday.xml r.xml", junit="r.xml")
    assert (result.reason_code, result.exit_code) == ("report-invalid", 63)
    assert "from before the command" in result.message


def sharded(folder: Path, mischief: str) -> tuple[Result, Result]:
    """A suite in two shards, whose last file does mischief: what its job, and what the verdict says."""
    (folder / ".github").mkdir()
    (folder / ".github" / "cicd.yml").write_text(f"version: 1\napp: a\nsuites:\n  unit: {{run: {PYTEST}, shards: 2}}\n")
    (folder / "test_a.py").write_text("def test_a(): pass\n")
    (folder / "test_b.py").write_text(mischief)
    config = str(folder / ".github" / "cicd.yml")
    plan = ran(folder, plan="true", config=config).outputs["plan"]
    jobs = [ran(folder, plan=plan, suite="unit", shard=f"{shard}/2", config=config) for shard in (1, 2)]
    return jobs[1], ran(folder, plan=plan, parts=str(folder / "temp"), config=config)


PARTS = "import atexit, glob, os, shutil\nplaces = glob.glob(os.environ['RUNNER_TEMP'] + '/cicd-part-unit-2')\n"


@pytest.mark.parametrize(
    ("mischief", "green"),
    [
        ("def test_b(): [os.makedirs(p + '/part.json/x') for p in places]", False),
        ("def test_b(): [os.mkfifo(p + '/part.json') for p in places]", True),
        ("def test_b(): [os.symlink(os.environ['RUNNER_TEMP'] + '/mine', p + '/part.json') for p in places]", True),
        ("def late(): [(os.remove(p), os.mkfifo(p)) for p in [q + '/receipt.json' for q in places]]\n"
         "def test_b(): atexit.register(late)", False),
        ("def test_b(): [shutil.rmtree(p) for p in places]", True),
    ],
)  # fmt: skip
def test_what_tests_do_to_what_their_job_leaves(tmp_path: Path, mischief: str, green: bool) -> None:
    _, verdict = sharded(tmp_path, PARTS + mischief)
    assert verdict.decision == ("done" if green else "failed")
    assert verdict.reason_code in ("ok", "incomplete", "report-invalid")
    assert not (tmp_path / "temp" / "mine").exists()


def test_a_receipt_of_another_commit_proves_nothing(tmp_path: Path) -> None:
    sharded(tmp_path, "def test_b(): pass")
    temp, config = tmp_path / "temp", str(tmp_path / ".github" / "cicd.yml")
    plan = ran(tmp_path, plan="true", config=config).outputs["plan"]
    shutil.copytree(temp / "cicd-part-unit-2", temp / "of-before")
    old = temp / "of-before" / "part.json"
    old.write_text(old.read_text().replace('"sha":""', '"sha":"another"'))
    assert ran(tmp_path, plan=plan, parts=str(temp), config=config).decision == "done"
    (temp / "cicd-part-unit-2" / "receipt.json").unlink()
    assert ran(tmp_path, plan=plan, parts=str(temp), config=config).reason_code == "incomplete"


def test_a_pipe_among_the_parts_holds_nobody_up(tmp_path: Path) -> None:
    job, verdict = sharded(tmp_path, "def test_b(): pass")
    assert (job.decision, verdict.decision) == ("done", "done")
    part = tmp_path / "temp" / "cicd-part-unit-2" / "part.json"
    part.unlink()
    os.mkfifo(part)
    config = str(tmp_path / ".github" / "cicd.yml")
    plan = ran(tmp_path, plan="true", config=config).outputs["plan"]
    verdict = ran(tmp_path, plan=plan, parts=str(tmp_path / "temp"), config=config)
    assert verdict.reason_code == "incomplete"


def test_a_file_whose_name_is_no_text_is_planned(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/test_\xff.py", "wb") as file:
        file.write(b"def test_odd(): pass\n")
    _, verdict = sharded(tmp_path, "def test_b(): pass")
    assert verdict.reason_code == "report-invalid"  # pytest cannot write such a name into a JUnit report


def test_tests_do_not_write_the_actions_outputs(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import os\ndef test_a(): assert 'GITHUB_OUTPUT' not in os.environ\n")
    here = runner({"PATH": os.environ["PATH"], "RUNNER_TEMP": str(tmp_path / "temp"), "GITHUB_OUTPUT": "/nowhere"})
    assert run_suite(RunSuite(working_directory=str(tmp_path), run=PYTEST), here, process.run).exit_code == 0


def test_a_plan_that_leaves_suites_out_is_not_green(tmp_path: Path) -> None:
    sharded(tmp_path, "def test_b(): pass")
    config, parts = str(tmp_path / ".github" / "cicd.yml"), str(tmp_path / "temp")
    with pytest.raises(SuiteIncomplete):
        ran(tmp_path, plan=plan_text(RunPlan(suites=[])), parts=parts, config=config)
    plan = ran(tmp_path, plan="true", config=config).outputs["plan"]
    with pytest.raises(SuiteIncomplete, match="leaves out e2e"):
        ran(tmp_path, plan=plan, parts=parts, config=config, suite="unit e2e")


@pytest.mark.parametrize("shards", [0, -1, 257, 10**9])
def test_a_plan_with_shards_that_cannot_be_is_refused(shards: int) -> None:
    with pytest.raises(UsageError, match="1 to 256 shards"):
        read_plan(plan_text(RunPlan(suites=[SuitePlan(suite="unit", assignment=Assignment(shards=shards))])))


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, '{"files":' * 200_000])
def test_json_that_is_deep_is_no_report(text: str) -> None:
    assert isinstance(read_coverage(text.encode()), str)
    assert isinstance(read_history(text.encode()), str)
    for read in (read_lines, read_part, read_verdict_report):
        with pytest.raises(ReportInvalid):
            read(text.encode(), "x.json")


@pytest.mark.parametrize("number", ["1e308", "-5"])
def test_times_that_cannot_be_are_a_damaged_history(number: str) -> None:
    text = f'{{"schema": 1, "suites": {{"unit": {{"times": {{"a.py": {{"tests": {{"t": {number}}}}}}}}}}}}}'
    assert read_history(text.encode()) == "it has times that cannot be"


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("r.json", "measures: [r.json], budget: {p95: 200ms}, junit: j.xml"),
        ("r.sarif", "security: {findings: [r.sarif]}"),
    ],
)
def test_a_report_that_came_with_the_checkout_is_not_of_this_run(tmp_path: Path, name: str, about: str) -> None:
    clean = '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": []}]}'
    quick = '{"results": [{"command": "x", "mean": 0.1, "median": 0.1, "times": [0.1, 0.1, 0.1]}]}'
    (tmp_path / "j.src").write_text(GREEN)
    (tmp_path / "new.src").write_text(clean if name == "r.sarif" else quick)
    (tmp_path / ".github").mkdir()
    config = tmp_path / ".github" / "cicd.yml"
    for command, green in ((f"cp new.src {name}", True), ("true", False)):  # the second has that of the first
        run = f"sh -c 'cp j.src j.xml; {command}'"
        config.write_text(f'version: 1\napp: a\nsuites:\n  unit: {{run: "{run}", {about}}}\n')
        result = ran(tmp_path, suite="unit", config=str(config))
        assert (result.decision == "done") is green, result.message
