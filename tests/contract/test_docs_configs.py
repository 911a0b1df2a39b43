"""The configs that the docs show are ones: by the JSON Schema, and by what must hold between their values."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cicd.core.config_rules import parse_config

CHECKOUT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((CHECKOUT / "docs" / "cicd.schema.json").read_text())
PAGES = [CHECKOUT / "README.md", *sorted(CHECKOUT.glob("docs/*.md"))]
SHOWN = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL))
    if re.search(r"^version: 1$", block, re.MULTILINE)
]


def test_some_are_shown() -> None:
    assert {str(one.id).partition("-")[0] for one in SHOWN} >= {"README.md", "compose.md"}


@pytest.mark.parametrize("text", SHOWN)
def test_a_config_in_the_docs_is_one(text: str) -> None:
    parse_config(text, "docs")
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(text))


def fragments() -> Iterator[Any]:
    """Parts of a config: all of their keys are a config's, and neither `version` nor a workflow's are among them."""
    for page in PAGES:
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)):
            part = yaml.safe_load(block)
            if isinstance(part, dict) and set(part) <= set(SCHEMA["$defs"]["Config"]["properties"]) - {"version"}:
                yield pytest.param(part, id=f"{page.name}-{number}")


@pytest.mark.parametrize("part", list(fragments()))
def test_a_part_of_a_config_is_one(part: dict[str, Any]) -> None:
    plain = json.loads(json.dumps(part, default=str))  # JSON has no dates
    jsonschema.Draft202012Validator(SCHEMA).validate({"version": 1, "app": "docs", **plain})


def test_parts_are_found() -> None:
    assert len(list(fragments())) >= 8
