"""setup-env where there is no room, or where nothing may be written. Both are file systems of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cicd.errors import CicdError, DependenciesFailed, ServiceFailed, ToolMissing
from tests.acceptance.conftest import CHECKOUT
from tests.acceptance.test_setup_env_terminal import CICD, environ, eventually, processes_of
from tests.adapters.conftest import environments
from tests.adapters.test_python_env import write_wheel

pytestmark = pytest.mark.real
BOOTSTRAP = CHECKOUT / "bin" / "bootstrap"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project's, and the place that is small or cannot be written."""
    (tmp_path / "place").mkdir()
    (tmp_path / "index").mkdir()
    write_wheel(tmp_path / "index", "parcel")
    (tmp_path / "requirements.txt").write_text("parcel\n")
    return tmp_path


def setup_env(
    folder: Path, options: str, env: dict[str, str], *arguments: str, entry: Sequence[str] = (str(CICD),)
) -> tuple[int, dict[str, Any], str]:
    """Run it with a tmpfs at `place`, of which nobody else knows; gives code, result and what was said."""
    first = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "sh", "-euc"]
    mount = 'mount -t tmpfs -o "$1" none "$2"; shift 2; exec "$@"'
    argv = [sys.executable, "-I", *entry, "setup-env", "--json", *arguments]
    own = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": f"{folder}/index",
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": f"{folder}/index",
    }
    done = subprocess.run(
        [*first, mount, "sh", options, str(folder / "place"), *argv],
        cwd=folder,
        env={**environ(folder, Path(environments())), **own, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_no_room_for_a_server(folder: Path) -> None:
    temp = {"RUNNER_TEMP": f"{folder}/place"}
    code, result, said = setup_env(folder, "size=4m", temp, "--services", "postgres:18", "--requirements", "none")
    assert (code, result["reason_code"]) == (ServiceFailed.code, "service-failed"), said
    assert "No space left on device" in said
    assert "disk is full" in result["data"]["cause"]
    assert "RUNNER_TEMP" in result["data"]["next_step"]
    assert eventually(lambda: not processes_of(folder))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [([], DependenciesFailed), (["--services", "redis:6", "--requirements", "none"], ToolMissing)],
)
def test_no_room_to_install(folder: Path, arguments: list[str], error: type[CicdError]) -> None:
    home = {"CICD_HOME": f"{folder}/place", "RUNNER_TEMP": str(folder)}
    code, result, said = setup_env(folder, "size=1m", home, *arguments)
    assert (code, result["reason_code"]) == (error.code, error.reason), said
    assert "disk is full" in result["data"]["cause"], said
    assert "set CICD_HOME" in result["data"]["next_step"]
    assert eventually(lambda: not processes_of(folder))


def test_a_home_that_cannot_be_written(folder: Path) -> None:
    """All that is ours goes elsewhere, and pip does without its cache."""
    code, result, said = setup_env(folder, "ro", {"HOME": f"{folder}/place", "XDG_CACHE_HOME": ""})
    assert (code, result.get("decision")) == (0, "done"), said


def test_nothing_can_be_written_at_all(folder: Path) -> None:
    nowhere = {"HOME": f"{folder}/place", "XDG_CACHE_HOME": "", "CICD_HOME": "", "RUNNER_TEMP": ""}
    code, result, said = setup_env(folder, "ro", nowhere, entry=("-S", str(BOOTSTRAP)))
    assert (code, result) == (3, {})
    assert "Read-only file system" in said
    assert "Next: set CICD_HOME to a folder that can." in said
