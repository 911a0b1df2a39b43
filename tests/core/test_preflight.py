import pytest

from cicd.core.config import parse_config
from cicd.core.preflight import first_of, refusals
from tests.core.histories import ledger, release

CONFIG = parse_config(
    """
version: 1
app: x
deploy: {run: x}
environments:
  staging: {ports: {router: 1, blue: 2, green: 3}}
  production: {after: staging, ports: {router: 4, blue: 5, green: 6}}
""",
    "cicd.yml",
)


@pytest.mark.parametrize(
    ("staging", "production", "relation", "expected"),
    [
        ("v1 stable", "", "", []),
        ("v2 stable", "", "", ["not-stable-before"]),
        ("v1 failed:unhealthy", "", "", ["not-stable-before"]),
        ("v1 stable, v1 rolled-back", "", "", ["not-stable-before"]),
        ("v1 stable", "v2 stable", "ahead", []),
        ("v1 stable", "v2 stable", "diverged", []),
        ("v1 stable", "v2 stable", "behind", ["stale"]),
        ("v1 stable", "v1 rolled-back", "", ["poisoned"]),
        ("v1 failed:unhealthy", "v2 stable, v1 failed:unhealthy", "behind", ["not-stable-before", "stale", "poisoned"]),
    ],
)
def test_refusals(staging: str, production: str, relation: str, expected: list[str]) -> None:
    known = (ledger(production) if production else []) + ledger(staging, "staging")
    found = refusals(CONFIG, "production", release("v1"), known, relation)
    assert [error.reason for error in found] == expected


def test_all_refusals_are_said_at_once() -> None:
    known = ledger("v2 stable, v1 failed:unhealthy") + ledger("v1 failed:unhealthy", "staging")
    error = first_of(refusals(CONFIG, "production", release("v1"), known, "behind"))
    assert error.reason == "not-stable-before"
    assert "older than" in str(error)
    assert "failed in `production` before" in str(error)
