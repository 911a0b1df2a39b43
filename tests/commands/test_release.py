"""A version of cicd itself, made of a small repository that is built as ours is."""

import subprocess
from pathlib import Path

import pytest

from cicd.commands.release import main
from tests.core.test_pinning import LEAF, TOP

pytestmark = pytest.mark.real
FILES = {
    ".github/workflows/leaf.yml": LEAF,
    ".github/workflows/top.yml": TOP,
    "actions/promote/action.yml": "name: promote\n",
    "src/cicd/__init__.py": '__version__ = "1.2.3"\n',
    "CHANGELOG.md": "# Changelog\n\n## 1.2.3 (2026-11-23)\n\n- The first one.\n",
}


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    argv = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    folder = tmp_path / "ours"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all of it")
    return folder


def release(folder: Path, version: str = "1.2.3", *more: str) -> int:
    return main([version, "-C", str(folder), *more])


def test_tags_and_exact_references(ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = git(ours, "rev-parse", "HEAD")
    assert release(ours, "1.2.3", "--notes", str(tmp_path / "notes")) == 0
    sha = capsys.readouterr().out.strip()
    assert git(ours, "rev-parse", "v1.2.3", "v1").split() == [sha, sha]
    assert git(ours, "cat-file", "-t", "v1") == "commit", "a plain tag"
    middle = git(ours, "rev-parse", f"{sha}^")
    assert git(ours, "rev-parse", f"{sha}^^") == base
    assert f"leaf.yml@{middle} # v1.2.3" in git(ours, "show", f"{sha}:.github/workflows/top.yml")
    assert f"org/cicd@{base} # v1.2.3" in git(ours, "show", f"{sha}:.github/workflows/leaf.yml")
    assert git(ours, "diff", "--name-only", base, sha).split() == [
        ".github/workflows/leaf.yml",
        ".github/workflows/top.yml",
    ]
    assert (git(ours, "rev-parse", "HEAD"), git(ours, "status", "--porcelain")) == (base, ""), "the branch stays"
    assert (tmp_path / "notes").read_text() == "- The first one.\n"


def test_the_same_commit_makes_the_same_version(ours: Path, tmp_path: Path) -> None:
    """So anybody can see that nothing else was put into it."""
    git(tmp_path, "clone", "--quiet", str(ours), "other")
    assert release(ours) == release(tmp_path / "other") == 0
    assert git(ours, "rev-parse", "v1.2.3") == git(tmp_path / "other", "rev-parse", "v1.2.3")
    assert release(ours, "1.2.3", "--check") == 0


def test_what_was_put_into_it_is_seen(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release(ours)
    git(ours, "checkout", "--quiet", "v1.2.3")
    (ours / "actions/promote/action.yml").write_text("name: evil\n")
    git(ours, "commit", "--quiet", "--all", "--message", "v1.2.3: nothing to see")
    git(ours, "tag", "--force", "v1.2.3")
    assert release(ours, "1.2.3", "--check") == 18
    assert "something else was put into it" in capsys.readouterr().err


def test_a_version_is_made_once_and_the_next_one_moves_the_plain_tag(
    ours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release(ours) == 0
    first = git(ours, "rev-parse", "v1.2.3")
    assert release(ours) == 18
    assert "is not newer" in capsys.readouterr().err
    for name in ("src/cicd/__init__.py", "CHANGELOG.md"):
        (ours / name).write_text((ours / name).read_text().replace("1.2.3", "1.3.0"))
    assert release(ours, "1.3.0") == 18
    assert "not committed" in capsys.readouterr().err
    git(ours, "commit", "--quiet", "--all", "--message", "1.3.0")
    assert release(ours, "1.3.0") == 0
    assert git(ours, "rev-parse", "v1.2.3") == first != git(ours, "rev-parse", "v1")


@pytest.mark.parametrize(
    ("name", "said"), [("src/cicd/__init__.py", "says another version"), ("CHANGELOG.md", "says nothing of 1.2.3")]
)
def test_a_commit_that_is_not_ready(ours: Path, capsys: pytest.CaptureFixture[str], name: str, said: str) -> None:
    (ours / name).write_text("nothing\n")
    git(ours, "commit", "--quiet", "--all", "--message", "not ready")
    assert release(ours) == 18
    assert said in capsys.readouterr().err
    assert git(ours, "tag") == ""
