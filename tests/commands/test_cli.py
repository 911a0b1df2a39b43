"""The command line, in our own process."""

import subprocess
from pathlib import Path

import pytest

from cicd.cli import parser, read_inputs, with_commit
from cicd.contract import COMMANDS
from cicd.errors import UsageError
from tests.commands.site import Consumer
from tests.fakes import runner

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("given", "value"),
    [(["--dry-run"], "true"), (["--dry-run", "true"], "true"), (["--dry-run", "false"], "false"), ([], "false")],
)
def test_a_flag_may_stand_alone(given: list[str], value: str) -> None:
    options = vars(parser().parse_args(["rollback", *given, "--environment", "dev"]))
    assert read_inputs(COMMANDS["rollback"], options, {}).dry_run == value


def test_a_flag_is_true_or_false(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["rollback", "--dry-run", "yes"])
    assert "choose from" in capsys.readouterr().err


@pytest.mark.real
def test_the_commit_of_a_build_by_hand(tmp_path: Path) -> None:
    app = Consumer(tmp_path)
    app.repository.mkdir()
    first, second = app.commit("v1"), app.commit("v2")

    def sha_of(command: str, sha: str = "", env: str = "") -> str:
        given = {"working_directory": str(app.repository), "sha": sha, "environment": "dev", "image": "i"}
        inputs = read_inputs(COMMANDS[command], given, {})
        return str(with_commit(inputs, COMMANDS[command], runner({"GITHUB_SHA": env})).sha)

    assert sha_of("build") == second
    assert (sha_of("plan"), sha_of("promote")) == ("", ""), "the image knows its commit"
    assert {sha_of(command, first[:7]) for command in ("build", "plan", "promote")} == {first}
    assert sha_of("build", "", first) == "", "the workflow's own goes on as it is"
    with pytest.raises(UsageError, match="no commit `v3`"):
        sha_of("build", "v3")


@pytest.mark.real
def test_a_link_to_it_is_followed(tmp_path: Path) -> None:
    (tmp_path / "cicd").symlink_to(CHECKOUT / "bin" / "cicd")
    (tmp_path / "again").symlink_to("cicd")
    done = subprocess.run([str(tmp_path / "again"), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cicd ")
