"""The shipped actions/run-suite/action.yml, run by a runner emulator on a project without a config of ours."""

import json
import sys
from pathlib import Path

import pytest

from .conftest import Act, ActRun

pytestmark = pytest.mark.real

PROJECT = {
    "bowling/score.py": """
def score(pins):
    total = 0
    for pin in pins:
        total += pin
    return total

def strike():
    return "X"

def spare():
    return "/"
""",
    "bowling/__init__.py": "",
    "tests/test_score.py": """
from bowling.score import score

def test_gutter():
    print("::set-output name=tests::99")
    print("::error::hostile")
    assert score([0] * 20) == 0

def test_ones():
    assert score([1] * 20) == 20
""",
    "red/test_red.py": """
import pytest
from bowling.score import score

@pytest.mark.parametrize("name", ["a|b`c`<b>", "plain"])
def test_wrong(name):
    assert score([1]) == 2

def test_right():
    assert score([1]) == 1
""",
    "empty/test_nothing.py": "",
    "pytest.ini": "[pytest]\npythonpath = .\n",
    ".coveragerc": "[run]\nsource = bowling\n",
}
STEP = """
      - id: {id}
        continue-on-error: true
        uses: org/cicd/actions/run-suite@v1
        with: {{suite: {id}, run: "pytest -s {folder}", coverage: "{coverage}"}}
      - if: always()
        env:
          OUTCOME: ${{{{ steps.{id}.outcome }}}}
          OUTPUTS: ${{{{ toJSON(steps.{id}.outputs) }}}}
        run: |
          echo "{id}-outcome=$OUTCOME"
          echo "{id}-outputs=$(echo "$OUTPUTS" | tr '\\n' ' ')"
"""
WORKFLOW = """
on: push
jobs:
  tests:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683
{steps}
"""
SUITES = {
    "green": ("tests", "none"),
    "red": ("red", ""),
    "none": ("empty", ""),
    "low": ("tests", "85"),
    "enough": ("tests", "70"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bowling")
    steps = "".join(STEP.format(id=name, folder=where, coverage=coverage) for name, (where, coverage) in SUITES.items())
    for path, text in {**PROJECT, ".github/workflows/ci.yml": WORKFLOW.format(steps=steps)}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def ran(act: Act, project: Path) -> ActRun:
    return act(project, path=str(Path(sys.executable).parent))


def test_verdicts_outputs_and_summary(ran: ActRun) -> None:
    assert ran.code == 0, ran.output[-8000:]
    outputs = {name: json.loads(ran.said(f"{name}-outputs")) for name in SUITES}
    outcomes = {name: ran.said(f"{name}-outcome") for name in SUITES}
    assert outcomes == {"green": "success", "red": "failure", "none": "failure", "low": "failure", "enough": "success"}
    reasons = {name: (found["decision"], found["reason-code"]) for name, found in outputs.items()}
    assert reasons == {
        "green": ("done", "ok"),
        "red": ("failed", "tests-failed"),
        "none": ("failed", "no-tests"),
        "low": ("failed", "coverage-too-low"),
        "enough": ("done", "ok"),
    }
    counts = {name: (found["tests"], found["failed"]) for name, found in outputs.items()}
    assert counts == {
        "green": ("2", "0"),
        "red": ("3", "2"),
        "none": ("0", "0"),
        "low": ("2", "0"),
        "enough": ("2", "0"),
    }
    assert [outputs[name]["coverage"] for name in SUITES] == ["", "", "", "77.77", "77.77"]
    assert all(found["junit"].endswith("junit.xml") for found in outputs.values())
    result = json.loads(outputs["red"]["result"])
    assert (result["schema"], result["command"], result["data"]["failures"][0]["file"]) == (
        1,
        "run-suite",
        "red/test_red.py",
    )

    assert "### ✅ green: 2 tests passed" in ran.output
    assert "### ❌ red: 2 of 3 tests failed" in ran.output
    assert "### ❌ none: no test was collected" in ran.output
    assert "### ❌ low: line coverage is 77.77%" in ran.output
    assert "a&#124;b&#96;c&#96;&#60;b&#62;" in ran.output
