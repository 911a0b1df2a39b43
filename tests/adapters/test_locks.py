"""Projects with a lock of uv, Poetry or PDM, installed by that tool from an index of our own."""

import contextlib
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cicd.adapters.locks import read_lock
from cicd.adapters.process import run
from cicd.adapters.python_env import ensure_venv, find_python
from cicd.adapters.requirements import find_requirements
from cicd.adapters.runner import Runner
from cicd.adapters.tools import lock_tool
from cicd.core.install_trouble import why
from cicd.errors import DependenciesFailed
from tests.adapters.conftest import environments
from tests.adapters.test_python_env import write_wheel
from tests.fakes import runner as fake_runner

TOOLS = ("uv", "poetry", "pdm")
PROJECT = """
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["parcel"]
[project.optional-dependencies]
test = ["stamp"]
other = ["absent"]
[tool.poetry]
package-mode = false
[tool.pdm]
distribution = false
"""
INDEX = {
    "uv": '[dependency-groups]\ndev = ["string"]\ntests = ["label"]\n[[tool.uv.index]]\nurl = "%s"\ndefault = true\n',
    "poetry": "[tool.poetry.group.dev.dependencies]\nstring = '*'\n"
    "[tool.poetry.group.tests]\noptional = true\n[tool.poetry.group.tests.dependencies]\nlabel = '*'\n"
    '[[tool.poetry.source]]\nname = "ours"\nurl = "%s"\n',
    "pdm": '[dependency-groups]\ndev = ["string"]\ntests = ["label"]\n[[tool.pdm.source]]\nname = "pypi"\nurl = "%s"\n',
}
PACKAGES = ("parcel", "stamp", "string", "label", "absent")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """A simple index, as PEP 503 has it."""
    for name in PACKAGES:
        (folder / name).mkdir(parents=True)
        write_wheel(folder / name, name)
        wheel = f"{name}-1.0-py3-none-any.whl"
        (folder / name / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def alone(tmp_path: Path) -> Runner:
    """A runner without any of the tools; its home is its own."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
    env = {**kept, "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path), "CICD_HOME": environments()}
    return fake_runner(env)


def locked_project(folder: Path, tool: str, index: str, runner: Runner) -> Path:
    project = folder / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT + INDEX[tool] % index)
    more = ["--group", ":all"] if tool == "pdm" else []
    run([str(lock_tool(tool, runner)), "lock", *more], cwd=project, env=dict(runner.env))
    return project


def modules(python: Path) -> list[str]:
    code = "import importlib.util as u, sys; print(*(name for name in sys.argv[1:] if u.find_spec(name)))"
    found = run([str(python), "-I", "-c", code, "pip", *(name for name in PACKAGES if name != "string")]).output
    return found.split() + [path.name for path in python.parents[1].glob("lib/*/site-packages/string.py")]


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_by_the_tool_that_locked_it(tmp_path: Path, alone: Runner, tool: str) -> None:
    python = find_python("", alone)
    with served(tmp_path / "index") as index:
        project = locked_project(tmp_path, tool, index, alone)
        before = sorted(project.iterdir())
        wanted = find_requirements("", [], project)
        made = ensure_venv(wanted, python, tmp_path / "home", alone, pip=True)
    expected = ["pip", "parcel", "stamp", "label", "string.py"]
    assert (made.installer, modules(made.python)) == (tool, expected)
    assert ensure_venv(wanted, python, tmp_path / "home", alone, pip=True).reused
    assert sorted(project.iterdir()) == before

    about = project / "pyproject.toml"
    about.write_text(about.read_text().replace('["parcel"]', '["parcel", "absent"]'))
    other = find_requirements(f"{tool}.lock", [], project)
    with pytest.raises(DependenciesFailed, match=r"belong to pyproject.toml any more\. Next: lock again"):
        ensure_venv(other, python, tmp_path / "home", alone)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_an_index_that_is_away(tmp_path: Path, alone: Runner, tool: str) -> None:
    with served(tmp_path / "index") as index:
        project = locked_project(tmp_path, tool, index, alone)
    shutil.rmtree(tmp_path / ".cache", ignore_errors=True)
    with pytest.raises(DependenciesFailed, match=r"Cause: a package index cannot be reached\. Next: see that it is up"):
        ensure_venv(find_requirements("", [], project), find_python("", alone), tmp_path / "home", alone)
    assert not list((tmp_path / "home").glob("*/ready"))


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "pdm.lock"])
def test_a_lock_that_is_broken(tmp_path: Path, name: str) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / name).write_text("<<<<<<< HEAD\n")
    with pytest.raises(DependenciesFailed, match=rf"{name} cannot be read.*again by `{name[:-5]} lock`"):
        find_requirements("", [], tmp_path)


def test_a_lock_comes_before_requirement_files_and_is_named_alone(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("parcel\n")
    (tmp_path / "poetry.lock").write_text("")
    assert find_requirements("", [], tmp_path).files
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    found = find_requirements("", [], tmp_path)
    assert found.lock
    assert (found.lock.tool, found.lock.extras, found.files) == ("poetry", ("test",), ())
    assert find_requirements("requirements.txt", [], tmp_path).lock is None
    with pytest.raises(DependenciesFailed, match="name the lock alone"):
        find_requirements("poetry.lock requirements.txt", [], tmp_path)


def test_another_lock_or_description_is_another_environment(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "pdm.lock").write_text('[metadata]\ngroups = ["default", "dev"]\n')
    lock = read_lock(tmp_path / "pdm.lock")
    assert lock.extras == ()  # `test` was not locked
    before = list(lock.texts())
    (tmp_path / "pyproject.toml").write_text(PROJECT + "\n")
    assert list(lock.texts()) != before


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("error: Failed to fetch: `https://x/`\n  dns error: failed to lookup address information", "reached"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "not the one that was locked"),
        ("HTTP status client error (401 Unauthorized) for url (https://x/)", "does not let us in"),
        ("error: failed to create directory `/r/.cache/uv`: Read-only file system (os error 30)", "be written"),
        ("ERROR: No matching distribution found for nonsense", ""),
    ],
)
def test_causes(said: str, cause: str) -> None:
    assert cause in why(said)[0]
    assert bool(why(said)[0]) == bool(cause)
    assert why(said)[1]
