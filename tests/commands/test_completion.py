"""What a shell completes, asked of bash itself."""

import subprocess
from pathlib import Path

import pytest

from cicd.commands import completion

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_shtab_cicd
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert completion.main([shell]) == 0
    return capsys.readouterr().out


@pytest.fixture
def bash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    file = tmp_path / "cicd.bash"
    file.write_text(script("bash", capsys))
    return ["bash", "--norc", "-c", ASK, "bash", str(file)]


@pytest.mark.real
@pytest.mark.parametrize(
    ("line", "some"),
    [
        (["cicd", "ro"], ["rollback"]),
        (["cicd", "l"], ["lock", "localhub"]),
        (["cicd", "promote", "--env"], ["--environment"]),
        (["cicd", "promote", "--dry"], ["--dry-run"]),
        (["cicd", "promote", "--dry-run", "t"], ["true"]),
    ],
)
def test_bash_completes(bash: list[str], line: list[str], some: list[str]) -> None:
    done = subprocess.run([*bash, *line], capture_output=True, text=True, check=True)
    assert set(some) <= set(done.stdout.split()), done
    assert not done.stderr


@pytest.mark.real
def test_bash_completes_folders(bash: list[str], tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service.txt").touch()
    line = ["cicd", "plan", "--working-directory", "serv"]
    done = subprocess.run([*bash, *line], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["service"]


@pytest.mark.parametrize("shell", ["zsh", "fish", "tcsh", "powershell"])
def test_other_shells_have_all_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = script(shell, capsys)
    assert all(name in said for name in ("promote", "rollback", "completion", "environment"))


def test_a_shell_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        completion.main(["cmd"])
    assert ended.value.code == 2
    assert "choose from" in capsys.readouterr().err
