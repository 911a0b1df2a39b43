"""Makes what follows from the contract and the config types: action.yml files, the JSON Schema, the reference page."""

import json
from pathlib import Path
from typing import Any

import yaml

from cicd.contract import (
    COMMANDS,
    COMMON_OUTPUTS,
    ROOT,
    VARIABLES,
    Command,
    environment_name,
    input_fields,
    input_name,
    with_token,
)
from cicd.core.config import config_schema
from cicd.core.markdown import table
from cicd.core.reading import DURATION, MOMENT, PERCENT
from cicd.errors import CicdError
from cicd.workflow_tables import workflows_section

CHECKOUT = Path(__file__).resolve().parents[2]
WORKFLOWS = ".github/workflows"
WORDS = {DURATION: "duration", PERCENT: "percentage", MOMENT: "day or time"}
HEADER = "# Made by `bin/cicd generate` from src/cicd/contract.py; a test holds the two equal.\n"


def action(command: Command) -> dict[str, Any]:
    """The action.yml of a command, as a value."""
    inputs = {
        input_name(entry.name): {
            "description": described(entry.metadata["help"], entry.metadata["choices"]),
            "required": entry.metadata["required"],
            **({} if entry.metadata["required"] else {"default": entry.default}),
        }
        for entry in input_fields(command)
    }
    outputs = {
        output.name: {"description": output.help, "value": "${{ steps.cicd.outputs.%s }}" % output.name}
        for output in (*COMMON_OUTPUTS, *command.outputs)
    }
    step = {
        "id": "cicd",
        "shell": "bash",
        "env": {
            environment_name(entry.name): value(command, input_name(entry.name)) for entry in input_fields(command)
        },
        "run": run_line(command),
    }
    return {
        "name": f"cicd {command.name}" if command is not ROOT else "cicd",
        "description": command.help,
        "inputs": inputs,
        "outputs": outputs,
        "runs": {"using": "composite", "steps": [step]},
    }


def value(command: Command, name: str) -> str:
    """What the step is given of an input. The root action hands the job's token only to commands that ask GitHub."""
    if command is ROOT and name == "token":
        known = json.dumps(with_token())
        return "${{ inputs.token || (contains(fromJSON('%s'), inputs.command) && github.token) || '' }}" % known
    return "${{ inputs.%s }}" % name


def described(help: str, choices: tuple[str, ...]) -> str:
    return help + (f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else "")


def run_line(command: Command) -> str:
    """exec, so that the runner's SIGINT on cancel reaches us and not a shell."""
    up = "" if command.action == "." else "/../.."
    name = "from-inputs" if command is ROOT else command.name
    return f'exec python3 -I -S "$GITHUB_ACTION_PATH{up}/bin/bootstrap" {name}'


def action_yaml(command: Command) -> str:
    """The text of a command's action.yml."""
    return HEADER + yaml.safe_dump(action(command), sort_keys=False, width=120, allow_unicode=True)


def section(command: Command) -> str:
    """The part of the reference page that describes one command."""
    inputs: list[tuple[str, ...]] = [
        (
            f"`{input_name(entry.name)}`",
            described(entry.metadata["help"], entry.metadata["choices"]),
            "required" if entry.metadata["required"] else f"`{entry.default}`" if entry.default else "",
        )
        for entry in input_fields(command)
    ]
    outputs: list[tuple[str, ...]] = [
        (f"`{output.name}`", output.help) for output in (*COMMON_OUTPUTS, *command.outputs)
    ]
    where = "`bin/cicd " + command.name + "`" if not command.action else f"`uses: org/cicd/{command.action}@v1`"
    if command is ROOT:
        where = "`uses: org/cicd@v1`"
    parts = [f"## {command.name}", f"{command.help} {where}"]
    parts += [table(("input", "what it is", "default"), inputs), table(("output", "what it is"), outputs)]
    return "\n\n".join(parts)


def exit_codes() -> str:
    """The table of every expected error."""
    rows: list[tuple[str, ...]] = [
        (str(error.code), f"`{error.reason}`", (error.__doc__ or "").strip())
        for error in sorted(CicdError.__subclasses__(), key=lambda error: error.code)
    ]
    return table(("exit code", "reason-code", "meaning"), rows)


def token_permissions() -> str:
    """The table of what each command's token must be allowed."""
    rows: list[tuple[str, ...]] = [
        (f"`{command.name}`", "; ".join(f"`{one.scope}`: {one.why}" for one in command.permissions) or "none")
        for command in COMMANDS.values()
    ]
    return table(("command", "permissions of its token"), rows)


def variables() -> str:
    """The table of what is read from the environment."""
    return table(("variable", "what it is"), [(f"`{name}`", help) for name, help in VARIABLES.items()])


