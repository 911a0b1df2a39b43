"""What a checkout is held against, with real repositories."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cicd.adapters.base_commit import base_of, checked_out, diff_since, lengths_of
from cicd.adapters.process import run
from cicd.core.changed_lines import touched_lines
from cicd.errors import CommandFailed
from tests.fakes import runner

pytestmark = pytest.mark.real


def git(folder: Path, *argv: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]
    return run(["git", *identity, "-C", str(folder), *argv]).output.strip()


def commit(folder: Path, **files: str) -> str:
    for name, text in files.items():
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """main: first, second; topic: from first on, two commits."""
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, a="1\n")
    git(folder, "checkout", "--quiet", "-b", "topic")
    commit(folder, b="1\n")
    commit(folder, b="1\n2\n")
    git(folder, "checkout", "--quiet", "main")
    commit(folder, a="1\n2\n")
    return folder


def clone(origin: Path, branch: str, *options: str) -> Path:
    folder = origin.with_name("clone")
    git(origin.parent, "clone", "--quiet", "--branch", branch, *options, f"file://{origin}", str(folder))
    return folder


def event(folder: Path, name: str, payload: object, **env: str) -> dict[str, str]:
    path = folder.with_name("event.json")
    path.write_text(json.dumps(payload))
    return {"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(path), **env}


MAIN = {"ref": "refs/heads/main", "repository": {"default_branch": "main"}}


def test_a_pull_request_began_where_it_left_its_branch(origin: Path) -> None:
    folder = clone(origin, "topic")
    first = git(folder, "rev-parse", "origin/main~1")
    found = base_of(folder, runner(event(folder, "pull_request", {}, GITHUB_BASE_REF="main")))
    assert found.sha == first
    # As actions/checkout has it: a merge of both; then the branch's tip is the base.
    git(folder, "merge", "--quiet", "--no-edit", "origin/main")
    found = base_of(folder, runner(event(folder, "pull_request", {}, GITHUB_BASE_REF="main")))
    assert found.sha == git(folder, "rev-parse", "origin/main")


def test_the_payload_names_the_base_where_there_is_no_branch_of_it(origin: Path) -> None:
    folder = clone(origin, "topic")
    tip = git(folder, "rev-parse", "origin/main")
    git(folder, "update-ref", "-d", "refs/remotes/origin/main")
    payload = {"pull_request": {"base": {"sha": tip}}}
    found = base_of(folder, runner(event(folder, "pull_request", payload, GITHUB_BASE_REF="main")))
    assert found.sha == git(folder, "rev-parse", f"{tip}~1")
    found = base_of(folder, runner(event(folder, "merge_group", {"merge_group": {"base_sha": tip}})))
    assert found.sha == git(folder, "rev-parse", f"{tip}~1")


def test_a_push_to_the_default_branch_is_held_against_what_was_there(origin: Path) -> None:
    folder = clone(origin, "main")
    head = git(folder, "rev-parse", "HEAD")
    for _ in range(3):
        commit(folder)
    before = base_of(folder, runner(event(folder, "push", {**MAIN, "before": head})))
    assert before.sha == head
    without = base_of(folder, runner(event(folder, "push", {**MAIN, "before": "0" * 40})))
    assert without.sha == git(folder, "rev-parse", "HEAD~1")
    terminal = base_of(folder, runner({}))
    assert terminal.sha == head, "what origin has"


def test_a_push_to_another_branch_is_held_against_the_default_one(origin: Path) -> None:
    folder = clone(origin, "topic")
    payload = {"ref": "refs/heads/topic", "repository": {"default_branch": "main"}, "before": "0" * 40}
    assert base_of(folder, runner(event(folder, "push", payload))).sha == git(folder, "rev-parse", "HEAD~2")


@pytest.mark.parametrize("name", ["pull_request", "push", "", "schedule"])
def test_a_shallow_checkout_says_what_to_do(origin: Path, name: str) -> None:
    folder = clone(origin, "topic", "--depth=1")
    env = {"GITHUB_BASE_REF": "main"} if name == "pull_request" else {}
    found = base_of(folder, runner(event(folder, name, MAIN, **env)))
    assert (found.sha, found.avoidable) == ("", True)
    assert "fetch-depth: 0" in found.next_step


def test_the_first_commit_has_no_base(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert base_of(tmp_path, runner({})).avoidable, "there is no commit at all"
    commit(tmp_path, a="1")
    found = base_of(tmp_path, runner({}))
    assert (found.sha, found.avoidable, found.why) == ("", False, "this is the first commit")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"before": 5, "ref": [], "repository": "x", "pull_request": []}'])
def test_a_damaged_event_is_as_none(origin: Path, text: str) -> None:
    folder = clone(origin, "main")
    commit(folder)
    env = event(folder, "schedule", {})
    Path(env["GITHUB_EVENT_PATH"]).write_text(text)
    assert base_of(folder, runner(env)).sha == git(folder, "rev-parse", "HEAD~1")


ODD = ["plain.py", "with space.py", "tab\there.py", 'quote".py', "back\\slash.py", "new\nline.py", "ünï.py", "-x.py"]


def test_files_with_odd_names_are_found_by_them_whatever_git_is_set_to(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    first = commit(tmp_path, readme="1")
    for name, value in {
        "noprefix": "true",
        "mnemonicPrefix": "true",
        "interHunkContext": "9",
        "external": "false",
    }.items():
        git(tmp_path, "config", f"diff.{name}", value)
    git(tmp_path, "config", "color.ui", "always")
    commit(tmp_path, **dict.fromkeys(ODD, "1\n2\n"))
    (tmp_path / ".gitattributes").write_text("*.py -diff\n")
    assert touched_lines(diff_since(tmp_path, first, ODD)) == {name: {1, 2} for name in ODD}


def test_what_is_renamed_or_gone_or_elsewhere_touches_nothing(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "sub").mkdir()
    text = "".join(f"{number}\n" for number in range(30))
    first = commit(tmp_path, **{"sub/old.py": text, "sub/gone.py": text, "top.py": text, "sub/kept.txt": "1\n"})
    git(tmp_path, "mv", "sub/old.py", "sub/new.py")
    git(tmp_path, "rm", "--quiet", "sub/gone.py")
    commit(tmp_path, **{"top.py": "x\n", "sub/kept.txt": "2\n", "sub/new.py": text.replace("5\n", "five\n", 1)})
    found = touched_lines(diff_since(tmp_path / "sub", first, ["new.py", "gone.py"]))
    assert found == {"new.py": {6}}
    assert diff_since(tmp_path, first, []) == ""
    with pytest.raises(CommandFailed):
        diff_since(tmp_path, "0" * 40, ["a.py"])


def test_lengths(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"1\r\n2\n3")
    assert lengths_of(tmp_path, ["a.py", "b.py", "nul\0.py"]) == {"a.py": 3, "b.py": None, "nul\0.py": None}


def test_the_base_lies_beside_and_is_gone_afterwards(origin: Path) -> None:
    (origin / "sub").mkdir()
    base = commit(origin, **{"sub/c": "old"})
    commit(origin, **{"sub/c": "new"})
    hook = origin / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    with checked_out(origin / "sub", base, origin.parent / "temp") as folder:
        assert (folder / "c").read_text() == "old"
        assert (origin / "sub" / "c").read_text() == "new"
        (folder / "made").touch()
    assert not list((origin.parent / "temp").iterdir())
    assert git(origin, "worktree", "list").count("\n") == 0
    assert not list(origin.parent.rglob("hooked"))
    with (
        pytest.raises(CommandFailed, match="no folder `sub/`"),
        checked_out(origin / "sub", f"{base}~1", origin.parent / "temp"),
    ):
        raise AssertionError("nothing to be seen")
    assert not list((origin.parent / "temp").iterdir())


def test_what_a_killed_run_left_is_removed_by_the_next(origin: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom cicd.adapters.base_commit import checked_out\n"
        "with checked_out(Path(sys.argv[1]), 'HEAD', Path(sys.argv[2])):\n"
        "    print('there', flush=True)\n    time.sleep(60)\n"
    )
    temp = tmp_path / "temp"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(origin), str(temp)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == b"there\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert len(list(temp.iterdir())) == 1
    with checked_out(origin, "HEAD", temp) as folder:
        assert list(temp.iterdir()) == [folder]
        with checked_out(origin, "HEAD", temp):
            assert len(list(temp.iterdir())) == 2, "one that still runs is left alone"
    assert not list(temp.iterdir())
    assert git(origin, "worktree", "list").count("\n") == 0
