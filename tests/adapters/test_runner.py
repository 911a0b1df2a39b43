import contextlib
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.adapters.runner import SUMMARY_LIMIT, Runner, fit, harmless
from tests.fakes import runner


def actions(tmp_path: Path, **more: str) -> Runner:
    files = {
        name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
    }
    return runner({"GITHUB_ACTIONS": "true", **files, **more})


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """actions-toolkit reads the process' own variables."""
    for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH"):
        (tmp_path / name).touch()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # add_path changes it


def test_an_annotation_is_one_line_whatever_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "bad\n::add-mask::x\r\n% of,it:"
    actions(tmp_path).annotate("error", hostile, file="a,b:c\n::error::.py", line=3, title=hostile)
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 1
    assert said.startswith("::error ")
    assert "line=3" in said
    assert said.count("::") >= 2
    properties = said.split("::")[1]
    assert "\n" not in properties
    assert "%0A" in said


def test_an_annotation_without_a_place_has_no_empty_properties(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    actions(tmp_path).annotate("warning", "look")
    actions(tmp_path).annotate("error", "look", title="t")
    assert capsys.readouterr().out.split("\n") == ["::warning::look", "::error title=t::look", ""]


def test_outside_of_actions_there_are_plain_lines_and_nothing_else(tmp_path: Path) -> None:
    here = runner({"GITHUB_OUTPUT": str(tmp_path / "x")})
    here.annotate("error", "bad", file="a.py", line=3, title="t")
    here.output("a", "b")
    here.mask("secret")
    with here.group("title"), here.verbatim():
        here.say("inside")
    assert here.stream.getvalue().splitlines() == ["error: a.py:3: t: bad", "title", "inside"]  # type: ignore[attr-defined]
    assert not (tmp_path / "x").exists()


def test_lines_of_others_are_no_commands(tmp_path: Path) -> None:
    tokens = set()
    for _ in range(2):
        here = actions(tmp_path)
        with contextlib.suppress(ValueError), here.verbatim():
            here.say("::add-mask::e")
            raise ValueError("x")
        first, inside, last = here.stream.getvalue().splitlines()  # type: ignore[attr-defined]
        found = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", first)
        assert found
        assert (inside, last) == ("::add-mask::e", f"::{found[1]}::")
        tokens.add(found[1])
    assert len(tokens) == 2


def test_outputs_with_lines_cannot_forge_others(tmp_path: Path) -> None:
    actions(tmp_path).output("result", "a\nother=1\nEOF\nb<<EOF")
    text = (tmp_path / "GITHUB_OUTPUT").read_text()
    name, delimiter = text.splitlines()[0].split("<<")
    assert name == "result"
    assert text.splitlines()[-1] == delimiter
    assert delimiter not in text.split("\n", 1)[1].rsplit(delimiter, 1)[0]


def test_every_line_of_a_secret_is_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    actions(tmp_path).mask("first\n{\nsec/ond\n\n")
    said = capsys.readouterr().out.splitlines()
    assert {"::add-mask::first", "::add-mask::sec/ond", "::add-mask::sec%252Fond"} <= set(said)
    assert not {"::add-mask::", "::add-mask::{"} & set(said)


@pytest.mark.parametrize(
    "hostile",
    [
        "::stop-commands::x",
        "fine\n  ::add-mask::stable",
        "fine\r\t::error::x",
        "\u00a0\ufeff::error::x",
        "in the midst ##[error]x",
        "##[add-path]/evil\n##[error]x",
        "fine\n\n::set-env name=A::b",
    ],
)
def test_nothing_that_is_said_is_a_command(tmp_path: Path, hostile: str) -> None:
    here = actions(tmp_path)
    here.say(hostile)
    said: str = here.stream.getvalue()  # type: ignore[attr-defined]
    assert "##[" not in said
    # .NET ends lines at \r, \n and \r\n, and trims white space.
    assert not [line for line in re.split(r"\r\n|\r|\n", said) if line.strip().lstrip("\ufeff").startswith("::")]


@given(st.text("a:#[ \r\n\t"))
def test_only_commands_are_changed(text: str) -> None:
    made = harmless(text)
    assert "##[" not in made
    assert not [line for line in re.split(r"[\r\n]", made) if line.strip().startswith("::")]
    if "::" not in text and "##[" not in text:
        assert made == text


def test_json_for_programs_is_no_command_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    actions(tmp_path).tell('{"message": "##[error]x"}')
    said = capsys.readouterr().out
    assert "##[" not in said
    assert json.loads(said) == {"message": "##[error]x"}


def test_a_file_of_the_runners_that_is_not_there(tmp_path: Path) -> None:
    here = actions(tmp_path, GITHUB_OUTPUT="/nonexistent/x")
    with pytest.raises(FileNotFoundError, match="GITHUB_OUTPUT"):
        here.output("a", "b")


def test_paths_and_variables_reach_the_later_steps(tmp_path: Path) -> None:
    here = actions(tmp_path)
    here.export("NAME", "a\nb")
    here.add_path(tmp_path / "bin")
    assert "a\nb" in (tmp_path / "GITHUB_ENV").read_text()
    assert str(tmp_path / "bin") in (tmp_path / "GITHUB_PATH").read_text()


def test_the_summary_grows_and_stays_below_the_limit(tmp_path: Path) -> None:
    here = actions(tmp_path)
    here.summary("first")
    here.summary("")
    here.summary("line\n" * (SUMMARY_LIMIT // 4))
    here.summary("too much\n")
    path = tmp_path / "GITHUB_STEP_SUMMARY"
    assert path.read_text().startswith("first\n\nline\n")
    assert path.stat().st_size <= SUMMARY_LIMIT


@pytest.mark.parametrize("limit", [0, 10, 100, 1000])
def test_what_fits_ends_with_a_whole_line(limit: int) -> None:
    text = fit("ü" * 30 + "\n" + "abc\n" * 1000, limit)
    assert len(text.encode()) <= limit
    assert text == "" or text.endswith("log.\n")


def test_the_runner_knows_where_it_runs() -> None:
    here = runner(
        {"GITHUB_SERVER_URL": "https://g", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "7", "RUNNER_TEMP": "/t"}
    )
    assert here.run_url == "https://g/o/r/actions/runs/7"
    assert str(here.temp) == "/t"
    assert here.api_url == "https://api.github.com"
    assert runner({}).run_url == ""


@pytest.mark.parametrize("written", ["<!--", "```\n", "x" * (SUMMARY_LIMIT + 10)])
def test_what_others_write_meanwhile_comes_after_our_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    path = tmp_path / "summary"
    path.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    here = Runner.here()
    with path.open("a") as file:
        file.write(written)
    here.summary("red")
    here.summary("and why")
    found = path.read_text()
    assert found.startswith("before\nred\n\nand why\n\n")
    assert len(found) <= SUMMARY_LIMIT


def test_a_summary_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "summary")
    with pytest.raises(FileNotFoundError):
        Runner({"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}).summary("red")
