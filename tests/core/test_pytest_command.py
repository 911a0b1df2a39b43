import pytest

from cicd.core.pytest_command import (
    Command,
    added_options,
    has_option,
    in_parallel,
    measured,
    named_report,
    parse_command,
    with_options,
)
from cicd.errors import UsageError


def parse(text: str, **env: str) -> Command:
    return parse_command(text, env)


@pytest.mark.parametrize(
    ("text", "modules", "addopts", "expected"),
    [
        ("pytest -q", ["xdist"], [], "pytest -n 3 --dist loadfile -q"),
        ("pytest -q", ["xdist"], ["--dist", "loadgroup"], "pytest -n 3 -q"),
        ("pytest -n 2", ["xdist"], [], "pytest -n 2"),
        ("pytest -nauto", ["xdist"], [], "pytest -nauto"),
        ("pytest", ["xdist"], ["-n4"], "pytest"),
        ("pytest -p no:xdist", ["xdist"], [], "pytest -p no:xdist"),
        ("pytest -- -n", ["xdist"], [], "pytest -n 3 --dist loadfile -- -n"),
    ],
)
def test_workers(text: str, modules: list[str], addopts: list[str], expected: str) -> None:
    found = in_parallel(parse(text), 3, modules, addopts)
    assert isinstance(found, Command)
    assert " ".join(found.argv) == expected


@pytest.mark.parametrize(
    ("text", "modules", "said"),
    [
        ("make test", ["xdist"], "not pytest"),
        ("pytest", ["pytest_cov"], "pytest-xdist is not"),
        ("coverage run -m pytest", ["xdist"], "does not follow"),
    ],
)
def test_why_there_are_no_workers(text: str, modules: list[str], said: str) -> None:
    assert said in str(in_parallel(parse(text), 3, modules, []))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("pytest", "pytest"),
        ("py.test -q", "py.test"),
        ("/venv/bin/pytest tests", "/venv/bin/pytest"),
        ("python -m pytest -q", "pytest"),
        ("python3.12 -X dev -W error -m pytest", "pytest"),
        ("uv run pytest", "pytest"),
        ("uv run --frozen --extra test python -m pytest", "pytest"),
        ("uv run --with pytest python -m pytest", "pytest"),
        ("poetry run pytest -x", "pytest"),
        ("hatch -v run pytest", "pytest"),
        ("uvx pytest", "pytest"),
        ("PYTHONPATH=src DEBUG= pytest -q", "pytest"),
        ("env A=b pytest", "pytest"),
        ("timeout 300 nice -n 5 pytest", "pytest"),
        ("xvfb-run -a pytest", "pytest"),
        ("coverage run -m pytest -k pytest", "pytest"),
        ("python -m coverage run --source src -m pytest", "pytest"),
        ("coverage run /venv/bin/pytest", "/venv/bin/pytest"),
    ],
)
def test_pytest_is_found_in_every_dress(text: str, word: str) -> None:
    command = parse(text)
    assert command.pytest is not None
    assert command.argv[command.pytest] == word
    position = with_options(command, ["--junitxml=x"]).argv.index("--junitxml=x")
    assert position == command.pytest + 1


@pytest.mark.parametrize(
    "text",
    [
        "make pytest",
        "tox -e py -- pytest",
        "npm test",
        "echo pytest",
        "bash -c 'pytest -q'",
        "python run.py pytest",
        "python -m unittest pytest",
        "python -m tests.pytest",
        "uv run --with pytest",
        "uv sync pytest",
        "behave -m pytest",
    ],
)
def test_what_only_names_pytest_is_not_pytest(text: str) -> None:
    assert parse(text).pytest is None


def test_assignments_are_the_environment_and_variables_are_filled_in() -> None:
    command = parse("A=1 B='x y' pytest --dburi $URL -k 'a$' ${URL}x $NONE", URL="postgresql://u:p w@h/d")
    assert command.env == {"A": "1", "B": "x y"}
    assert command.argv == (
        *("pytest", "--dburi", "postgresql://u:p w@h/d"),
        *("-k", "a$", "postgresql://u:p w@h/dx", "$NONE"),
    )
    assert "p w" not in command.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("A=1", "empty"),
        ("pytest 'x", "cannot be split"),
        ("pytest && echo", "`&&`"),
        ("a | b", "without a shell"),
    ],
)
def test_what_cannot_be_run_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("|", r"\|")):
        parse(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("pytest", ""),
        ("pytest --junitxml=a.xml", "a.xml"),
        ("pytest --junitxml a.xml --junit-xml=b.xml", "b.xml"),
        ("pytest -- --junitxml=a.xml", ""),
        ("pytest --junitxml", ""),
    ],
)
def test_a_report_that_the_command_names_itself(text: str, path: str) -> None:
    assert named_report(parse(text).options) == path


