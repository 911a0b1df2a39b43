"""What `--help` tells people to type can be typed."""

import re
import shlex

import pytest

from cicd.cli import main, parser
from cicd.contract import COMMANDS
from cicd.examples import EXAMPLES, epilog

TYPED = re.compile(r"(?:^|\()(cicd .*?)(?:\)|   |$)")


def test_every_command_has_an_example() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_are_taken(command: str) -> None:
    typed = [found[1] for line in EXAMPLES[command].splitlines() if (found := TYPED.search(line))]
    assert typed
    for line in typed:
        assert vars(parser().parse_args(shlex.split(line)[1:]))["command"] in COMMANDS


def test_a_command_that_asks_github_says_what_it_needs() -> None:
    assert "GITHUB_TOKEN" in epilog("status", needs_token=True)
    assert "GITHUB_TOKEN" not in epilog("build", needs_token=False)


def test_a_misspelled_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rolback"]) == 2
    assert "did you mean `cicd rollback`" in capsys.readouterr().err


def test_no_command_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Say what runs where" in capsys.readouterr().err
