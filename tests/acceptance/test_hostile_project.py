"""A project that means harm: what it is called, says and contains is data to every action. It tries to make `pwned`."""

from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.acceptance.conftest import Act, git
from tests.world import World

pytestmark = pytest.mark.real

MARK = "pwned"
BRANCH = "x$(touch${IFS}pwned)`touch${IFS}pwned`;touch${IFS}pwned"
MESSAGE = """$(touch pwned) `touch pwned` "; touch pwned; '

::set-output name=verdict::stable
::add-path::.
${{ github.token }} <!-- -->"""
# Modules and settings that would be taken in place of real ones, were the checkout on a path of ours.
TRAPS = {
    **{
        f"{name}.py": f"import pathlib; pathlib.Path(__file__).with_name({MARK!r}).touch()\n"
        for name in ("yaml", "msgspec", "requests", "sitecustomize", "usercustomize", "cicd", "github", "json", "venv")
    },
    "pip.conf": "[global]\nindex-url = http://127.0.0.1:9/\n",
    "uv.toml": 'index-url = "http://127.0.0.1:9/"\n',
    ".netrc": "default login me password me\n",
    "-rf": "",
    "$(touch pwned).txt": "",
    "a\nb": "",
}
WORKFLOW = """
on: push
jobs:
  tests:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683
      - id: setup
        uses: org/cicd/actions/setup-env@v1
        with: {requirements: none, migrate: none}
      - id: tests
        uses: org/cicd/actions/run-suite@v1
        with: {run: "python -I -m pytest -q tests"}
        env: {PYTEST_ADDOPTS: "-p no:cacheprovider"}
      - env: {VERDICT: "${{ steps.tests.outputs.decision }}"}
        run: echo "verdict=$VERDICT"
"""


def hostile(project: Path) -> None:
    for name, text in TRAPS.items():
        (project / name).write_text(text)


@pytest.mark.slow
def test_setup_env_and_run_suite_in_a_hostile_checkout(act: Act, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / ".github/workflows").mkdir(parents=True)
    (project / ".github/workflows/test.yml").write_text(WORKFLOW)
    (project / "tests").mkdir()
    (project / "tests" / "test_$(touch pwned).py").write_text(
        "def test_fine():\n    print('::set-output name=decision::evil')\n"
    )
    hostile(project)
    git(project, "init", "--quiet")
    git(project, "checkout", "--quiet", "-b", BRANCH)
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", MESSAGE, "--author", "$(touch pwned) <a`touch pwned`@b>")
    git(project, "tag", "v1$(touch${IFS}pwned)")
    done = act(project, path="", env={"GITHUB_HEAD_REF": BRANCH, "GITHUB_ACTOR": "$(touch pwned)"})
    assert done.code == 0, done.output[-6000:]
    assert done.said("verdict") == "done"
    assert not list(tmp_path.rglob(MARK)), "nothing of it was run"


def test_a_hostile_commit_is_promoted_and_taken_back_as_any_other(world: World) -> None:
    app = world.app
    first = world.promote()
    assert first["decision"] == "done", first
    hostile(app.repository)
    app.greeting = "$(touch pwned) `touch pwned`"
    app.commit("v2")
    app.git("checkout", "--quiet", "-b", BRANCH)
    app.git("commit", "--quiet", "--allow-empty", "--message", MESSAGE, "--author", "$(touch pwned) <a@b>")
    done = world.promote("staging", "--version", "$(touch pwned)", env={"GITHUB_ACTOR": "$(touch pwned)"})
    assert done["outputs"]["verdict"] == "stable", done
    with urlopen(f"http://127.0.0.1:{app.ports[0]}/") as answer:
        assert answer.read().decode() == app.greeting
    back = world.run("rollback", "--environment", "staging", "--reason", MESSAGE.splitlines()[0])
    assert back["outputs"]["verdict"] == "stable", back
    told = world.run("status")
    assert told["data"]["environments"][0]["version"] == "v1"
    assert not list(app.folder.rglob(MARK)), "nothing of it was run"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("environment", "$(touch pwned)"),
        ("environment", "../../production"),
        ("image", "sha256:$(touch pwned)"),
        ("sha", "--upload-pack=touch pwned"),
        ("config", "../../../etc/passwd"),
        ("working-directory", "-rf"),
        ("version", "v1\n::set-output name=verdict::stable"),
        ("app-env", "A=$(touch pwned)\nB"),
        ("known-hosts", "::add-mask::x"),
    ],
)
def test_a_hostile_input_is_refused_with_its_name_or_is_text(world: World, name: str, value: str) -> None:
    given = {"environment": "staging", "image": world.app.build(world.app.git("rev-parse", "HEAD")), name: value}
    arguments = [part for each, text in given.items() for part in (f"--{each}={text}",)]
    done = world.run("promote", *arguments, "--dry-run", "true")
    assert done["exit"] not in (1, 3), done
    assert "Traceback" not in done["said"]
    assert done["decision"] in ("refused", "planned"), done
    assert not list(world.app.folder.rglob(MARK))
