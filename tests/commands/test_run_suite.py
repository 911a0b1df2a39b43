import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters.failure_annotations import ERRORS, annotated
from cicd.adapters.process import Completed
from cicd.adapters.runner import Runner
from cicd.commands.run_suite import run_suite
from cicd.contract import RunSuite
from cicd.core.junit import Failure
from cicd.core.results import Result
from cicd.errors import CicdError, ConfigError, Interrupted, ToolMissing, UnknownSuite, UsageError
from tests.fakes import runner

CONFIG = """
version: 1
app: shop
suites:
  unit: {run: pytest tests/unit -q, coverage: true, timeout: 3m}
  web: {run: npm test, junit: out/web.xml}
gates: {coverage: 85}
"""
PASSED = "<testsuite><testcase classname='tests.a' name='one' time='0.1'/><testcase name='two'/></testsuite>"
FAILED = (
    "<testsuite><testcase name='one'/><testcase classname='tests.a' name='::error::two'>"
    "<failure message='assert 0'>tests/test_a.py:3: AssertionError</failure></testcase></testsuite>"
)
COVERED = '{"totals": {"covered_lines": 9, "num_statements": 10}}'


class Programs:
    """Stands for process.run: answers what was told to it, by the word that argv has, and refuses all else."""

    def __init__(self, **answers: Callable[[Sequence[str], Mapping[str, Any]], tuple[int, str]]) -> None:
        self.answers = answers
        self.ran: list[tuple[tuple[str, ...], dict[str, Any]]] = []

    def __call__(self, argv: Sequence[str], **options: Any) -> Completed:
        self.ran.append((tuple(argv), options))
        for word, answer in self.answers.items():
            if word in {part.split("=")[0] for part in argv}:
                code, said = answer(argv, options)
                for line in said.splitlines() if options.get("each_line") else ():
                    options["each_line"](line)
                return Completed(tuple(argv), code, said, 1.5)
        raise AssertionError(f"not told what {argv} answers")

    def only(self, word: str) -> tuple[tuple[str, ...], dict[str, Any]]:
        (found,) = [ran for ran in self.ran if word in ran[0]]
        return found


def option(argv: Sequence[str], name: str) -> str:
    return next(part.partition("=")[2] for part in argv if part.startswith(f"{name}="))


def pytest_writes(
    report: str | None, code: int = 0, said: str = "", coverage: str = ""
) -> Callable[[Sequence[str], Mapping[str, Any]], tuple[int, str]]:
    def answer(argv: Sequence[str], options: Mapping[str, Any]) -> tuple[int, str]:
        if report is not None:
            (options["cwd"] / option(argv, "--junitxml")).write_text(report)
        if coverage:
            Path(option(argv, "--cov-report").removeprefix("json:")).write_text(coverage)
        return code, said

    return answer


def says(text: str, code: int = 0) -> Callable[[Sequence[str], Mapping[str, Any]], tuple[int, str]]:
    return lambda argv, options: (code, text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / ".github").mkdir(parents=True)
    (folder / ".github" / "cicd.yml").write_text(CONFIG)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_a.py").touch()
    monkeypatch.chdir(folder)
    return folder


def here(tmp_path: Path, **env: str) -> Runner:
    return runner({"RUNNER_TEMP": str(tmp_path / "temp"), "PATH": "/nowhere", **env})


def said(where: Runner) -> str:
    return where.stream.getvalue()  # type: ignore[attr-defined, no-any-return]


def run(tmp_path: Path, programs: Programs, where: Runner | None = None, **inputs: str) -> Result:
    return run_suite(RunSuite(**inputs), where or here(tmp_path), programs)


def test_a_green_suite_from_inputs_alone(project: Path, tmp_path: Path) -> None:
    (project / ".github" / "cicd.yml").unlink()
    where = here(tmp_path, CICD_INPUT_RUN="x", CICD_ENVIRONMENT="e", KEPT="yes")
    programs = Programs(pytest=pytest_writes(PASSED, said="two passed"))
    result = run(tmp_path, programs, where, run="A=1 pytest -q")
    assert (result.decision, result.reason_code, result.exit_code) == ("done", "ok", 0)
    assert result.outputs["tests"] == "2"
    assert result.outputs["failed"] == "0"
    assert result.outputs["coverage"] == ""
    assert Path(result.outputs["junit"]).read_text() == PASSED
    assert result.summary.startswith("### ✅")
    assert said(where).splitlines() == ["$ A=1 pytest -q", "two passed"]
    ((argv, options),) = programs.ran
    assert argv[0] == "pytest"
    assert argv[2:] == ("-q",)
    assert options["cwd"] == project
    assert options["timeout"] == 3600
    assert options["env"]["KEPT"] == "yes"
    assert options["env"]["A"] == "1"
    assert "CICD_INPUT_RUN" not in options["env"]


