"""What follows from the contract is as it would be made, and nothing is there besides."""

import re
from pathlib import Path

import pytest
import yaml

from cicd import errors
from cicd.contract import COMMANDS, COMMON_OUTPUTS, ROOT, VARIABLES, Command, environment_name, input_fields, input_name
from cicd.core.starter import DEPLOYING, REPORTING
from cicd.errors import CicdError
from cicd.generate import files
from cicd.workflow_tables import permissions

CHECKOUT = Path(__file__).resolve().parents[2]
CALLERS = {
    str(path.relative_to(CHECKOUT)): path.read_text() for path in CHECKOUT.glob("examples/*/.github/workflows/*.yml")
}
for page in ("README.md", "docs/tutorial.md"):
    blocks = re.findall(r"^(on: .*?)^(?:```|END)$", (CHECKOUT / page).read_text(), re.DOTALL | re.MULTILINE)
    CALLERS |= {f"{page} {number}": text for number, text in enumerate(blocks)}
ACTIONS = [command for command in (*COMMANDS.values(), ROOT) if command.action]


@pytest.mark.parametrize("path", files())
def test_generated_files_are_up_to_date(path: str) -> None:
    assert (CHECKOUT / path).read_text() == files()[path], "run `bin/cicd generate`"


def test_every_action_of_ours_is_in_the_contract() -> None:
    found = {
        str(path.relative_to(CHECKOUT)) for path in [CHECKOUT / "action.yml", *CHECKOUT.glob("actions/**/action.y*ml")]
    }
    assert found == {str(Path(command.action) / "action.yml") for command in ACTIONS}


@pytest.mark.parametrize("command", ACTIONS, ids=lambda command: command.name)
def test_action_and_contract_say_the_same(command: Command) -> None:
    """Read from the file, not from the generator, so that an error of the generator is seen too."""
    action = yaml.safe_load((CHECKOUT / command.action / "action.yml").read_text())
    fields = {input_name(entry.name): entry for entry in input_fields(command)}
    assert set(action["inputs"]) == set(fields)
    for name, entry in fields.items():
        assert action["inputs"][name].get("default", "") == ("" if entry.metadata["required"] else entry.default)
        assert action["inputs"][name]["required"] is entry.metadata["required"]
        assert action["inputs"][name]["description"].startswith(entry.metadata["help"])
    (step,) = action["runs"]["steps"]
    given = {environment_name(entry.name): f"${{{{ inputs.{name} }}}}" for name, entry in fields.items()}
    if command is ROOT:
        token = step["env"].pop("CICD_INPUT_TOKEN")
        del given["CICD_INPUT_TOKEN"]
        told = {one.name for one in COMMANDS.values() if f'"{one.name}"' in token}
        assert told == {one.name for one in COMMANDS.values() if one.permissions} - {"run-suite"}, "no test sees it"
    assert step["env"] == given
    assert step["run"].startswith("exec ")
    outputs = {output.name for output in (*COMMON_OUTPUTS, *command.outputs)}
    assert set(action["outputs"]) == outputs
    assert all(action["outputs"][name]["value"] == f"${{{{ steps.{step['id']}.outputs.{name} }}}}" for name in outputs)


def test_each_error_has_its_own_exit_code_and_reason() -> None:
    kinds = CicdError.__subclasses__()
    assert {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CicdError)} == {
        CicdError,
        *kinds,
    }
    for values in ([kind.code for kind in kinds], [kind.reason for kind in kinds]):
        assert len(set(values)) == len(kinds)
    assert not {0, 1, 3}.intersection(kind.code for kind in kinds)
    assert all(2 <= kind.code < 126 and kind.reason == kind.reason.lower() and kind.__doc__ for kind in kinds)


def test_every_error_is_in_the_reference() -> None:
    reference = (CHECKOUT / "docs" / "reference.md").read_text()
    for kind in CicdError.__subclasses__():
        assert f"| {kind.code} | `{kind.reason}` |" in reference


@pytest.mark.parametrize("text", CALLERS.values(), ids=list(CALLERS))
def test_who_calls_our_workflows_gives_what_they_need(text: str) -> None:
    """GitHub does not start a run whose caller gives less; and who deploys says on which machine."""
    for job in yaml.safe_load(text)["jobs"].values():
        called = yaml.safe_load((CHECKOUT / job["uses"].removeprefix("org/cicd/").removesuffix("@v1")).read_text())
        assert job["permissions"].items() >= permissions(called).items()
        given, known = job.get("with", {}), called[True]["workflow_call"]["inputs"]
        assert given.keys() <= known.keys()
        assert {name for name, about in known.items() if about.get("required")} <= given.keys()
        assert "environment" not in known or "self-hosted" in given["runner"], "engine `process` is one machine"


def test_a_made_pipeline_gives_what_it_calls_needs() -> None:
    called = yaml.safe_load((CHECKOUT / ".github" / "workflows" / "pipeline.yml").read_text())
    assert yaml.safe_load(f"{{{DEPLOYING}, {REPORTING}}}") == permissions(called)


def test_every_variable_of_ours_is_in_the_reference() -> None:
    ours = [path for path in (CHECKOUT / "src" / "cicd").rglob("*.py") if "localhub" not in path.parts]
    text = "".join(path.read_text() for path in ours)
    read = set(re.findall(r"""env(?:\.get\(|\[)["']((?:CICD|GITHUB|RUNNER)_[A-Z_]+)""", text))
    told = " ".join([*VARIABLES, *VARIABLES.values()])
    # The first is between bootstrap and us; the others only make a name or a path nicer.
    unsaid = {"CICD_ENVIRONMENT", "GITHUB_WORKFLOW", "GITHUB_WORKSPACE", "RUNNER_TOOL_CACHE"}
    assert {name for name in read if name not in told} <= unsaid
