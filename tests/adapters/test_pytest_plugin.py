"""The pytest plugin in real pytests of three versions: the shards of an odd project make up a plain run."""

import json
import os
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cicd.core.completeness import Incomplete, Whole, complete
from cicd.core.receipt import Receipt, read_receipt
from tests.adapters.odd_project import SPLIT, make_project
from tests.adapters.pytests import VERSIONS, Pytest, Run, environment

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]  # the first one makes the environments

Make = Callable[..., Pytest]


OLD = [pytest.param(version, marks=pytest.mark.slow) for version in sorted(VERSIONS)[:-1]]


@pytest.fixture(params=[*OLD, sorted(VERSIONS)[-1]])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(version: str, tmp_path: Path) -> Make:
    """A project of the files given (or the odd one), and the pytest that is tested."""
    (tmp_path / "scratch").mkdir()

    def make(files: dict[str, str] | None = None) -> Pytest:
        project = tmp_path / "project"
        if files is None:
            make_project(project)
        for name, text in {"pytest.ini": "[pytest]\n", **(files or {})}.items() if files is not None else ():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return Pytest(environment(version), project, tmp_path / "scratch")

    return make


def plan_of(shards: int) -> dict[str, Any]:
    """Some files are known, most are not; of the split one half of the tests is."""
    known = {f"{SPLIT}::test_many[{number}]": number % shards + 1 for number in range(20)}
    return {"files": {"tests/test_plain.py": 1, "tests/test_params.py": shards}, "split": {SPLIT: known}}


def shards_of(this: Pytest, shards: int, *arguments: str, **plan: Any) -> list[Run]:
    return [this.shard(shard, shards, *arguments, **(plan or plan_of(shards))) for shard in range(1, shards + 1)]


def whole(runs: list[Run]) -> Whole:
    found = complete("d1", len(runs), [run.receipt for run in runs])
    assert isinstance(found, Whole), [str(gap) for gap in found.gaps]
    return found


def gaps(*receipts: Receipt) -> list[str]:
    found = complete("d1", receipts[0].shards, receipts)
    assert isinstance(found, Incomplete)
    return [gap.reason for gap in found.gaps]


def outcomes(receipt: Receipt) -> dict[str, str]:
    return {test.rpartition("::")[2]: ran.outcome for test, ran in receipt.ran.items()}


def check_union(this: Pytest, *arguments: str) -> None:
    plain = this.plain(*arguments)
    assert len(plain.started) > 90, plain.output
    for shards in range(1, 5):
        runs = shards_of(this, shards, *arguments)
        assert sorted(test for run in runs for test in run.started) == sorted(plain.started)
        assert len(whole(runs).ran) == len(set(plain.started))  # a rerun may begin anew
        assert {file for run in runs for file in run.imported} == plain.imported
        for shard, run in enumerate(runs, 1):
            owners = {file: owner for file, owner in run.receipt.seen.items() if owner not in (0, shard)}
            assert not run.imported & owners.keys()
            assert run.left == ["plan.json", "receipt.json"]


def test_shards_make_up_a_plain_run(make: Make) -> None:
    check_union(make())


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("-n2", "--dist", "loadscope"),
        ("-n2", "--dist", "loadfile"),
        ("-n2", "--dist", "worksteal"),
        ("-n2", "--dist", "loadgroup"),
        ("--import-mode=importlib",),
        ("-p", "no:randomly", "-p", "no:xdist"),
        ("--cov=.", "--cov-report="),
        ("--reruns", "1"),
    ],
    ids=lambda arguments: "-".join(arguments),
)
def test_shards_make_up_a_plain_run_with(make: Make, arguments: tuple[str, ...]) -> None:
    check_union(make(), *arguments)


@pytest.mark.parametrize("arguments", [(), ("-n2",)], ids=["plain", "xdist"])
def test_a_receipt_has_outcomes_and_seconds(make: Make, arguments: tuple[str, ...]) -> None:
    receipt = make().shard(1, 1, *arguments).receipt
    found = outcomes(receipt)
    names = ("test_one", "test_fails", "test_skipped", "test_xfailed", "test_xpassed", "test_error", "test_expected")
    told = ["passed", "failed", "skipped", "xfailed", "xpassed", "error", "xfailed"]
    assert [found[name] for name in names] == told
    assert found["test_parts"] == found["two: 2"] == "passed"
    times = receipt.files["tests/test_fixtures.py"]
    assert times.fixtures >= 0.4  # 0.3 + 0.1 of the module
    assert times.classes["tests/test_fixtures.py::TestWith"] >= 0.2
    assert all(ran.seconds < 0.6 for test, ran in receipt.ran.items() if "test_fixtures.py" in test)
    assert times.collect > 0
    assert receipt.seconds.total > receipt.seconds.collect > 0
    assert receipt.ended
    assert receipt.exit == 1
    assert set(receipt.collected) == set(receipt.ran)