def test_a_red_suite_says_where(project: Path, tmp_path: Path) -> None:
    where = here(tmp_path)
    result = run(tmp_path, Programs(pytest=pytest_writes(FAILED, code=1)), where, run="pytest")
    assert (result.decision, result.reason_code, result.exit_code) == ("failed", "tests-failed", 60)
    assert (result.outputs["tests"], result.outputs["failed"]) == ("2", "1")
    assert "error: tests/test_a.py:3: tests.a::::error::two: assert 0" in said(where)
    assert result.data["failures"][0]["line"] == 3
    json.dumps(result.data)


def test_a_suite_of_the_config_with_coverage(project: Path, tmp_path: Path) -> None:
    programs = Programs(
        **{
            "-c": says("noise\nhas pytest_cov coverage"),
            "pytest": pytest_writes(PASSED, coverage=COVERED),
        }
    )
    result = run(tmp_path, programs, suite="unit")
    assert result.exit_code == 0
    assert result.outputs["coverage"] == "90.00"
    argv, options = programs.only("pytest")
    assert "--cov" in argv
    assert options["timeout"] == 180
    assert Path(options["env"]["COVERAGE_FILE"]).is_relative_to(tmp_path / "temp")
    assert result.data["coverage"] == {
        "kind": "line",
        "covered": 9,
        "statements": 10,
        "least": 85.0,
        "passed": True,
        "gates": [],
    }


@pytest.mark.parametrize(("least", "code"), [("90", 0), ("90.1", 62), ("none", 0)])
def test_the_input_goes_before_the_gate_of_the_config(project: Path, tmp_path: Path, least: str, code: int) -> None:
    programs = Programs(
        **{"-c": says("has pytest_cov"), "pytest": pytest_writes(PASSED, coverage=COVERED * (least != "none"))}
    )
    result = run(tmp_path, programs, suite="unit", coverage=least)
    assert result.exit_code == code
    assert ("line coverage is 90.00%" in result.message) is (code == 62)


def test_workers_where_they_can_be(project: Path, tmp_path: Path) -> None:
    programs = Programs(**{"-c": says("has pytest_cov xdist"), "pytest": pytest_writes(PASSED, coverage=COVERED)})
    assert run(tmp_path, programs, suite="unit", workers="3").exit_code == 0
    assert " -n 3 --dist loadfile " in " ".join(programs.only("pytest")[0])


@pytest.mark.parametrize("has", ["has pytest_cov", "has coverage xdist"])
def test_workers_where_they_cannot_be(project: Path, tmp_path: Path, has: str) -> None:
    """The tests prove as much without: it is said, and they run."""
    where = here(tmp_path)
    report = lambda argv, options: (Path(argv[argv.index("-o") + 1]).write_text(COVERED), (0, ""))[1]  # noqa: E731
    programs = Programs(
        **{"-c": says(has), "pytest": pytest_writes(PASSED, coverage=("pytest_cov" in has and COVERED) or "")},
        combine=says(""),
        json=report,
    )
    assert run(tmp_path, programs, where, suite="unit", workers="auto" if os.cpu_count() != 1 else "2").exit_code == 0
    assert "runs without workers" in said(where)
    assert " -n " not in " ".join(next(argv for argv, _ in programs.ran if "pytest" in argv))


