"""Our figures of changed lines are those of diff-cover, the package that many know, on real changes."""

import json
import os
import random
import sys
from pathlib import Path

import pytest

from cicd.adapters.base_commit import diff_since
from cicd.adapters.process import run
from cicd.core.changed_lines import of_change, touched_lines
from cicd.core.covered_lines import read_lines

pytestmark = pytest.mark.real
NAMES = ["a.py", "with space.py", "sub/b.py", "sub/ünï.py", "sub/deep/c.py", "-d.py", "e f/g h.py"]
TOOLS = Path(sys.executable).parent


def git(folder: Path, *argv: str) -> str:
    return run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder), *argv]).output.strip()


def line(chance: random.Random) -> str:
    """A piece of code that runs, or does not."""
    number = chance.randrange(1000)
    return chance.choice(
        [
            f"x = {number}\n",
            f"# {number}\n",
            "\n",
            f"if x % 2:\n    x = {number}\nelse:\n    x = -{number}\n",
            f"def f{number}():\n    y = {number}\n    return y\n",
            f's = """\n+++ {number}\n@@ -1 +1 @@\n-{number}\n"""\n',
            f"for x in range({number % 2}):\n    x += {number}\n",
            f"x = ({number},\n     {number})[0]\n",
        ]
    )


def changed(pieces: list[str], chance: random.Random) -> list[str]:
    """Pieces of which some are gone, new or others."""
    kept = [line(chance) if chance.random() < 0.2 else piece for piece in pieces if chance.random() < 0.85]
    for _ in range(chance.randrange(4)):
        kept.insert(chance.randrange(len(kept) + 1), line(chance))
    return kept


def write(folder: Path, files: dict[str, list[str]]) -> None:
    for name, pieces in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x = 1\n" + "".join(pieces))


@pytest.mark.parametrize("seed", range(8))
def test_the_same_figures_as_diff_cover(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    files = {name: [line(chance) for _ in range(chance.randrange(3, 25))] for name in NAMES}
    write(tmp_path, files)
    (tmp_path / "blob.bin").write_bytes(bytes(range(256)))
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "base")
    base = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "checkout", "--quiet", "-b", "topic")
    gone, moved, *rest = chance.sample(NAMES, len(NAMES))
    git(tmp_path, "rm", "--quiet", "--", gone)
    git(tmp_path, "mv", "--", moved, "moved.py")
    files = {name: changed(files[name], chance) for name in rest[: chance.randrange(1, len(rest))]}
    write(tmp_path, {**files, "new.py": [line(chance) for _ in range(5)], "moved.py": [line(chance)] * 2})
    (tmp_path / "blob.bin").write_bytes(b"\0")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "change")
    ours, theirs = measured(tmp_path, base)
    assert ours == theirs


def measured(folder: Path, base: str) -> tuple[dict[str, object], dict[str, object]]:
    """What we and diff-cover say of the change since `base`, by one measurement of all files."""
    python = {"PATH": os.environ["PATH"], "COVERAGE_FILE": str(folder / ".git" / "data"), "LANG": "C.UTF-8"}
    (folder / ".git" / "all").write_text(
        "import pathlib, runpy\nfor path in sorted(pathlib.Path().rglob('*.py')):\n    runpy.run_path(str(path))\n"
    )
    for argv in (
        ["run", "--source=.", ".git/all"],
        ["json", "--quiet", "-o", ".git/c.json"],
        ["xml", "--quiet", "-o", ".git/c.xml"],
    ):
        run([sys.executable, "-m", "coverage", *argv], env=python, cwd=folder)
    argv = [str(TOOLS / "diff-cover"), ".git/c.xml", "--compare-branch=main", "--format=json:.git/d.json", "--quiet"]
    run(argv, env=python, cwd=folder)
    said = json.loads((folder / ".git" / "d.json").read_text())
    theirs = {name: one["violation_lines"] for name, one in said["src_stats"].items() if one["violation_lines"]}
    lines = read_lines((folder / ".git" / "c.json").read_bytes(), "c.json")
    change = of_change(lines, touched_lines(diff_since(folder, base, lines)))
    statements = change.found.statements if change.found else 0
    missing = sum(len(numbers) for numbers in change.missing.values())
    return (
        {"statements": statements, "missing": missing, **change.missing},
        {"statements": said["total_num_lines"], "missing": said["total_num_violations"], **theirs},
    )
