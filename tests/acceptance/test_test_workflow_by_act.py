"""The shipped test.yml under act: planned, in shards, one verdict; and the second run is proven by the first."""

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import Act, git

pytestmark = pytest.mark.real

WORKFLOW = """
on: push
jobs:
  test:
    uses: org/cicd/.github/workflows/test.yml@v1
    permissions: {contents: read}
"""
CONFIG = """
version: 1
app: tiny
suites:
  unit: {run: "python -m pytest tests -q", shards: 2, audit: 0%}
  more: {run: "python -m pytest more -q", audit: 0%}
"""
FILES = {
    ".github/workflows/ci.yml": WORKFLOW,
    ".github/cicd.yml": CONFIG,
    ".gitignore": "__pycache__\n",
    "tests/a_test.py": "def test_a(): pass\n",
    "tests/b_test.py": "import os\ndef test_b(): assert os.environ['CICD_SHARD']\n",
    "tests/c_test.py": "def test_c(): pass\n",
    "more/test_more.py": "def test_more(): pass\n",
    "requirements.txt": "pytest\n",
}


def project(folder: Path, **others: str) -> Path:
    for name, text in {**FILES, **others}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


@pytest.mark.slow
def test_planned_run_in_shards_and_proven_the_second_time(act: Act, tmp_path: Path) -> None:
    folder = project(tmp_path / "tiny")
    first = act(folder)
    assert first.code == 0, first.output[-6000:]
    assert "3 jobs for 2 suites" in first.output
    assert "All green: 2 suites, 4 tests." in first.output, first.output[-6000:]
    (kept,) = (tmp_path / "act-store" / "caches").rglob("history.json")
    assert sorted(json.loads(kept.read_text())["suites"]) == ["more", "unit"]
    second = act(folder)
    assert second.code == 0, second.output[-6000:]
    assert "0 jobs for 2 suites" in second.output
    assert "2 proven before" in second.output, second.output[-6000:]


@pytest.mark.slow
def test_one_failed_shard_is_a_red_verdict(act: Act, tmp_path: Path) -> None:
    folder = project(tmp_path / "tiny", **{"tests/c_test.py": "def test_c(): assert False\n"})
    done = act(folder)
    assert done.code != 0
    assert "unit: 1 of 3 tests failed" in done.output, done.output[-6000:]


@pytest.mark.slow
def test_two_projects_of_one_repository_do_not_meet(act: Act, tmp_path: Path) -> None:
    """One run calls the workflow twice: neither takes the other's parts for its own, nor what it learned."""
    call = WORKFLOW.partition("  test:\n")[2]
    workflow = (
        WORKFLOW
        + "    with: {suites: more}\n  other:\n"
        + call
        + "    with: {working-directory: other, suites: more}\n"
    )
    other = {"other/.github/cicd.yml": CONFIG, "other/more/test_other.py": "def test_1(): pass\ndef test_2(): pass\n"}
    folder = project(tmp_path / "tiny", **other, **{".github/workflows/ci.yml": workflow})
    done = act(folder)
    assert done.code == 0, done.output[-6000:]
    for told in ("All green: 1 suite, 1 test.", "All green: 1 suite, 2 tests."):
        assert told in done.output, done.output[-6000:]
    assert len(list((tmp_path / "act-store" / "caches").rglob("history.json"))) == 2


SECURITY = """
on: push
jobs:
  security:
    uses: org/cicd/.github/workflows/security.yml@v1
    permissions: {contents: read, security-events: write}
"""


@pytest.mark.slow
def test_scanners_of_the_security_workflow(act: Act, tmp_path: Path) -> None:
    """Red by a finding of a real bandit, which code scanning is told as well."""
    config = "version: 1\napp: tiny\nsuites:\n  security: {security: {scan: [code], gate: {severity: high}}}\n"
    files = {".github/workflows/ci.yml": SECURITY, ".github/cicd.yml": config}
    bad = "import subprocess\ndef go(cmd):\n    subprocess.call(cmd, shell=True)\n"
    folder = project(tmp_path / "tiny", **files, **{"go.py": bad})
    done = act(folder)
    assert done.code != 0
    assert "findings-block" in done.output, done.output[-6000:]
    (sarif,) = (tmp_path / "act-store" / "sarif").rglob("cicd-security.sarif")
    assert "B602" in sarif.read_text()
