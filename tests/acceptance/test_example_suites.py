"""The example's six suites under act: planned, each in its job with its services, one verdict."""

import re
import shutil
from pathlib import Path

import pytest

from tests.acceptance.conftest import CHECKOUT, Act, git

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(900)]
WORKFLOW = """
on: push
jobs:
  test:
    uses: org/cicd/.github/workflows/test.yml@v1
    permissions: {contents: read, checks: write, pull-requests: write}
    with: {publish: false}
"""


def test_all_suites_of_the_example(act: Act, tmp_path: Path) -> None:
    folder = tmp_path / "assistant-api"
    shutil.copytree(CHECKOUT / "examples" / "assistant-api", folder)
    shutil.rmtree(folder / ".github" / "workflows")
    (folder / ".github" / "workflows").mkdir()
    (folder / ".github" / "workflows" / "test.yml").write_text(WORKFLOW)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    done = act(folder, timeout=800)
    assert done.code == 0, done.output[-9000:]
    assert "6 jobs for 6 suites" in done.output
    found = re.search(r"All green: 6 suites, (\d+) tests", done.output)
    assert found, done.output[-9000:]
    assert int(found[1]) > 50
