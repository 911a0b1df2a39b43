"""What follows from the contract is as it would be made, and nothing is there besides."""

from pathlib import Path

import pytest
import yaml

from cicd import errors
from cicd.contract import COMMANDS, COMMON_OUTPUTS, ROOT, Command, environment_name, input_fields, input_name
from cicd.errors import CicdError
from cicd.generate import files

CHECKOUT = Path(__file__).resolve().parents[2]
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
    assert step["env"] == {environment_name(entry.name): f"${{{{ inputs.{name} }}}}" for name, entry in fields.items()}
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
