"""The root action: any command by `command:`; the job's token goes to those that ask GitHub, and to no suite."""

import json
import shutil
from pathlib import Path

import pytest

from tests.acceptance.conftest import Act
from tests.world import World

pytestmark = pytest.mark.real

WORKFLOW = """
on: push
permissions: {{}}
jobs:
  any:
    runs-on: ubuntu-latest
    steps:
    - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683
    - id: any
      uses: org/cicd@v1
      with: {given}
    - env:
        DECISION: ${{{{ steps.any.outputs.decision }}}}
        TESTS: ${{{{ steps.any.outputs.tests }}}}
      run: |
        echo "decision=$DECISION"
        echo "tests=$TESTS"
"""


def project(folder: Path, **given: str) -> None:
    place = folder / ".github/workflows/any.yml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(WORKFLOW.format(given=json.dumps(given)))


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A Python that finds no GITHUB_TOKEN in its environment, as on GitHub; act puts it there."""
    program = tmp_path / "programs/python3"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nunset GITHUB_TOKEN GH_TOKEN\nexec {shutil.which("python3")} "$@"\n')
    program.chmod(0o755)
    return str(program.parent)


def test_a_command_that_asks_github_gets_the_jobs_token(world: World, act: Act, path: str) -> None:
    project(world.app.repository, command="lock", environment="staging", reason="night")
    job = world.job()
    hub = {name: job[name] for name in ("GITHUB_API_URL", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")}
    env = {**hub, "GITHUB_GRAPHQL_URL": f"{world.hub.url}/graphql", "CICD_TARGET": str(world.app.folder / "targets")}
    done = act(world.app.repository, "push", env=env, secrets={"GITHUB_TOKEN": job["GITHUB_TOKEN"]}, path=path)
    assert done.code == 0, done.output[-6000:]
    assert done.said("decision") == "done"


def test_a_suite_does_not_see_it(act: Act, tmp_path: Path, path: str) -> None:
    folder = tmp_path / "tiny"
    project(folder, command="run-suite", run="python3 tests.py", junit="junit.xml", suite="own")
    report = '<testsuite tests="1"><testcase name="a" classname="b"/></testsuite>'
    (folder / "tests.py").write_text(
        "import os, pathlib\n"
        f"pathlib.Path('junit.xml').write_text({report!r})\n"
        "print('seen=' + ','.join(name for name, value in os.environ.items() if 'ghs_word' in value) + '.')\n"
    )
    done = act(folder, "push", secrets={"GITHUB_TOKEN": "ghs_word_0123456789"}, path=path)
    assert done.code == 0, done.output[-6000:]
    assert (done.said("tests"), done.said("seen")) == ("1", ".")


def test_no_such_command(act: Act, tmp_path: Path) -> None:
    project(tmp_path / "tiny", command="promot")
    done = act(tmp_path / "tiny")
    assert done.code != 0
    assert "promote" in done.output, done.output[-3000:]