def reference(workflows: dict[str, str]) -> str:
    """docs/reference.md. `workflows`: path → text."""
    parts = ["# Reference", "Made by `bin/cicd generate` from the contract and the workflows; do not edit by hand."]
    parts += [section(command) for command in (*COMMANDS.values(), ROOT)]
    parts += ["## Reusable workflows"]
    parts += ["The permissions are those that the calling job has to give; with fewer GitHub does not start the run."]
    parts += [workflows_section(workflows, f"{WORKFLOWS}/deploy.yml")]
    parts += ["## Permissions of the token", "A checkout needs `contents: read` besides.", token_permissions()]
    parts += ["## Variables", variables(), "## Exit codes and reason codes", exit_codes()]
    return "\n\n".join(parts) + "\n"


def schema_text() -> str:
    """JSON Schema of `.github/cicd.yml`, for editors."""
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**draft, **config_schema()}, indent=2) + "\n"


def configuration() -> str:
    """docs/configuration.md: every key, by section, from the types that read it."""
    definitions = config_schema()["$defs"]
    parts = [
        "# Configuration: `.github/cicd.yml`",
        "Made by `bin/cicd generate` from the config's types; do not edit by hand.",
    ]
    parts.append(
        "Durations are written as `200ms`, `60s`, `30m`, `2h` or `1d`, percentages as `85` or `85%`. "
        "An unknown key is an error that names its path and the nearest valid name. A whole example: "
        "[examples/assistant-api/.github/cicd.yml](../examples/assistant-api/.github/cicd.yml)."
    )
    for name in ("Config", *(name for name in definitions if name != "Config")):
        about = definitions[name]
        required = set(about.get("required", []))
        rows: list[tuple[str, ...]] = [
            (f"`{key}`", kind_of(entry), "required" if key in required else f"`{json.dumps(entry.get('default'))}`")
            for key, entry in about["properties"].items()
        ]
        parts += [f"## {name}", " ".join(about["description"].split()), table(("key", "is", "default"), rows)]
    return "\n\n".join(parts) + "\n"


def kind_of(entry: dict[str, Any]) -> str:
    """A JSON Schema type in words."""
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(kind_of(one) for one in entry["anyOf"]))
    if "$ref" in entry:
        name = entry["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in entry:
        return ", ".join(f"`{choice}`" for choice in entry["enum"])
    if entry.get("pattern") in WORDS:
        return WORDS[entry["pattern"]]
    if entry.get("type") == "array":
        return f"list of {kind_of(entry['items'])}"
    if isinstance(entry.get("additionalProperties"), dict):
        return f"mapping of names to {kind_of(entry['additionalProperties'])}"
    return {"null": "nothing", "boolean": "true or false"}.get(str(entry.get("type")), str(entry.get("type")))


DEPLOYS = {"dev": "dev", "stage": "staging", "prod": "production"}  # file → environment that it is for


def deploy_workflow(generic: str, file: str, environment: str) -> str:
    """deploy-<file>.yml from deploy.yml: the environment has a default, and all but the first one demand the image.

    They are copies, not callers of deploy.yml: act loses the result of a called workflow that calls another.
    """
    text = generic.partition("name: deploy\n")[2]
    text = text.replace(
        "        type: string\n        required: true\n", f"        type: string\n        default: {environment}\n", 1
    )
    if environment != "dev":
        text = text.replace(
            """description: "Image by digest; empty: it is built from this commit."
        type: string
        default: ""
""",
            """description: Image by digest, as the environment before gave it.
        type: string
        required: true
""",
        )
    return f"# Made by `bin/cicd generate` from deploy.yml; a test holds them equal.\nname: deploy-{file}\n{text}"


def files() -> dict[str, str]:
    """Every generated file: path below the checkout → text."""
    made = {
        str(Path(command.action) / "action.yml"): action_yaml(command)
        for command in (*COMMANDS.values(), ROOT)
        if command.action
    }
    written = {
        f"{WORKFLOWS}/{path.name}": path.read_text()
        for path in (CHECKOUT / WORKFLOWS).glob("*.yml")
        if path.stem.removeprefix("deploy-") not in DEPLOYS
    }
    generic = written[f"{WORKFLOWS}/deploy.yml"]
    copies = {
        f"{WORKFLOWS}/deploy-{file}.yml": deploy_workflow(generic, file, environment)
        for file, environment in DEPLOYS.items()
    }
    docs = {"docs/reference.md": reference({**written, **copies}), "docs/configuration.md": configuration()}
    return {**made, **copies, **docs, "docs/cicd.schema.json": schema_text()}


def write(checkout: Path) -> list[str]:
    """Write the files that differ; gives their paths."""
    changed = []
    for path, text in files().items():
        target = checkout / path
        if not target.exists() or target.read_text() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            changed.append(path)
    return changed
