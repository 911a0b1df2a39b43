"""Tests and reports that would have a suite look better than it is, with real processes: red, and it is said why."""

import os
import sys
from pathlib import Path

import pytest

from cicd.adapters import process
from cicd.commands.run_suite import run_suite
from cicd.contract import RunSuite
from cicd.core.results import Result
from tests.fakes import runner

pytestmark = pytest.mark.real
GREEN = "<testsuite><testcase name='a'/></testsuite>"
PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider"


def ran(folder: Path, **inputs: str) -> Result:
    here = runner({"PATH": os.environ["PATH"], "RUNNER_TEMP": str(folder / "temp")})
    return run_suite(RunSuite(working_directory=str(folder), **inputs), here, process.run)


@pytest.mark.parametrize("options", ["", " -n 2", " --color=yes"])
def test_pytest_exit_with_0_is_not_green(tmp_path: Path, options: str) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): pytest.exit('enough', returncode=0)\ndef test_c(): assert 0\n"
    )
    result = ran(tmp_path, run=PYTEST + options)
    assert result.decision == "failed"
    assert result.exit_code in (60, 65)


def test_a_copy_of_an_older_report_is_not_of_this_run(tmp_path: Path) -> None:
    (tmp_path / "yesterday.xml").write_text(GREEN)
    os.utime(tmp_path / "yesterday.xml", (1e9, 1e9))
    result = ran(tmp_path, run="cp -p yesterday.xml r.xml", junit="r.xml")
    assert (result.reason_code, result.exit_code) == ("report-invalid", 63)
    assert "from before the command" in result.message
