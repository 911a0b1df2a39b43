"""Workflows that the docs show, the example has or we ship call what there is: inputs, secrets, enough permissions."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.test_layout import WORKFLOWS, nodes
from tests.contract.test_links import CHECKOUT, PAGES

USES = re.compile(r"org/cicd(/[^@]*)?@")
GRANTS = {"none": 0, "read": 1, "write": 2}


def blocks(page: Path) -> list[Any]:
    """The YAML of a page, or of a file that is nothing else."""
    text = page.read_text()
    found = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if page.suffix == ".md" else [text]
    return [yaml.safe_load(one) for one in found]


def calls(content: Any) -> Iterator[dict[str, Any]]:
    """Steps and jobs of a block that use something of ours."""
    return (node for node in nodes(content) if USES.match(str(node.get("uses"))))


SHOWN = [
    pytest.param(call, id=f"{page.name}-{number}-{call['uses']}")
    for page in [*PAGES, *WORKFLOWS]
    for number, content in enumerate(blocks(page))
    for call in calls(content)
]


def called(uses: str) -> dict[str, Any]:
    """What a `uses:` of ours names. A workflow's `on` is True in YAML 1.1."""
    match = USES.match(uses)
    path = CHECKOUT / ((match[1] or "").lstrip("/") if match else uses.removeprefix("./").removeprefix("$/"))
    content: dict[Any, Any] = yaml.safe_load((path / "action.yml" if path.is_dir() else path).read_text())
    return {**content, **(content.get(True, {}).get("workflow_call") or {})}


def is_ours(uses: str) -> bool:
    return uses.startswith(("./.github/workflows/", "$/.github/workflows/")) or bool(USES.match(uses))


def wanted(workflow: dict[str, Any]) -> dict[str, str]:
    """The most that any job wants, those of workflows that it calls included: GitHub starts none of it with less."""
    most: dict[str, str] = {}
    for job in workflow["jobs"].values():
        given = job.get("permissions", workflow.get("permissions", {}))
        inner = wanted(called(job["uses"])) if is_ours(job.get("uses", "")) else {}
        for name, grant in [*given.items(), *inner.items()]:
            most[name] = max(grant, most.get(name, "none"), key=GRANTS.__getitem__)
    return most


def problems(call: dict[str, Any]) -> list[str]:
    """What GitHub would say to such a step or job."""
    callee = called(call["uses"])
    inputs, given = callee.get("inputs") or {}, call.get("with") or {}
    found = [f"no input {name}" for name in given if name not in inputs]
    found += [f"input {name} is missing" for name, one in inputs.items() if one.get("required") and name not in given]
    secrets = call.get("secrets") or {}
    found += [f"no secret {name}" for name in secrets if secrets != "inherit" and name not in callee.get("secrets", {})]
    if "jobs" in callee and "permissions" in call:
        has = call["permissions"]
        found += [
            f"permission {name}: {grant} is missing"
            for name, grant in wanted(callee).items()
            if GRANTS[has.get(name, "none")] < GRANTS[grant]
        ]
    return found


@pytest.mark.parametrize("call", SHOWN)
def test_the_call_would_start(call: dict[str, Any]) -> None:
    assert problems(call) == []


def test_calls_are_found_and_a_wrong_one_is_told() -> None:
    assert len(SHOWN) >= 40
    wrong = {"uses": "org/cicd/.github/workflows/approve.yml@v1", "with": {"enviroment": "x"}, "permissions": {}}
    told = problems({**wrong, "secrets": {"NOT_THERE": ""}})
    assert {"no input enviroment", "input issue is missing", "no secret NOT_THERE"} <= set(told)
    assert "permission issues: write is missing" in told
