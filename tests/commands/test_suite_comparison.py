"""A suite held against its base: real repositories and processes; what is measured is written in the code."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from cicd.adapters import process
from cicd.adapters.process import run
from cicd.adapters.together import interruptible
from cicd.commands.run_suite import run_suite
from cicd.contract import RunSuite
from cicd.core.results import Result
from cicd.errors import ConfigError, Interrupted
from tests.fakes import runner

pytestmark = pytest.mark.real

CONFIG = """
version: 1
app: shop
gates: {coverage: 10%, changed-lines: 80%, may-fall: 0%}
suites:
  speed:
    run: python bench.py
    junit: r.xml
    measures: [bench.json]
    budget: {regression: 5%, pairs: 10, within: 1m}
  unit: {run: python -m coverage run -m pytest -q, coverage: true}
"""
BENCH = """
import json, shop
results = [{"command": name, "times": [value]} for name, value in shop.TIMES.items()]
json.dump({"results": results}, open("bench.json", "w"))
open("r.xml", "w").write('<testsuite><testcase name="a"/></testsuite>')
"""
# Of different lengths: Python takes a .pyc for a source of the same size and second.
FAST, SLOW = 'TIMES = {"cart": 1.0, "search": 2.0}\n', 'TIMES = {"cart": 1.20, "search": 2.0}\n'


def git(folder: Path, *argv: str) -> str:
    return run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder), *argv]).output.strip()


def commit(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "x")
    return git(folder, "rev-parse", "HEAD")


def project(folder: Path, *commits: dict[str, str], config: str = CONFIG) -> Path:
    """A repository with so many commits."""
    folder = folder / "shop"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    ignored = "bench.json\nr.xml\n__pycache__\n.coverage\n"
    for index, files in enumerate(commits):
        commit(
            folder,
            ({".github/cicd.yml": config, "bench.py": BENCH, ".gitignore": ignored} | files) if not index else files,
        )
    return folder


def ran(folder: Path, suite: str = "speed", env: dict[str, str] | None = None, **inputs: str) -> tuple[Result, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    here = runner({"PATH": path, "RUNNER_TEMP": str(folder.parent / "temp"), **(env or {})})
    given = RunSuite(**{"working_directory": str(folder), "suite": suite, **inputs})
    result = run_suite(given, here, process.run)
    assert not list((folder.parent / "temp").glob("cicd-base-*"))
    return result, here.stream.getvalue()  # type: ignore[attr-defined]


def test_slower_code_is_red_and_says_by_how_much(tmp_path: Path) -> None:
    result, _ = ran(project(tmp_path, {"shop.py": FAST}, {"shop.py": SLOW}))
    assert (result.exit_code, result.reason_code) == (66, "too-slow")
    assert "cart: +20.0% (from +20.0% to +20.0%, 10 pairs), at most 5% slower is allowed" in result.message
    assert "| ❌ | <code>cart</code>" in result.summary
    assert "| ✅ | <code>search</code>" in result.summary


def test_equal_and_faster_code_is_green(tmp_path: Path) -> None:
    folder = project(tmp_path, {"shop.py": SLOW}, {"shop.py": FAST})
    assert ran(folder)[0].exit_code == 0
    commit(folder, {"readme": "x"})
    result, said = ran(folder)
    assert result.exit_code == 0
    assert "warning" not in said
    assert "pair 10 of 10" in said


def test_the_base_imports_its_own_code_whatever_the_environment_has_installed(tmp_path: Path) -> None:
    folder = project(tmp_path, {"src/shop.py": FAST}, {"src/shop.py": SLOW})
    assert ran(folder, env={"PYTHONPATH": str(folder / "src")})[0].exit_code == 66


def test_a_suite_that_is_no_python_needs_none(tmp_path: Path) -> None:
    bench = "#!/bin/sh\ncat figures > bench.json\necho '<testsuite><testcase name=\"a\"/></testsuite>' > r.xml\n"
    figures = '{"results": [{"command": "cart", "times": [%s]}]}'
    config = CONFIG.replace("run: python bench.py", "run: sh bench.sh")
    files = {"bench.sh": bench, "figures": figures % 1}
    folder = project(tmp_path, files, {"figures": figures % 2}, config=config)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "cat", "git"):
        (tools / name).symlink_to(str(shutil.which(name)))
    assert ran(folder, env={"PATH": str(tools)})[0].exit_code == 66


FAILING = "raise SystemExit('no database')\n"
NO_REPORT = 'open("r.xml", "w").write("<testsuite><testcase name=\'a\'/></testsuite>")\n'


def reports(figure: str) -> str:
    return (
        NO_REPORT
        + f"""open("bench.json", "w").write('{{"results": [{{"command": "cart", "times": [{figure}]}}]}}')\n"""
    )


@pytest.mark.parametrize(
    ("bench", "why"),
    [
        (FAILING, "the base's code cannot be measured, its run ended with 1: no database"),
        (NO_REPORT, "the base's code cannot be measured"),
        (reports("NaN"), "NaN is no figure"),
        (reports("-1"), "cannot have been measured"),
        (reports("0"), "it took 0 seconds"),
        (reports(""), "its reports say no time"),
        ("{", "its run ended with 1"),
    ],
)
@pytest.mark.parametrize("inconclusive", ["pass", "fail"])
def test_a_base_that_cannot_be_measured_is_told_and_as_red_as_the_config_wants(
    tmp_path: Path, bench: str, why: str, inconclusive: str
) -> None:
    config = CONFIG.replace("within: 1m", f"within: 1m, inconclusive: {inconclusive}")
    folder = project(tmp_path, {"shop.py": FAST, "bench.py": bench}, {"bench.py": BENCH}, config=config)
    result, said = ran(folder)
    assert result.exit_code == (0 if inconclusive == "pass" else 66)
    assert why in (said if inconclusive == "pass" else result.message), said


@pytest.mark.parametrize("bench", [NO_REPORT, reports("NaN"), reports("-1"), reports(""), reports("0")])
def test_new_code_that_cannot_be_measured_is_never_silently_green(tmp_path: Path, bench: str) -> None:
    result, said = ran(project(tmp_path, {"shop.py": FAST}, {"bench.py": bench}))
    assert result.exit_code == 66 or "warning: " in said


def test_new_code_that_fails_while_it_is_compared_is_red(tmp_path: Path) -> None:
    once = "import os, sys\nif os.path.exists('once'): sys.exit('again')\nopen('once', 'w')\n"
    folder = project(tmp_path, {"shop.py": FAST}, {"bench.py": BENCH + once, ".gitignore": "once\nbench.json\nr.xml\n"})
    result, _ = ran(folder)
    assert result.exit_code == 66
    assert "the new code cannot be measured, its run ended with 1: again" in result.message


def test_a_suite_that_is_red_is_not_compared(tmp_path: Path) -> None:
    failed = 'open("r.xml", "w").write("<testsuite><testcase name=\'a\'><failure/></testcase></testsuite>")\n'
    result, said = ran(project(tmp_path, {"shop.py": FAST}, {"bench.py": BENCH + failed}))
    assert result.exit_code == 60
    assert "Against the base" not in said


def test_measures_that_only_one_side_has(tmp_path: Path) -> None:
    other = 'TIMES = {"search": 2.0, "pay": 1.0}\n'
    result, said = ran(project(tmp_path, {"shop.py": FAST}, {"shop.py": other}))
    assert result.exit_code == 0
    assert "cart is gone: only the base measures it" in said
    assert "pay is new" in result.summary


def test_a_shallow_checkout_is_red_and_the_first_commit_is_told(tmp_path: Path) -> None:
    folder = project(tmp_path, {"shop.py": FAST})
    result, said = ran(folder)
    assert result.exit_code == 0
    assert "there is no base to compare with: this is the first commit" in said
    commit(folder, {"shop.py": SLOW})
    shallow = tmp_path / "shallow" / "shop"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{folder}", str(shallow))
    result, _ = ran(shallow)
    assert result.exit_code == 66
    assert "fetch-depth: 0" in result.message


def test_the_time_for_it_is_kept(tmp_path: Path) -> None:
    config = CONFIG.replace("within: 1m", "within: 2s")
    slow = BENCH + "import time; time.sleep(0.4)\n"
    result, said = ran(project(tmp_path, {"shop.py": FAST, "bench.py": slow}, {"shop.py": SLOW}, config=config))
    assert result.exit_code == 0
    assert "the 2 seconds for the comparison (`within`) are over" in said
    assert "warning: " in said


def test_a_comparison_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    base = "import os, signal, time\nif os.path.isfile('.git'):\n"
    hang = f"{base}    os.kill(int(os.environ['WHO']), signal.SIGTERM)\n    time.sleep(60)\n"
    folder = project(tmp_path, {"shop.py": FAST, "bench.py": hang + BENCH}, {"shop.py": SLOW})
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted), interruptible():
        ran(folder, env={"WHO": str(os.getpid())})
    assert signal.getsignal(signal.SIGTERM) == before
    assert not list((tmp_path / "temp").glob("cicd-base-*"))
    assert git(folder, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [("junit: r.xml", "junit: r.xml\n    shards: 2"), ("measures: [bench.json]", "measures: []")],
)
def test_what_cannot_be_compared_is_a_mistake_of_the_config(tmp_path: Path, change: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"budget\.regression"):
        ran(project(tmp_path, {"shop.py": FAST}, config=CONFIG.replace(change, problem)))


CODE = "def one(x):\n    if x:\n        return 1\n    return 2\n"
TEST = "from cart import one\ndef test_one():\n    assert one(1) == 1\n"
MORE = CODE + "\n\ndef two(x):\n    y = x\n    if y:\n        return 3\n    return 4\n"


def with_tests(folder: Path, *commits: dict[str, str]) -> Path:
    return project(folder, {"cart.py": CODE, "test_cart.py": TEST}, *commits)


def test_changed_lines_that_no_test_runs_are_red_and_listed(tmp_path: Path) -> None:
    result, said = ran(with_tests(tmp_path, {"cart.py": MORE}), "unit")
    assert (result.exit_code, result.reason_code) == (62, "coverage-too-low")
    assert "20.00% ran (1 of 5), and at least 80% is demanded" in result.message
    assert "warning: cart.py:8: unit: no test ran lines 8 to 11" in said
    assert "| <code>cart&#46;py</code> | 8-11 |" in result.summary or "8-11 |" in result.summary


def test_a_change_without_statements_passes_and_says_so(tmp_path: Path) -> None:
    folder = with_tests(tmp_path, {"readme": "x"})
    result, _ = ran(folder, "unit")
    assert result.exit_code == 0, result.message
    assert "No line that can be measured was changed since" in result.message
    assert "Nothing is known of the branch's coverage before" in result.message
    git(folder, "rm", "--quiet", "readme")
    (folder / "blob.py").write_bytes(b"\0\1\2")
    commit(folder, {"cart.py": CODE + "\n\n# a comment\n"})
    assert ran(folder, "unit")[0].exit_code == 0


def test_coverage_must_not_fall_below_that_of_the_branch(tmp_path: Path) -> None:
    folder, history = with_tests(tmp_path, {"readme": "x"}), str(tmp_path / "history")
    assert ran(folder, "unit", history=history)[0].exit_code == 0
    commit(folder, {"test_cart.py": "import cart\ndef test_one():\n    assert cart\n"})
    for _ in range(2):
        result, _ = ran(folder, "unit", history=history)
        assert result.exit_code == 62
        assert "must not fall" in result.message
    lenient = CONFIG.replace("may-fall: 0%", "may-fall: 50%")
    commit(folder, {".github/cicd.yml": lenient})
    pull = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_BASE_REF": "main"}
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD~1")
    assert ran(folder, "unit", env=pull, history=history)[0].exit_code == 0
    commit(folder, {".github/cicd.yml": CONFIG})
    assert ran(folder, "unit", history=history)[0].exit_code == 62, "pull requests teach nothing"


def test_a_shallow_checkout_is_no_way_round_the_gate(tmp_path: Path) -> None:
    folder = with_tests(tmp_path, {"cart.py": MORE})
    shallow = tmp_path / "shallow" / "shop"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{folder}", str(shallow))
    result, _ = ran(shallow, "unit")
    assert result.exit_code == 62
    assert "fetch-depth: 0" in result.message


def planned(folder: Path, suites: str, env: dict[str, str] | None = None) -> tuple[list[Result], Result, str]:
    """All jobs of a plan, and the verdict."""
    made, _ = ran(folder, suites, plan="true")
    plan = made.outputs["plan"]
    jobs = json.loads(made.outputs["matrix"])
    results = [ran(folder, job["suite"], plan=plan, shard=job["shard"])[0] for job in jobs]
    verdict, said = ran(folder, "", env, plan=plan, parts=str(folder.parent / "temp"))
    return results, verdict, said


def test_with_a_plan_the_job_compares_and_the_verdict_shows_it(tmp_path: Path) -> None:
    folder = project(tmp_path, {"shop.py": SLOW}, {"shop.py": FAST})
    (made, *_) = [ran(folder, "speed", plan="true")[0]]
    assert json.loads(made.outputs["matrix"])[0]["depth"] == 0
    (job,), verdict, _ = planned(folder, "speed")
    assert (job.exit_code, verdict.exit_code) == (0, 0), verdict.message
    assert "<code>cart</code> | regression |" in verdict.summary
    commit(folder, {"shop.py": SLOW})
    (job,), verdict, _ = planned(folder, "speed")
    assert (job.exit_code, verdict.exit_code) == (66, 66)
    assert "cart: +20.0%" in verdict.message
    commit(folder, {"shop.py": 'TIMES = {"search": 2.0}\n'})
    _, verdict, said = planned(folder, "speed")
    assert verdict.exit_code == 0
    assert "warning: speed: not compared for certain: cart is gone" in said


def test_with_a_plan_all_shards_are_held_against_the_change(tmp_path: Path) -> None:
    config = CONFIG.replace("coverage: true", "coverage: true, shards: 2, reuse: false")
    other = "from cart import two\ndef test_two():\n    assert two(1) == 3\n"
    files = {"cart.py": MORE, "test_two.py": other}
    folder = project(tmp_path, {"cart.py": CODE, "test_cart.py": TEST}, files, config=config)
    jobs, verdict, said = planned(folder, "unit")
    assert [job.exit_code for job in jobs] == [0, 0], [job.message for job in jobs]
    assert verdict.exit_code == 0, verdict.message
    assert "warning: cart.py:11: unit: no test ran line 11" in said
    assert "1 changed line that no test ran" in verdict.summary
    strict = config.replace("changed-lines: 80%", "changed-lines: 95%")
    (folder / ".github" / "cicd.yml").write_text(strict)
    _, verdict, _ = planned(folder, "unit")
    assert verdict.exit_code == 62
    assert "test the lines that are listed" in verdict.message


def test_coverage_of_another_checkout_is_red(tmp_path: Path) -> None:
    config = CONFIG.replace("coverage: true", "coverage: true, reuse: false")
    folder = project(tmp_path, {"cart.py": CODE, "test_cart.py": TEST}, {"readme": "x"}, config=config)
    made, _ = ran(folder, "unit", plan="true")
    plan = made.outputs["plan"]
    assert ran(folder, "unit", plan=plan, shard="1/1")[0].exit_code == 0
    (folder / "cart.py").write_text("x = 1\n")
    verdict, _ = ran(folder, "", plan=plan, parts=str(tmp_path / "temp"))
    assert verdict.exit_code == 62
    assert "is it the same checkout?" in verdict.message


def test_the_same_files_as_another_change_are_not_proven(tmp_path: Path) -> None:
    config = CONFIG.replace("coverage: true", "coverage: true, audit: 0%")
    folder = project(tmp_path, {"cart.py": CODE, "test_cart.py": TEST}, {"readme": "x"}, config=config)
    history, plan = str(tmp_path / "history"), ran(folder, "unit", plan="true")[0].outputs["plan"]
    assert ran(folder, "unit", plan=plan, shard="1/1")[0].exit_code == 0
    assert ran(folder, "", plan=plan, parts=str(tmp_path / "temp"), history=history)[0].exit_code == 0
    assert ran(folder, "unit", plan="true", history=history)[0].outputs["matrix"] == "[]"
    commit(folder, {})
    result, said = ran(folder, "unit", plan="true", history=history)
    assert result.outputs["matrix"] != "[]"
    assert "other: base" in said
