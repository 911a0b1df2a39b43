import json
from typing import Any

import msgspec
import pytest

from cicd.core.ledger import (
    STATES,
    Payload,
    Verdict,
    current,
    description,
    last_healthy,
    poisoned,
    read_deployment,
    stable_images,
)
from tests.core.histories import ledger, release


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("v1 stable", "v1"),
        ("v1 stable, v2 stable", "v2"),
        ("v1 stable, v2 failed", "v1"),
        ("v1 stable, v2 rolled-back", "v1"),
        ("v1 stable, v2 inconclusive", "v2"),
        ("v1 stable, v2 in-progress", "v1"),
        ("v1 stable, v2 rolled-back, v1 stable", "v1"),
        ("v1 failed", None),
    ],
)
def test_current(history: str, expected: str | None) -> None:
    found = current(ledger(history), "production")
    assert (found.release.version if found else None) == expected


@pytest.mark.parametrize(
    ("history", "running", "expected"),
    [
        ("v1 stable, v2 stable", "v2", ["v1"]),
        ("v1 stable, v2 failed, v3 stable", "v3", ["v1"]),
        ("v1 stable, v2 rolled-back, v1 stable", "v1", []),
        ("v1 stable, v2 stable, v3 stable", "v3", ["v2", "v1"]),
        ("v1 stable, v2 stable, v2 rolled-back, v3 stable", "v3", ["v1"]),
        ("v1 stable", "v1", []),
        ("v1 failed:unhealthy, v1 stable, v2 stable", "v2", ["v1"]),
        ("v1 stable, v2 stable, v1 failed:port-in-use", "v2", ["v1"]),
    ],
)
def test_last_healthy_is_never_one_that_failed(history: str, running: str, expected: list[str]) -> None:
    found = last_healthy(ledger(history), "production", release(running).id)
    assert [one.version for one in found] == expected


def test_another_environments_deployments_do_not_count() -> None:
    assert current(ledger("v1 stable", "staging"), "production") is None
    assert stable_images(ledger("v1 stable", "staging"), "staging") == {"sha256:v1"}


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("v1 failed:unhealthy", {"sha256:v1"}),
        ("v1 failed:migration-failed", {"sha256:v1"}),
        ("v1 failed:port-in-use", set()),
        ("v1 failed:interrupted", set()),
        ("v1 rolled-back:interrupted", set()),
        ("v1 failed:unhealthy, v1 failed:port-in-use", {"sha256:v1"}),
        ("v1 failed:unhealthy, v1 stable", set()),
        ("v1 stable, v1 rolled-back", {"sha256:v1"}),
        ("v1 rolled-back, v1 in-progress", {"sha256:v1"}),
    ],
)
def test_poisoned(history: str, expected: set[str]) -> None:
    assert {content[0] for content in poisoned(ledger(history), "production")} == expected


def node(**changes: Any) -> dict[str, Any]:
    payload = Payload(kind="promote", release=release("v1"), release_id=release("v1").id, key="k")
    text = msgspec.json.encode(payload).decode()
    values = {
        "databaseId": 7,
        "environment": "production",
        "task": "cicd",
        "createdAt": "2026-01-01T00:00:00Z",
        "payload": text,
        "statuses": {"nodes": [{"state": "SUCCESS", "description": "stable: fine", "createdAt": "1"}]},
    }
    return {**values, **changes}


def test_a_node_is_read() -> None:
    found = read_deployment(node())
    assert found is not None
    assert (found.id, found.verdict, found.note, found.release.version) == (7, "stable", "fine", "v1")


def test_a_payload_that_is_encoded_twice_is_read() -> None:
    assert read_deployment(node(payload=json.dumps(node()["payload"]))) is not None


@pytest.mark.parametrize("payload", [None, "", "{}", "[]", "not json", "[" * 100_000, '{"cicd": 2}', 5, '"\\"\\""'])
def test_a_foreign_payload_is_none_of_ours(payload: Any) -> None:
    assert read_deployment(node(payload=payload)) is None


def test_a_foreign_task_is_none_of_ours() -> None:
    assert read_deployment(node(task="deploy")) is None


def test_githubs_own_inactive_status_does_not_hide_the_verdict() -> None:
    nodes = [
        {"state": "INACTIVE", "description": "", "createdAt": "3"},
        {"state": "SUCCESS", "description": "stable: fine", "createdAt": "2"},
        {"state": "IN_PROGRESS", "description": "in-progress: x", "createdAt": "1"},
    ]
    found = read_deployment(node(statuses={"nodes": nodes}))
    assert found is not None
    assert found.verdict == "stable"


def test_of_two_verdicts_within_one_second_the_first_given_is_the_newer() -> None:
    nodes = [
        {"state": "INACTIVE", "description": "rolled-back: to v1", "createdAt": "2"},
        {"state": "SUCCESS", "description": "stable: fine", "createdAt": "2"},
    ]
    found = read_deployment(node(statuses={"nodes": nodes}))
    assert found is not None
    assert found.verdict == "rolled-back"


@pytest.mark.parametrize("verdict", ["stable", "failed", "inconclusive", "rolled-back"])
def test_a_description_is_read_back_and_fits(verdict: Verdict) -> None:
    text = description(verdict, "x" * 500)
    assert len(text) == 140
    status = {"state": STATES[verdict].upper(), "description": text, "createdAt": "1"}
    found = read_deployment(node(statuses={"nodes": [status]}))
    assert found is not None
    assert found.verdict == verdict