@pytest.mark.parametrize(
    ("text", "argv", "beside"),
    [
        ("pytest", ("python",), "pytest"),
        ("/v/bin/pytest", ("python",), "/v/bin/pytest"),
        ("python3 -m pytest", ("python3",), ""),
        ("uv run pytest", ("uv", "run", "python"), ""),
        ("uv run --python python3.12 pytest", ("uv", "run", "--python", "python3.12", "python"), ""),
        ("timeout 9 pytest", ("timeout", "9", "python"), "pytest"),
        ("coverage run -m pytest", ("python",), "coverage"),
        ("python -m coverage run -m unittest", ("python",), ""),
        ("make test", ("python",), ""),
    ],
)
def test_the_interpreter_of_a_command(text: str, argv: tuple[str, ...], beside: str) -> None:
    assert parse(text).interpreter == (argv, beside)


@pytest.mark.parametrize(
    ("text", "modules", "addopts", "expected"),
    [
        ("pytest -q", ["pytest_cov", "coverage"], [], "pytest --cov --cov-report=json:c -q"),
        ("pytest", ["coverage"], [], "PY -m coverage run -m pytest"),
        ("python -m pytest -q", ["coverage"], [], "PY -m coverage run -m pytest -q"),
        ("pytest --cov=src", ["pytest_cov"], [], "pytest --cov-report=json:c --cov-report=term --cov=src"),
        ("pytest --cov=src --cov-report=xml", [], [], "pytest --cov-report=json:c --cov=src --cov-report=xml"),
        ("pytest", ["pytest_cov"], ["--cov=src", "--cov-report=term"], "pytest --cov-report=json:c"),
        ("coverage run -m pytest", [], [], "coverage run -m pytest"),
        ("python -m coverage run -m unittest", [], [], "python -m coverage run -m unittest"),
    ],
)
def test_how_coverage_is_measured(text: str, modules: list[str], addopts: list[str], expected: str) -> None:
    found = measured(parse(text), "c", ["PY"], modules, addopts)
    assert isinstance(found, Command)
    assert " ".join(found.argv) == expected


@pytest.mark.parametrize(("text", "said"), [("pytest", "neither pytest-cov nor"), ("make test", "neither pytest nor")])
def test_why_coverage_cannot_be_measured(text: str, said: str) -> None:
    assert said in str(measured(parse(text), "c", ["PY"], [], []))


@pytest.mark.parametrize(
    ("files", "options"),
    [
        ({}, []),
        ({"pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-ra --cov=x'"}, ["-ra", "--cov=x"]),
        ({"pyproject.toml": "[tool.pytest.ini_options]\naddopts = ['-ra', '--cov']"}, ["-ra", "--cov"]),
        ({"pyproject.toml": "[tool.pytest]\naddopts = ['-q']"}, ["-q"]),
        ({"pytest.toml": "[pytest]\naddopts = ['-q']"}, ["-q"]),
        (
            {"pytest.ini": "[pytest]\naddopts =\n  -q\n  --cov=%x", "setup.cfg": "[tool:pytest]\naddopts=-v"},
            ["-q", "--cov=%x"],
        ),
        ({"tox.ini": "[testenv]\ncommands = pytest --cov", "setup.cfg": "[tool:pytest]\naddopts = -v"}, ["-v"]),
        ({"pyproject.toml": "not [toml"}, []),
        ({"pytest.ini": "no section"}, []),
        ({"pytest.ini": "[pytest]\naddopts = 'open"}, []),
        ({"pyproject.toml": "tool = 3"}, []),
        ({"pyproject.toml": "[tool]\npytest = 3"}, []),
    ],
)
def test_options_that_the_project_adds(files: dict[str, str], options: list[str]) -> None:
    assert added_options(files) == options


def test_options_are_whole_words() -> None:
    assert has_option(["--cov=src"], "--cov")
    assert not has_option(["--cov-report=xml"], "--cov")
    assert not has_option(["--", "--cov"], "--cov")