def test_what_the_user_deselects_is_not_what_we_deselect(make: Make) -> None:
    this = make()
    for arguments in (["-m", "quick"], ["-k", "many or same"], ["--deselect", "tests/test_big.py::test_many[3]"]):
        plain = this.plain(*arguments)
        runs = shards_of(this, 3, *arguments)
        assert sorted(test for run in runs for test in run.started) == sorted(plain.started)
        found = whole(runs)
        assert found.deselected
        assert not set(found.deselected) & set(found.ran)
        others = {test for run in runs for test in run.receipt.others}
        assert others <= set(found.ran)
        assert all(test.startswith(SPLIT) for test in others)


@pytest.mark.parametrize(
    "arguments",
    [
        ("tests/test_plain.py", "tests/unit", "tests/test_big.py::test_many[3]", "tests/test_big.py::test_many[30]"),
        ("tests/test_unittest.py::Case::test_ready", "tests/checks.yaml", "docs/use.rst", "tests/test_params.py"),
        ("-n2", "tests/test_unittest.py::Case::test_ready", "tests/test_plain.py", "tests/test_big.py::test_many[3]"),
        ("--pyargs", "shop.prices", "tests.unit"),
        ("--pyargs", "shop"),
    ],
    ids=["files", "ids", "xdist", "module", "package"],
)
def test_explicit_arguments(make: Make, arguments: tuple[str, ...]) -> None:
    this = make()
    plain = this.plain(*arguments)
    assert plain.code in (0, 1), plain.output
    for shards in (2, 4):
        runs = shards_of(this, shards, *arguments)
        assert sorted(test for run in runs for test in run.started) == sorted(plain.started)
        whole(runs)
        assert all(run.code == 5 for run in runs if run.receipt.is_rightly_empty)
        assert all(run.code in (0, 1) for run in runs if not run.receipt.is_rightly_empty), [r.output for r in runs]


def test_from_another_folder_than_rootdir(make: Make) -> None:
    this = make()
    cwd = this.project / "tests" / "unit"
    plain = this.plain("../test_plain.py", ".", cwd=cwd)
    runs = [this.shard(shard, 2, "../test_plain.py", ".", cwd=cwd, **plan_of(2)) for shard in (1, 2)]
    assert sorted(test for run in runs for test in run.started) == sorted(plain.started)
    assert set(whole(runs).ran) == set(plain.started)


def test_files_outside_of_rootdir(make: Make, tmp_path: Path) -> None:
    this = make({"test_in.py": "def test_in(): pass\n"})
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    for name in ("one/test_a.py", "test_b.py", "deep/test_c.py"):
        path = tmp_path / "elsewhere" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("def test_out(): pass\n")
    arguments = (f"--rootdir={this.project}", "test_in.py", "../elsewhere/one/test_a.py", "../elsewhere/test_b.py")
    for more in ((), ("../elsewhere/deep",)):
        plain = this.plain(*arguments, *more)
        assert len(plain.started) == 3 + len(more), plain.output
        for shards in (1, 2, 3):
            runs = shards_of(this, shards, *arguments, *more, files={})
            assert sorted(test for run in runs for test in run.started) == sorted(plain.started)
            assert {test for test in whole(runs).ran if "test_out" in test} >= {
                "test_a.py::test_out",
                "test_b.py::test_out",
            }


def test_tests_in_the_init_of_a_package(make: Make) -> None:
    files = {"pytest.ini": "[pytest]\npython_files = *.py\n", "pkg/test_a.py": "def test_a(): pass\n"}
    this = make(
        {**files, "pkg/__init__.py": "def test_init(): pass\n", "pkg/sub/__init__.py": "def test_sub(): pass\n"}
    )
    for shards in (1, 2, 3):
        runs = shards_of(this, shards, files={})
        assert len(whole(runs).ran) == 3
        assert len([test for run in runs for test in run.started]) == 3


def test_one_id_of_two_tests(make: Make) -> None:
    twice = """
        import pytest


        class Twice(pytest.File):
            def collect(self):
                yield Check.from_parent(self, name="same", outcome=True)
                yield Check.from_parent(self, name="same", outcome=False)
                yield Check.from_parent(self, name="same", outcome=True)


        class Check(pytest.Item):
            def __init__(self, outcome, **more):
                super().__init__(**more)
                self.outcome = outcome

            def runtest(self):
                assert self.outcome


        def pytest_collect_file(file_path, parent):
            if file_path.suffix == ".yaml":
                return Twice.from_parent(parent, path=file_path)
    """
    this = make({"conftest.py": twice, "a.yaml": "", "test_b.py": "def test_b(): pass\n"})
    runs = shards_of(this, 2, files={"a.yaml": 1, "test_b.py": 2})
    same = whole(runs).ran["a.yaml::same"]
    assert (same.outcome, same.times, same.reruns) == ("failed", 3, 0)


