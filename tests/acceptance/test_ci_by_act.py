"""The shipped ci.yml under act: suites on each Python and runner, the image, one verdict of all of it."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.acceptance.conftest import CHECKOUT, Act, git
from tests.acceptance.test_build_by_act import DIGEST, stand_ins

pytestmark = pytest.mark.real

CI = yaml.safe_load((CHECKOUT / ".github/workflows/ci.yml").read_text())
WORKFLOW = """
on: {{push: {{branches: [main, develop]}}, pull_request: {{branches: [main, develop]}}}}
permissions: {{}}
jobs:
  ci:
    uses: org/cicd/.github/workflows/ci.yml@v1
    permissions: {{contents: read, checks: write, pull-requests: write, packages: write, id-token: write, attestations: write}}
    with: {given}
  after:
    needs: ci
    runs-on: ubuntu-latest
    steps:
    - env: {{IMAGE: "${{{{ needs.ci.outputs.image }}}}"}}
      run: echo "image=$IMAGE"
"""  # noqa: E501
CONFIG = 'version: 1\napp: tiny\nsuites: {unit: {run: "python -m pytest -q", audit: 0%}}\n'
TEST = "import sys\n\ndef test_it() -> None:\n    assert sys.version_info >= (3, 11)\n"


def project(folder: Path, test: str = TEST, **given: object) -> Path:
    files = {
        ".github/workflows/ci.yml": WORKFLOW.format(given=json.dumps({"publish": False, **given})),
        ".github/cicd.yml": CONFIG,
        ".gitignore": "__pycache__\n",
        "Dockerfile": "FROM scratch\n",
        "requirements.txt": "pytest\n",
        "test_it.py": test,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


@pytest.mark.slow
def test_a_library_gives_nothing_and_gets_one_verdict(act: Act, tmp_path: Path) -> None:
    ran = act(project(tmp_path / "tiny"))
    assert ran.code == 0, ran.output[-6000:]
    assert "All green: 1 suite, 1 test." in ran.output
    assert "Tests: success. Image: skipped." in ran.steps
    assert ran.said("image") == ""


@pytest.mark.slow
def test_each_python_on_each_runner_and_the_image(act: Act, tmp_path: Path) -> None:
    """Two runners of the same machine: their parts, histories and reports do not meet."""
    runners = ["ubuntu-latest", ["self-hosted", "other"]]
    place = project(
        tmp_path / "tiny", python=json.dumps(["", "3.11"]), runners=json.dumps(runners), image="ghcr.io/acme/tiny"
    )
    options = [*stand_ins(tmp_path / "actions"), "-P", "self-hosted=-self-hosted", "-P", "other=-self-hosted"]
    ran = act(place, "push", *options, secrets={"GITHUB_TOKEN": "ghs_word"})
    assert ran.code == 0, ran.output[-6000:]
    assert ran.output.count("| All green: 1 suite, 1 test.") == 4, ran.output[-6000:]
    assert "Tests: success. Image: success." in ran.steps
    assert ran.said("image") == DIGEST
    assert len(list((tmp_path / "act-store" / "caches").rglob("history.json"))) == 4


@pytest.mark.slow
def test_a_pull_request_builds_and_pushes_nothing(act: Act, tmp_path: Path) -> None:
    place = project(tmp_path / "tiny", image="ghcr.io/acme/tiny")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 1, "base": {"ref": "main"}}}))
    ran = act(place, "pull_request", "--eventpath", str(event), *stand_ins(tmp_path / "actions"))
    assert ran.code == 0, ran.output[-6000:]
    assert json.loads(ran.said("build-push-action"))["push"] == "false"
    assert not [line for line in ran.steps if line.startswith(("login-action=", "attest="))]


@pytest.mark.slow
def test_a_red_suite_is_a_red_run(act: Act, tmp_path: Path) -> None:
    ran = act(project(tmp_path / "tiny", "def test_it() -> None:\n    assert False\n"))
    assert ran.code != 0
    assert "unit: 1 of 1 test failed" in ran.output, ran.output[-6000:]


@pytest.mark.parametrize(
    ("image", "test", "build", "code"),
    [
        ("", "success", "skipped", 0),
        ("ghcr.io/acme/tiny", "success", "success", 0),
        ("ghcr.io/acme/tiny", "success", "skipped", 1),
        ("", "failure", "skipped", 1),
        ("", "skipped", "skipped", 1),
        ("", "cancelled", "skipped", 1),
        ("ghcr.io/acme/tiny", "success", "failure", 1),
    ],
)
def test_the_verdict_takes_nothing_for_green_that_is_not(image: str, test: str, build: str, code: int) -> None:
    """The step itself: act runs no `always()` after a called workflow that failed, GitHub does."""
    (step,) = CI["jobs"]["verdict"]["steps"]
    env = {"IMAGE": image, "TEST": test, "BUILD": build}
    done = subprocess.run(["bash", "-e", "-c", step["run"]], env=env, capture_output=True, check=False)
    assert done.returncode == code
