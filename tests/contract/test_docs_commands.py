"""Every command of ours that a page names is one that there is, with options that it has."""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicd.cli import LOCAL, parser
from cicd.contract import COMMANDS
from tests.contract.test_links import CHECKOUT, PAGES

# `cicd plan --environment dev`, `$CICD …` or `bin/cicd …`, at a command's place in a block or in backquotes.
NAMED = re.compile(r"(?:^|`|\$\(|&& |\| |=)\s*(?:\$CICD|\$cicd|(?:\S*/)?bin/cicd|cicd) ([a-z][^\n`]*)", re.MULTILINE)
ENDS = re.compile(r"\s+(#|[|]{1,2}|&|&&|>|2>|;)(\s|$).*|\)\"?$|;.*")


def commands(page: Path) -> Iterator[list[str]]:
    text = page.read_text().replace("\\\n", " ")
    for match in NAMED.finditer(text):
        line = ENDS.sub("", match[1].replace("…", "x")).strip()
        with contextlib.suppress(ValueError):  # a quote that a cut has left open
            words = shlex.split(line)
            if words and (words[0] in COMMANDS or words[0] in LOCAL):
                yield words


def problem(words: list[str]) -> str:
    """What the command line would say; empty if it takes it."""
    if words[0] in LOCAL or "--help" in words:
        return ""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser().parse_args(words)
    except SystemExit:
        problem = said.getvalue().strip().splitlines()[-1]
        return "" if problem.endswith("expected one argument") else problem  # prose names an option alone
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_the_commands_of_a_page_are_ours(page: Path) -> None:
    wrong = {" ".join(words): said for words in commands(page) if (said := problem(words))}
    assert wrong == {}


def test_commands_are_found() -> None:
    assert sum(len(list(commands(page))) for page in PAGES) > 80
    assert problem(["plan", "--nonsense"])