def test_a_name_that_is_no_text(make: Make) -> None:
    this = make({"test_a.py": "def test_a(): pass\n"})
    path = os.fsencode(this.project) + b"/test_\xff.py"
    Path(os.fsdecode(path)).write_text("def test_odd(): pass\n")
    runs = shards_of(this, 2, "--import-mode=importlib", "-p", "no:randomly", files={"test_a.py": 1})
    assert "test_\\udcff.py::test_odd" in whole(runs).ran


EARLY = {
    "test_a.py": """
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_a(number):
            assert number != 1
    """,
    "test_b.py": "def test_b(): pass\n",
}


@pytest.mark.parametrize("arguments", [("-x",), ("--maxfail=1", "-n1")], ids=["plain", "xdist"])
def test_maxfail_ends_early_and_says_so(make: Make, arguments: tuple[str, ...]) -> None:
    runs = shards_of(make(EARLY), 2, "-p", "no:randomly", *arguments, files={"test_a.py": 1, "test_b.py": 2})
    receipt = runs[0].receipt
    assert not receipt.ended
    assert "stopping after 1 failures" in receipt.why
    assert len(receipt.collected) == 6
    assert outcomes(receipt)["test_a[1]"] == "failed"
    found = whole(runs)
    assert found.is_red
    assert "Shard 1 ended early (stopping after 1 failures" in found.said[0]


def test_an_exit_without_a_failure_is_a_gap(make: Make) -> None:
    body = "import pytest\n\ndef test_a():\n    pytest.exit('enough', returncode=0)\n\ndef test_b(): pass\n"
    run = make({"test_a.py": body}).shard(1, 1, "-p", "no:randomly")
    assert run.code == 0
    assert run.receipt.why == "enough"
    assert gaps(run.receipt) == ["not-ended"]


@pytest.mark.parametrize(
    "arguments", [(), ("-n2",), ("--continue-on-collection-errors",)], ids=["plain", "xdist", "on"]
)
def test_a_file_that_cannot_be_imported(make: Make, arguments: tuple[str, ...]) -> None:
    files = {"sub/test_bad.py": "import there_is_no_such_module\n", **EARLY}
    runs = shards_of(make(files), 2, *arguments, files={"test_a.py": 1, "test_b.py": 2, "sub/test_bad.py": 2})
    assert runs[1].code in (1, 2)
    assert list(runs[1].receipt.errors) == ["sub/test_bad.py"]
    assert "there_is_no_such_module" in runs[1].receipt.errors["sub/test_bad.py"]
    assert not runs[0].receipt.errors
    found = whole(runs)
    assert found.is_red
    assert "Shard 2 could not collect sub/test_bad.py." in found.said


@pytest.mark.parametrize("arguments", [(), ("-n2",)], ids=["plain", "xdist"])
def test_a_shard_without_tests_can_be_told_from_a_wrong_path(make: Make, arguments: tuple[str, ...]) -> None:
    this = make(EARLY)
    owners = {"test_a.py": 1, "test_b.py": 1}
    empty = this.shard(2, 2, *arguments, files=owners)
    assert empty.code == 5
    assert empty.receipt.is_rightly_empty
    (this.project / "nothing").mkdir()
    wrong = this.shard(2, 2, *arguments, "nothing", files=owners)
    assert wrong.code == 5
    assert not wrong.receipt.is_rightly_empty
    assert gaps(wrong.receipt, this.shard(1, 2, *arguments, "nothing", files=owners).receipt) == ["no-tests"]


def test_a_killed_run_leaves_what_it_had(make: Make) -> None:
    body = "import os, signal\n\ndef test_a(): pass\n\ndef test_b():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    this = make({"test_a.py": body, "test_bad.py": "import nothing_of_that_name\n"})
    run = this.shard(1, 1, "-p", "no:randomly", "--continue-on-collection-errors")
    assert run.code == -signal.SIGKILL
    receipt = run.receipt
    assert not receipt.ended
    assert receipt.collected == ("test_a.py::test_a", "test_a.py::test_b")
    assert outcomes(receipt) == {"test_a": "passed"}
    assert list(receipt.errors) == ["test_bad.py"]
    assert "not-ended" in gaps(receipt)


