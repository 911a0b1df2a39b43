"""`cicd act`, as its user sees it; and what the demo asks for before it begins."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from cicd.adapters import act
from cicd.commands import act as command
from cicd.commands.demo import require_writable
from cicd.errors import PrepareFailed, UsageError
from tests.commands.site import Consumer
from tests.fakes import runner

WORKFLOW = """
on: push
jobs:
  tests:
    runs-on: [self-hosted, anything]
    steps:
      - id: say
        run: |
          echo "result={}" >> "$GITHUB_OUTPUT"
          echo "empty=" >> "$GITHUB_OUTPUT"
          echo "found=$CICD_HOME" >> "$GITHUB_OUTPUT"
          echo "a b" > "$RUNNER_TEMP/x"
          echo "SECRET is $TOKEN"
        env: {TOKEN: "${{ secrets.GITHUB_TOKEN }}"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Consumer:
    """A project in a folder with a space, with one workflow."""
    app = Consumer(tmp_path / "a b")
    app.repository.mkdir(parents=True)
    app.commit("v1")
    app.git("remote", "add", "origin", "https://github.com/acme/tiny.git")
    workflow = app.repository / ".github" / "workflows" / "ci.yml"
    workflow.parent.mkdir()
    workflow.write_text(WORKFLOW)
    app.commit("v2")
    return app


@pytest.mark.real
def test_a_job_of_a_self_hosted_runner_in_a_folder_with_a_space(
    project: Consumer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    temp = tmp_path / "my temp"
    temp.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temp))
    monkeypatch.setenv("TMPDIR", str(temp))
    monkeypatch.setenv("CICD_ENVIRONMENT", "/opt/cicd/cicd-1234")
    assert command.main([".github/workflows/ci.yml", "-C", str(project.repository)]) == 0
    said = capsys.readouterr()
    assert said.out.count("::set-output:: found=/opt/cicd\n") == 1, "a job finds the environments that are there"
    for noise in (":: result=", ":: empty=", "docker", "LocalRepositoryCache"):
        assert noise not in said.out
    assert "no GITHUB_TOKEN" in said.err
    assert "not committed" not in said.err
    assert list(temp.iterdir()) == [], "its files are elsewhere, for bash would take the path for two words"


@pytest.mark.real
def test_the_printed_command_runs(project: Consumer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text("GITHUB_TOKEN=geheim123\n")
    (project.repository / "junk").touch()
    given = [".github/workflows/ci.yml", "-C", str(project.repository), "--secret-file", str(secrets), "--print"]
    assert command.main(given) == 0
    said = capsys.readouterr()
    assert "geheim123" not in said.out + said.err
    assert "junk is not committed" in said.err
    assert "no GITHUB_TOKEN" not in said.err
    folder = Path(said.out.split()[0]).parent
    assert str(folder) in said.err
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    done = subprocess.run(said.out, shell=True, capture_output=True, text=True, check=False)  # as it would be pasted
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SECRET is ***" in done.stdout


@pytest.mark.real
def test_a_hub_that_is_not_there(project: Consumer, capsys: pytest.CaptureFixture[str]) -> None:
    given = [".github/workflows/ci.yml", "-C", str(project.repository), "--hub", "http://127.0.0.1:9"]
    assert command.main(given) == 22
    said = capsys.readouterr().err
    assert "No LocalHub answers at http://127.0.0.1:9: the connection was refused" in said
    assert "bin/cicd localhub" in said


def test_no_folder_that_act_can_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/home/my files/tmp")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PrepareFailed, match="set TMPDIR"):
        act.new_folder("cicd-act-")


def test_environments_are_where_our_own_is() -> None:
    assert act.home(runner({"CICD_ENVIRONMENT": "/a/b/cicd-12", "CICD_HOME": "/c"})) == "/a/b"
    assert act.home(runner({"CICD_HOME": "/c"})) == "/c"
    assert act.home(runner({})) == ""


def test_the_log_says_an_output_once(capsys: pytest.CaptureFixture[str]) -> None:
    log = command.Log()
    output = {"job": "a", "command": "set-output", "name": "image", "arg": "x", "msg": "image=x"}
    for line in (output, output, {**output, "job": "b"}, {**output, "name": "result"}, {**output, "arg": ""}):
        log(line)
    for line in ({"msg": "same"}, {"msg": "same"}):
        log(line)
    assert capsys.readouterr().out.splitlines() == ["[a] image=x", "[b] image=x", "same", "same"]


def test_files_of_the_demo_that_cannot_be_written(tmp_path: Path) -> None:
    require_writable(tmp_path / "figures.json")
    (tmp_path / "board.html").write_text(json.dumps({}))
    require_writable(tmp_path / "board.html")
    for bad in (tmp_path, tmp_path / "no" / "figures.json"):
        with pytest.raises(UsageError, match="cannot be written"):
            require_writable(bad)


STORED = """
on: push
jobs:
  keep:
    runs-on: ubuntu-latest
    strategy: {matrix: {part: [one, two]}}
    steps:
      - run: mkdir kept && echo "${{ matrix.part }}" > kept/part
      - uses: actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a
        with: {name: "part-${{ matrix.part }}", path: kept}
      - uses: actions/cache/save@55cc8345863c7cc4c66a329aec7e433d2d1c52a9
        with: {key: "part-${{ matrix.part }}", path: kept}
  fetch:
    needs: keep
    runs-on: ubuntu-latest
    steps:
      - uses: actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c
        with: {pattern: part-*, path: parts}
      - uses: actions/cache/restore@55cc8345863c7cc4c66a329aec7e433d2d1c52a9
        with: {key: no, restore-keys: part-, path: cached}
      - run: 'echo "found $(cat parts/*/part | sort | tr "\\n" " ")and $(cat cached/part)"'
"""


@pytest.mark.real
def test_artifacts_and_caches_are_folders(
    project: Consumer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.repository / ".github/workflows/ci.yml").write_text(STORED)
    project.commit("v3")
    store = tmp_path / "store"
    arguments = [".github/workflows/ci.yml", "-C", str(project.repository), "--store", str(store)]
    assert command.main(arguments) == 0
    assert "found one two and " in capsys.readouterr().out
    assert sorted(path.name for path in store.rglob("part-*")) == ["part-one", "part-one", "part-two", "part-two"]
