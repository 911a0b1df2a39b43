"""Every workflow and action of ours, read by linters that others wrote."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
WORKFLOWS = sorted([*CHECKOUT.glob(".github/workflows/*.yml"), *CHECKOUT.glob("examples/*/.github/workflows/*.yml")])
ACTIONS = sorted([CHECKOUT / "action.yml", *CHECKOUT.glob("actions/*/action.yml")])

pytestmark = pytest.mark.real


def clean(*argv: str) -> None:
    done = subprocess.run([str(BIN / argv[0]), *argv[1:]], capture_output=True, text=True, cwd=CHECKOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_something_to_read() -> None:
    assert len(WORKFLOWS) >= 8
    assert len(ACTIONS) == 5


def test_zizmor_pedantic_over_what_we_ship() -> None:
    given = ["--offline", "--persona", "pedantic", "--config", ".github/zizmor.yml", "--no-progress"]
    clean("zizmor", *given, ".github", "action.yml", "actions")


def test_zizmor_over_the_example() -> None:
    clean("zizmor", "--offline", "--config", ".github/zizmor.yml", "--no-progress", "examples")


def test_workflows_are_what_the_published_schema_says() -> None:
    clean("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS))


def test_actions_are_what_the_published_schema_says() -> None:
    clean("check-jsonschema", "--builtin-schema", "vendor.github-actions", *map(str, ACTIONS))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_act_reads_it_strictly(path: Path) -> None:
    clean("act", "--validate", "--strict", "--workflows", str(path))


def test_the_examples_config_is_what_our_schema_says() -> None:
    clean("check-jsonschema", "--schemafile", "docs/cicd.schema.json", "examples/assistant-api/.github/cicd.yml")