def test_an_interrupted_run_leaves_what_it_had(make: Make) -> None:
    body = "import os, signal\n\ndef test_a(): pass\n\ndef test_b():\n    os.kill(os.getpid(), signal.SIGINT)\n"
    run = make({"test_a.py": body}).shard(1, 1, "-p", "no:randomly")
    assert run.code == 2
    assert run.receipt.why == "it was interrupted"
    assert outcomes(run.receipt) == {"test_a": "passed"}
    assert gaps(run.receipt) == ["not-ended"]


def test_a_crash_of_a_worker_is_a_failure(make: Make) -> None:
    body = "import os, signal\n\ndef test_a(): pass\n\ndef test_b():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    run = make({"test_a.py": body, "test_c.py": "def test_c(): pass\n"}).shard(1, 1, "-n1", "-p", "no:randomly")
    assert outcomes(run.receipt) == {"test_a": "passed", "test_b": "failed", "test_c": "passed"}
    assert run.left == ["plan.json", "receipt.json"]
    assert whole([run]).is_red


FLAKY = """
    import pytest

    tries = []


    {mark}
    def test_flaky():
        tries.append(1)
        assert len(tries) == 3


    def test_steady():
        pass
"""


@pytest.mark.parametrize(
    ("mark", "arguments"),
    [
        ("@pytest.mark.flaky(reruns=4)", ("-p", "no:flaky")),
        ("@pytest.mark.flaky(reruns=4)", ("-p", "no:flaky", "-n2")),
        ("@pytest.mark.flaky(max_runs=5)", ("-p", "no:rerunfailures")),
    ],
    ids=["rerunfailures", "rerunfailures-xdist", "flaky"],
)
def test_reruns_are_counted(make: Make, mark: str, arguments: tuple[str, ...]) -> None:
    run = make({"test_a.py": FLAKY.format(mark=mark)}).shard(1, 1, *arguments)
    assert run.code == 0, run.output
    flaky, steady = (run.receipt.ran[f"test_a.py::{name}"] for name in ("test_flaky", "test_steady"))
    assert (flaky.outcome, flaky.reruns) == ("passed", 2)
    assert (steady.outcome, steady.reruns) == ("passed", 0)


def test_a_command_that_starts_pytest_twice(make: Make, version: str) -> None:
    this = make(EARLY)
    place = this.scratch / "place"
    place.mkdir()
    plan = {
        "plan": "d1",
        "suite": "unit",
        "attempt": 1,
        "shard": 1,
        "shards": 1,
        "receipt": str(place / "receipt.json"),
    }
    (place / "plan.json").write_text(json.dumps(plan))
    extra = {"CICD_SHARD_PLAN": str(place / "plan.json")}
    for file in ("test_a.py", "test_b.py"):
        this.run(("-p", "cicd_shard", file), extra, None)
    receipt = read_receipt((place / "receipt.json").read_bytes())
    assert len(receipt.ran) == 7
    assert set(receipt.seen) == {"test_a.py", "test_b.py"}
    assert receipt.exit == 1
    assert isinstance(complete("d1", 1, [receipt]), Whole)
    this.run(("-p", "cicd_shard", "test_b.py"), extra, None)
    again = read_receipt((place / "receipt.json").read_bytes()).ran["test_b.py::test_b"]
    assert again.times == 2


def test_a_pytest_that_a_test_starts_is_not_a_part_of_the_shard(make: Make) -> None:
    body = """
        import subprocess, sys

        def test_inner(tmp_path):
            for name in ("test_1.py", "test_2.py", "test_3.py"):
                (tmp_path / name).write_text("def test(): pass")
            argv = [sys.executable, "-m", "pytest", "-p", "cicd_shard", "-q", "--rootdir", str(tmp_path), str(tmp_path)]
            assert "3 passed" in subprocess.run(argv, stdout=subprocess.PIPE, universal_newlines=True).stdout
    """
    this = make({"test_a.py": body})
    for arguments in ((), ("-n1",)):
        run = this.shard(1, 2, *arguments, files={"test_a.py": 1})
        assert run.code == 0, run.output
        assert list(run.receipt.ran) == ["test_a.py::test_inner"]


def test_a_plan_that_cannot_be_read_is_said_before_any_test(make: Make) -> None:
    this = make(EARLY)
    wrong: tuple[dict[str, Any], ...] = (
        {"attempt": "x"},
        {"files": {"test_a.py": 7}},
        {"files": []},
        {"split": {"test_a.py": {"x": "1"}}},
    )
    for broken in wrong:
        run = this.shard(2, 2, **broken)
        assert run.code == 4
        assert "cannot be read" in run.output
        assert not run.started


def test_without_a_plan_it_does_nothing(make: Make) -> None:
    run = make(EARLY).plain("-p", "cicd_shard")
    assert len(run.started) == 7