def test_workers_that_are_no_number(project: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`workers` must be `auto` or a number from 1 to 64, is `many`"):
        run(tmp_path, Programs(), suite="unit", workers="many")


def test_without_pytest_cov_it_runs_under_coverage(project: Path, tmp_path: Path) -> None:
    def report(argv: Sequence[str], options: Mapping[str, Any]) -> tuple[int, str]:
        Path(argv[-1]).write_text(COVERED)
        return 0, ""

    programs = Programs(
        **{"-c": says("has coverage"), "pytest": pytest_writes(PASSED), "combine": says("nothing", 1), "json": report}
    )
    result = run(tmp_path, programs, run="pytest -q", coverage="80")
    assert result.outputs["coverage"] == "90.00"
    argv, _ = programs.only("pytest")
    assert argv[:6] == ("python", "-m", "coverage", "run", "-m", "pytest")


@pytest.mark.parametrize(
    ("answers", "cause"),
    [
        ({"-c": says("has")}, "neither pytest-cov nor coverage"),
        ({"-c": says("no such python", 1)}, "neither pytest-cov nor coverage"),
        ({"-c": says("has pytest_cov")}, "wrote no coverage data"),
        (
            {"-c": says("has coverage"), "combine": says("", 1), "json": says("No data to report.", 1)},
            "No data to report",
        ),
    ],
)
def test_coverage_that_was_not_measured_is_red(
    project: Path, tmp_path: Path, answers: dict[str, Any], cause: str
) -> None:
    result = run(tmp_path, Programs(**answers, pytest=pytest_writes(PASSED)), suite="unit")
    assert (result.reason_code, result.exit_code) == ("coverage-too-low", 62)
    assert "was not measured, and at least 85% is demanded" in result.message
    assert cause in result.message


def test_another_runner_writes_its_own_report(project: Path, tmp_path: Path) -> None:
    def npm(argv: Sequence[str], options: Mapping[str, Any]) -> tuple[int, str]:
        (options["cwd"] / "out").mkdir()
        (options["cwd"] / "out" / "web.xml").write_text(PASSED)
        return 0, ""

    programs = Programs(npm=npm)
    result = run(tmp_path, programs, suite="web")
    assert result.exit_code == 0
    assert result.outputs["junit"] == str(project / "out" / "web.xml")
    assert programs.ran[0][0] == ("npm", "test")


def test_on_a_terminal_nothing_is_left(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    result = run(tmp_path, Programs(pytest=pytest_writes(PASSED)), runner({"PATH": "/nowhere"}), run="pytest")
    assert (result.outputs["tests"], result.outputs["junit"]) == ("2", "")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_may_come_to_pytest_gets_the_report_by_variable(project: Path, tmp_path: Path) -> None:
    programs = Programs(make=says(""))
    where = here(tmp_path, PYTEST_ADDOPTS="-ra")
    result = run(tmp_path, programs, where, run="make test")
    assert programs.ran[0][1]["env"]["PYTEST_ADDOPTS"].startswith("-ra --junitxml=")
    assert (result.reason_code, result.exit_code) == ("report-invalid", 63)
    assert "name the report" in result.message


@pytest.mark.parametrize("stale", [PASSED, FAILED])
def test_a_report_of_before_is_not_taken_for_a_new_one(project: Path, tmp_path: Path, stale: str) -> None:
    (project / "out").mkdir()
    (project / "out" / "web.xml").write_text(stale)
    result = run(tmp_path, Programs(npm=says("")), suite="web")
    assert (result.reason_code, result.exit_code) == ("report-invalid", 63)
    assert "from before the command" in result.message


@pytest.mark.parametrize(
    ("report", "code", "reason", "exit_code"),
    [
        (PASSED, 1, "tests-failed", 60),
        (FAILED, 0, "tests-failed", 60),
        (None, 0, "report-invalid", 63),
        (None, 4, "report-invalid", 63),
        ("<testsuite/>", 5, "no-tests", 61),
        ("<testsuite/>", 0, "no-tests", 61),
        ("<testsuite><testcase", 1, "report-invalid", 63),
        ("", 0, "report-invalid", 63),
    ],
)
def test_red_is_red(project: Path, tmp_path: Path, report: str | None, code: int, reason: str, exit_code: int) -> None:
    result = run(tmp_path, Programs(pytest=pytest_writes(report, code)), run="pytest")
    assert (result.decision, result.reason_code, result.exit_code) == ("failed", reason, exit_code)
    assert set(result.outputs) == {"tests", "failed", "coverage", "findings", "junit", "sarif"}
    assert result.summary.startswith("### ❌")


def test_an_interrupted_suite_says_what_it_had_shown(project: Path, tmp_path: Path) -> None:
    def cancelled(argv: Sequence[str], options: Mapping[str, Any]) -> tuple[int, str]:
        pytest_writes(FAILED)(argv, options)
        raise Interrupted("SIGINT arrived")

    result = run(tmp_path, Programs(pytest=cancelled), run="pytest")
    assert (result.reason_code, result.exit_code) == ("interrupted", 72)
    assert "2 tests had ended, 1 of them failed" in result.message
    assert result.outputs["failed"] == "1"


def test_a_program_that_is_not_there(project: Path, tmp_path: Path) -> None:
    def missing(argv: Sequence[str], options: Mapping[str, Any]) -> tuple[int, str]:
        raise ToolMissing("`pytest` cannot be started")

    with pytest.raises(ToolMissing):
        run(tmp_path, Programs(pytest=missing), run="pytest")


@pytest.mark.parametrize(
    ("inputs", "error", "said"),
    [
        ({"suite": "unti"}, UnknownSuite, "unit, web"),
        ({}, UsageError, "the config has unit, web"),
        ({"run": "pytest", "timeout": "soon"}, UsageError, "minutes"),
        ({"run": "pytest", "timeout": "0"}, UsageError, "minutes"),
        ({"run": "pytest", "timeout": "nan"}, UsageError, "minutes"),
        ({"run": "pytest", "coverage": "lots"}, UsageError, "percentage"),
        ({"run": "pytest", "working_directory": "nowhere"}, UsageError, "no folder"),
        ({"run": "pytest 'x"}, UsageError, "quotes"),
        ({"suite": "unit", "config": "nowhere.yml"}, ConfigError, "There is no nowhere.yml"),
        ({"suite": "unit", "config": "nowhere.yml"}, ConfigError, "docs/tutorial.md"),
        ({"suite": "unit", "config": ".github"}, ConfigError, "cannot be read"),
    ],
)
def test_bad_inputs_run_nothing(
    project: Path, tmp_path: Path, inputs: dict[str, str], error: type[CicdError], said: str
) -> None:
    programs = Programs()
    with pytest.raises(error, match=said):
        run_suite(RunSuite(**inputs), here(tmp_path), programs)
    assert not programs.ran


def test_run_takes_the_place_of_the_command_only(project: Path, tmp_path: Path) -> None:
    programs = Programs(npm=says(""), pytest=pytest_writes(PASSED))
    assert run(tmp_path, programs, suite="unit", run="pytest -x", coverage="none", timeout="2").exit_code == 0
    assert programs.ran[0][1]["timeout"] == 120
    assert run(tmp_path, programs, suite="other", run="pytest").data["suite"] == "other"


def test_a_password_from_a_variable_is_told_to_nobody(project: Path, tmp_path: Path) -> None:
    where = here(tmp_path, DATABASE_URL="postgresql://u:hunter2@h/d")
    programs = Programs(pytest=pytest_writes(FAILED, 1))
    result = run(tmp_path, programs, where, run="pytest --dburi $DATABASE_URL")
    assert "postgresql://u:hunter2@h/d" in programs.ran[0][0]
    assert "hunter2" not in said(where) + result.summary + result.message + json.dumps(result.data)


def test_the_suites_own_lines_are_no_commands(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = here(tmp_path, GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(tmp_path))
    run(tmp_path, Programs(pytest=pytest_writes(FAILED, 1, said="::add-mask::e\nend")), where, run="pytest")
    lines = said(where).splitlines()
    assert lines[1].startswith("::stop-commands::")
    assert lines[2:4] == ["::add-mask::e", "end"]
    assert lines[4] == f"::{lines[1].rpartition('::')[2]}::"
    (annotation,) = capsys.readouterr().out.splitlines()
    assert "file=project/tests/test_a.py" in annotation
    assert "line=3" in annotation


def test_ten_errors_and_the_rest_counted(project: Path, tmp_path: Path) -> None:
    cases = "".join(f"<testcase name='t{number}'><failure message='m'/></testcase>" for number in range(30))
    where = here(tmp_path)
    result = run(tmp_path, Programs(pytest=pytest_writes(f"<testsuite>{cases}</testsuite>", 1)), where, run="pytest")
    assert said(where).count("error: ") == ERRORS
    assert "21 failed tests more than the 9 that are annotated" in result.message


def test_the_first_of_each_file_is_annotated_first() -> None:
    failures = tuple(Failure(test=f"{file}{number}", file=file) for file in "ab" for number in range(8))
    names = [failure.test for failure in annotated(failures)]
    assert names[:2] == ["a0", "b0"]
    assert len(names) == len(set(names)) == ERRORS
    assert annotated(()) == []


def test_the_project_may_lie_below_the_repository(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    where = here(tmp_path)
    run(tmp_path, Programs(pytest=pytest_writes(FAILED, 1)), where, run="pytest", working_directory="project")
    assert "error: project/tests/test_a.py:3: " in said(where)
    assert os.getcwd() == str(tmp_path)
