"""The config in docs/security-gate.md is one, and the page has every key."""

import re
from pathlib import Path

import msgspec
import yaml

from cicd.core.findings import FindingException, Security, SeverityPolicy
from cicd.core.reading import convert
from cicd.core.scan import PROGRAMS
from cicd.core.security_gate import exception_problem

PAGE = (Path(__file__).parents[2] / "docs" / "security-gate.md").read_text()


def test_the_example_is_a_config() -> None:
    found = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found
    shown = yaml.safe_load(found[1])["suites"]["security"]["security"]
    security = convert(yaml.safe_dump(shown), Security, "docs/security-gate.md")
    assert set(security.scan) == set(PROGRAMS)
    assert [exception_problem(one) for one in security.gate.exceptions] == [None]


def test_every_key_is_described() -> None:
    for kind, prefix in ((Security, ""), (SeverityPolicy, "gate."), (FindingException, "")):
        for entry in msgspec.structs.fields(kind):
            if entry.encode_name != "gate":
                assert f"| `{prefix}{entry.encode_name}` |" in PAGE
