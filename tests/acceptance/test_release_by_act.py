"""A version of this very repository, made in a clone: a caller that is pinned by its id runs what it is made of."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cicd.core.pinning import references
from tests.acceptance.conftest import CHECKOUT, Act, git

pytestmark = [pytest.mark.real, pytest.mark.slow]

CALLER = """
on: push
permissions: {{}}
jobs:
  ci:
    uses: org/cicd/.github/workflows/ci.yml@{sha} # v9.8.7
    permissions: {{contents: read, checks: write, pull-requests: write, packages: write, id-token: write, attestations: write}}
    with: {{publish: false}}
"""  # noqa: E501
FILES = {
    ".github/cicd.yml": 'version: 1\napp: tiny\nsuites: {unit: {run: "python -m pytest -q", audit: 0%}}\n',
    ".gitignore": "__pycache__\n",
    "requirements.txt": "pytest\n",
    "test_it.py": "def test_it() -> None: pass\n",
}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that is ready for a version."""
    folder = tmp_path_factory.mktemp("release") / "cicd"
    git(folder.parent, "clone", "--quiet", "--no-tags", "--depth", "1", f"file://{CHECKOUT}", "cicd")
    for name in git(CHECKOUT, "ls-files", "--modified", "--others", "--exclude-standard").splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, folder / name)  # what is being worked on counts
    (folder / "CHANGELOG.md").write_text("# Changelog\n\n## 9.8.7 (2026-11-23)\n\n- A version.\n")
    source = folder / "src/cicd/__init__.py"
    source.write_text(re.sub('"[0-9.]+"', '"9.8.7"', source.read_text()))
    for path in (folder / ".github/workflows").glob("*.yml"):
        path.write_text(re.sub(r"(uses: org/cicd[\w./-]*)@v1\b", r"\1@v9", path.read_text()))
    git(folder, "checkout", "--quiet", "-B", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "9.8.7")
    return folder


@pytest.fixture
def released(ready: Path, tmp_path: Path) -> tuple[Path, str]:
    """A clone with a version, and the commit of it."""
    folder = tmp_path / "cicd"
    git(tmp_path, "clone", "--quiet", str(ready), str(folder))
    entry = [sys.executable, "-I", str(CHECKOUT / "src/cicd/__main__.py"), "release", "9.8.7", "-C", str(folder)]
    done = subprocess.run(entry, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout.strip()


def reachable(folder: Path, sha: str, path: str, found: dict[str, set[str]]) -> None:
    """Each commit that a workflow leads to, by its references and those of what it calls."""
    for one in references(git(folder, "show", f"{sha}:{path}")):
        assert re.fullmatch("[0-9a-f]{40}", one.ref), f"{path} refers to {one}"
        is_workflow = one.path.endswith(".yml")
        file = one.path if is_workflow else f"{one.path}/action.yml".lstrip("/")
        assert git(folder, "cat-file", "-t", f"{one.ref}:{file}") == "blob"
        found.setdefault(one.ref, set()).add(file)
        if is_workflow:
            reachable(folder, one.ref, one.path, found)


def test_all_that_a_version_refers_to_is_of_the_same_commit(released: tuple[Path, str]) -> None:
    folder, sha = released
    found: dict[str, set[str]] = {}
    paths = git(folder, "ls-tree", "--name-only", sha, ".github/workflows/").splitlines()
    for path in paths:
        reachable(folder, sha, path, found)
    assert len(found) == 2, "the commit that was released, and the one in which its workflows refer to it"
    for one in found:
        git(folder, "merge-base", "--is-ancestor", one, sha)
        changed = git(folder, "diff", "--unified=0", one, sha)
        lines = [line for line in changed.splitlines() if re.match(r"[-+](?![-+])", line)]
        assert lines, "references alone differ"
        assert all(re.match(r"[-+]\s*(- )?uses: org/cicd", line) for line in lines), changed[:3000]
    assert any("action.yml" in name for name in set.union(*found.values()))


def test_a_caller_pinned_by_the_commit_runs_it(act: Act, tmp_path: Path, released: tuple[Path, str]) -> None:
    """act is given the released commits alone, each as it is in git; at `v1` there is nothing for it."""
    folder, sha = released
    options = []
    for commit in (sha, git(folder, "rev-parse", f"{sha}^"), git(folder, "rev-parse", f"{sha}^^")):
        place = tmp_path / commit
        git(folder, "worktree", "add", "--quiet", "--detach", str(place), commit)
        options.append(f"--local-repository=org/cicd@{commit}={place}")
    project = tmp_path / "tiny"
    for name, text in {**FILES, ".github/workflows/ci.yml": CALLER.format(sha=sha)}.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    done = act(project, "push", *options)
    assert done.code == 0, done.output[-6000:]
    assert "All green: 1 suite, 1 test." in done.output
    assert "with ref v1 " not in done.output
    assert "with ref v9 " not in done.output


def test_the_workflow_proposes_what_would_be_made(
    act: Act, tmp_path: Path, ready: Path, released: tuple[Path, str]
) -> None:
    """Its first job; the second one needs GitHub's keys."""
    place = tmp_path / "main"
    git(tmp_path, "clone", "--quiet", str(ready), str(place))
    options = ["-W", ".github/workflows/release.yml", "--job", "propose"]
    done = act(place, "workflow_dispatch", *options, inputs={"version": "9.8.7"})
    assert done.code == 0, done.output[-6000:]
    assert f"commit={released[1]}" in done.output, "the same that anybody makes of this commit"
    assert "- A version." in done.output
    other = act(place, "workflow_dispatch", *options, inputs={"version": "9.8.8; touch owned"})
    assert other.code != 0
    assert "is no version" in other.output, other.output[-3000:]
    assert not (place / "owned").exists()
