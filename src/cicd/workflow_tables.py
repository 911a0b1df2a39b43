"""The reference of the reusable workflows, from their own text."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import yaml

from cicd.core.markdown import table

LEVELS = ("none", "read", "write")


def workflows_section(texts: Mapping[str, str], generic: str) -> str:
    """What each workflow takes, gives and needs.

    Args:
        texts: path → text.
        generic: the one of which those whose names begin alike are copies; of these only the difference is told.
    """
    values = {path: value for path, text in texts.items() if is_reusable(value := yaml.safe_load(text))}
    original = call_of(values[generic])
    parts = []
    for path, value in sorted(values.items()):
        call, name = call_of(value), PurePath(path).name
        copy = path != generic and name.startswith(PurePath(generic).stem)
        head = [f"### {name}", f"`uses: org/cicd/{path}@v1`"]
        parts += [*head, difference(call, original, generic) if copy else tables(call), permissions_line(value)]
    return "\n\n".join(parts)


def is_reusable(workflow: Mapping[Any, Any]) -> bool:
    """Whether others can call it; the rest is for this repository alone."""
    triggers = workflow.get("on", workflow.get(True))
    return isinstance(triggers, dict) and "workflow_call" in triggers


def call_of(workflow: Mapping[Any, Any]) -> dict[str, Any]:
    """Its `workflow_call`; YAML 1.1 takes the key `on` for true."""
    triggers = workflow.get("on", workflow.get(True))
    assert isinstance(triggers, dict), "a reusable workflow"
    return dict(triggers["workflow_call"])


def tables(call: Mapping[str, Any]) -> str:
    inputs: list[tuple[str, ...]] = [
        (f"`{name}`", str(about["description"]), default(about)) for name, about in call["inputs"].items()
    ]
    inputs += [
        (f"secret `{name}`", str(about["description"]), "required" if about["required"] else "")
        for name, about in call.get("secrets", {}).items()
    ]
    found = [table(("input", "what it is", "default"), inputs)]
    outputs: list[tuple[str, ...]] = [
        (f"`{name}`", str(about["description"])) for name, about in call.get("outputs", {}).items()
    ]
    return "\n\n".join([*found, *([table(("output", "what it is"), outputs)] if outputs else [])])


def default(about: Mapping[str, Any]) -> str:
    return "required" if about.get("required") else f"`{about['default']}`" if about["default"] else ""


def difference(call: Mapping[str, Any], original: Mapping[str, Any], generic: str) -> str:
    """What a copy takes otherwise than the original."""
    others = [
        f"`{name}` is required: {about['description']}"
        if about.get("required")
        else f"`{name}` is {default(about)} where it is not given."
        for name, about in call["inputs"].items()
        if about != original["inputs"][name]
    ]
    return " ".join([f"As {PurePath(generic).name}.", *others])


def permissions_line(workflow: Mapping[Any, Any]) -> str:
    """The permissions that a calling job has to give: the union of those of its jobs."""
    line = "`permissions: {" + ", ".join(f"{scope}: {level}" for scope, level in permissions(workflow).items()) + "}`"
    taking = [job["name"] for job in workflow["jobs"].values() if "permissions" not in job]
    return line + (f"; {', '.join(taking)} uses what more there is" if taking else "")


def permissions(workflow: Mapping[Any, Any]) -> dict[str, str]:
    """Of all jobs together: scope → the highest level. A job that asks for none has those of the caller."""
    union: dict[str, str] = {}
    for job in workflow["jobs"].values():
        for scope, level in job.get("permissions", {}).items():
            union[scope] = max(union.get(scope, "none"), level, key=LEVELS.index)
    return union
