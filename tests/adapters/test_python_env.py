import os
import sys
import zipfile
from pathlib import Path

import pytest

from cicd.adapters.process import run
from cicd.adapters.python_env import Python, ensure_venv, find_python
from cicd.adapters.requirements import Requirements, find_requirements
from cicd.adapters.runner import Runner
from cicd.errors import DependenciesFailed, ToolMissing
from tests.fakes import runner as fake_runner

pytestmark = pytest.mark.real  # starts interpreters

HERE = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
VERSION = "{}.{}.{}".format(*sys.version_info[:3])


def write_wheel(folder: Path, name: str, version: str = "1.0") -> None:
    """The smallest wheel that can be installed."""
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")


@pytest.fixture(params=["uv", "pip"])
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Runner:
    """A runner whose only index is a folder with one wheel, said in the consumer's own variables."""
    index = tmp_path / "index"
    index.mkdir()
    write_wheel(index, "parcel")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("python3", "python{}.{}".format(*sys.version_info[:2])):
        (tools / name).symlink_to(HERE)
    uv = Path(sys.executable).parent / "uv"
    if request.param == "uv":
        if not uv.exists():
            pytest.skip("no uv in this environment")
        (tools / "uv").symlink_to(uv)
    own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "UV_OFFLINE": "1", "UV_FIND_LINKS": str(index)}
    return fake_runner(
        {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(tmp_path), **own, "PIP_TARGET": str(tmp_path / "x")}
    )


def test_the_interpreter_at_hand(runner: Runner) -> None:
    assert find_python("", runner).version == VERSION
    assert find_python("{}.{}".format(*sys.version_info[:2]), runner).version == VERSION
    assert find_python(str(HERE), runner).base == HERE


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "python3.99").write_text("#!/bin/sh\necho 'pyenv: python3.99: command not found'; exit 127\n")
    (tmp_path / "python3.99").chmod(0o755)
    (tmp_path / "python3").symlink_to(HERE)
    alone = fake_runner({"PATH": str(tmp_path), "HOME": str(tmp_path), "RUNNER_TOOL_CACHE": str(tmp_path)})
    with pytest.raises(ToolMissing) as caught:
        find_python("3.99", alone)
    assert f"There is no Python 3.99 on this machine. Cause: there is {VERSION}" in str(caught.value)
    with pytest.raises(ToolMissing, match="no Python that runs"):
        find_python("/no/such/python", alone)


def test_the_runner_s_tool_cache_and_pyenv_are_searched(tmp_path: Path) -> None:
    for place in ("tools/Python/3.77.1/x64/bin", "tools/Python/3.77.12/x64/bin", "pyenv/versions/3.78.0/bin"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        version = folder.parts[-3] if "tools" in place else folder.parts[-2]
        (folder / "python3").write_text(f"#!/bin/sh\necho {folder}/python3; echo {folder}/python3; echo {version}\n")
        (folder / "python3").chmod(0o755)
    env = {"PATH": "/bin", "RUNNER_TOOL_CACHE": str(tmp_path / "tools"), "PYENV_ROOT": str(tmp_path / "pyenv")}
    assert find_python("3.77", fake_runner(env)).version == "3.77.12"
    assert find_python("3.77.1", fake_runner(env)).version == "3.77.1"
    assert find_python("3.78", fake_runner(env)).version == "3.78.0"


def test_requirements_are_found_by_name_or_named(tmp_path: Path) -> None:
    assert not find_requirements("", [], tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert not find_requirements("", [], tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname='x'\noptional-dependencies = {docs=[], dev=[], test=[]}\n"
    )
    assert find_requirements("", [], tmp_path).arguments() == ["--editable", f"{tmp_path}[test,dev]"]
    (tmp_path / "requirements-dev.txt").touch()
    (tmp_path / "more.txt").touch()
    assert [file.name for file in find_requirements("", [], tmp_path).files] == ["requirements-dev.txt"]
    assert [file.name for file in find_requirements("", ["more.txt"], tmp_path).files] == ["more.txt"]
    assert [file.name for file in find_requirements("requirements-dev.txt", ["more.txt"], tmp_path).files] == [
        "requirements-dev.txt"
    ]
    assert not find_requirements("none", ["more.txt"], tmp_path)


def test_requirements_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DependenciesFailed, match=r"There is no .*/missing\.txt"):
        find_requirements("missing.txt", [], tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project")
    with pytest.raises(DependenciesFailed, match="cannot be read"):
        find_requirements("", [], tmp_path)


def test_a_venv_is_made_once_with_the_consumer_s_own_index(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("parcel\n")
    lock = tmp_path / "requirements.txt"
    lock.write_text("-r base.txt\n")
    python = find_python("", runner)
    first = ensure_venv([lock], python, tmp_path / "root", runner)
    again = ensure_venv([lock], python, tmp_path / "root", runner)
    assert (first.reused, again.reused, again.python) == (False, True, first.python)
    assert run([str(first.python), "-c", "import parcel; print(parcel.VERSION)"]).output == "1.0"
    assert not (tmp_path / "x").exists()  # PIP_TARGET would have taken it there
    (tmp_path / "base.txt").write_text("parcel==1.0\n")
    assert ensure_venv([lock], python, tmp_path / "root", runner).python != first.python


def test_a_venv_s_own_python_leads_to_the_same_venv(runner: Runner, tmp_path: Path) -> None:
    """A second step finds the first one's venv on PATH."""
    python = find_python("", runner)
    first = ensure_venv([], python, tmp_path / "root", runner)
    later = fake_runner({**runner.env, "PATH": f"{first.python.parent}{os.pathsep}{runner.env['PATH']}"})
    found = find_python("", later)
    assert found.path != python.path
    assert ensure_venv([], found, tmp_path / "root", later).python == first.python


def test_what_cannot_be_installed_leaves_no_ready_venv(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("no-such-package-anywhere==9\n")
    python = find_python("", runner)
    for _ in range(2):
        with pytest.raises(DependenciesFailed) as caught:
            ensure_venv([tmp_path / "requirements.txt"], python, tmp_path / "root", runner)
        assert "no-such-package-anywhere" in caught.value.what
    assert not list(tmp_path.glob("root/*/ready"))


def test_a_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DependenciesFailed, match="cannot be written"):
        ensure_venv(Requirements(), Python(HERE, HERE, VERSION), tmp_path / "file", fake_runner({}))


def test_people_get_a_pip_of_the_venv_s_own(tmp_path: Path) -> None:
    own = fake_runner({"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    venv = ensure_venv([], find_python(str(HERE), own), tmp_path / "root", own, pip=True)
    assert str(tmp_path) in run([str(venv.python.parent / "pip"), "--version"]).output
