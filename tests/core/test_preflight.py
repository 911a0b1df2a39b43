from typing import Any

import msgspec
import pytest

from cicd.core.approval import Protection
from cicd.core.config_rules import parse_config
from cicd.core.migrations import Migration
from cicd.core.preflight import Facts, first_of, refusals
from cicd.errors import Locked
from tests.core.histories import ledger, release

CONFIG_TEXT = """
version: 1
app: x
deploy: {run: x}
environments:
  staging: {ports: {router: 1, blue: 2, green: 3}}
  production: {after: staging, ports: {router: 4, blue: 5, green: 6}}
"""


def facts(text: str = CONFIG_TEXT, **known: Any) -> Facts:
    values: dict[str, Any] = {"release": release("v1"), "now": 1_800_000_000.0, **known}
    return Facts(config=parse_config(text, "cicd.yml"), environment="production", **values)


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
    found = refusals(facts(ledger=known, relation=relation))
    assert [error.reason for error in found] == expected


def test_all_refusals_are_said_at_once() -> None:
    known = ledger("v2 stable, v1 failed:unhealthy") + ledger("v1 failed:unhealthy", "staging")
    error = first_of(refusals(facts(ledger=known, relation="behind")))
    assert error.reason == "not-stable-before"
    assert "older than" in str(error)
    assert "failed in `production` before" in str(error)


def test_a_release_that_was_taken_back_by_hand_did_not_fail() -> None:
    known = ledger("v2 stable, v1 rolled-back, v2 stable")
    back = msgspec.structs.replace(known[0].payload, kind="rollback", replaces=release("v1").id, reason="too friendly")
    known[0] = msgspec.structs.replace(known[0], payload=back)
    [error] = refusals(facts(ledger=known + STAGED))
    assert (error.reason, error.cause) == ("poisoned", "too friendly")
    assert "was taken back from `production`" in error.what
    assert f"--to {release('v1').id}" in error.next_step


STAGED = ledger("v1 stable", "staging")
OPEN = "{after: staging,"


def reasons(text: str = CONFIG_TEXT, *, force: bool = False, **known: Any) -> list[str]:
    return [error.reason for error in refusals(facts(text, ledger=STAGED, **known), force=force)]


@pytest.mark.parametrize(
    ("protection", "expected"),
    [(None, ["not-protected"]), (Protection(), ["not-protected"]), (Protection(reviewers=["rita"]), [])],
)
def test_an_environment_is_protected_as_the_config_demands(protection: Protection | None, expected: list[str]) -> None:
    assert reasons(CONFIG_TEXT.replace(OPEN, f"{OPEN} approval: required,"), protection=protection) == expected


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ({"test": "success", "lint": "skipped"}, []),
        ({"test": "success"}, ["checks-not-green"]),
        ({"test": "success", "lint": "failure"}, ["checks-not-green"]),
        ({"test": "in_progress", "lint": "success"}, ["checks-not-green"]),
    ],
)
def test_checks_that_the_config_demands(checks: dict[str, str], expected: list[str]) -> None:
    assert reasons(CONFIG_TEXT.replace(OPEN, f"{OPEN} checks: [test, lint],"), checks=checks) == expected


def test_a_full_disk() -> None:
    assert reasons(free=10, needed=11) == ["disk-full"]
    assert reasons(free=11, needed=11) == []


def test_a_freeze_window_is_gone_past_by_force() -> None:
    frozen = CONFIG_TEXT + "freeze: [{from: 2026-01-01, to: 2028-01-01, reason: audit}]\n"
    assert reasons(frozen) == ["frozen"]
    assert reasons(frozen, force=True) == []


def test_what_failed_while_the_facts_were_looked_up_is_told_with_the_rest() -> None:
    locked = Locked("held", next_step="wait")
    assert reasons(release=None, found=[locked], free=1, needed=2) == ["locked", "disk-full"]
    error = first_of(refusals(facts(ledger=STAGED, found=[locked], free=1, needed=2)))
    assert (error.code, error.next_step) == (35, "wait; free space, or lower `deploy.keep`")


def test_a_migration_that_breaks_the_code_that_runs() -> None:
    drop = Migration(revision="0002", down="0001", kind="irreversible", breaks=["drops column notes.a"])
    known = [*ledger("v0 stable"), *STAGED]
    found = refusals(facts(ledger=known, migrations=[drop]))
    assert [error.reason for error in found] == ["migration-breaks"]
    assert "0002 drops column notes.a" in str(found[0])
    assert refusals(facts(ledger=known, migrations=[drop]), force=True) == []
    assert refusals(facts(ledger=STAGED, migrations=[drop])) == [], "nothing runs that could break"
