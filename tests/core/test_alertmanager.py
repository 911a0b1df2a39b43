"""Alertmanager's messages, and the rollbacks that they ask for."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.alertmanager import Asked, asked_for, read_message
from cicd.errors import UsageError

LABELS = {"alertname": "HighErrorRate", "environment": "production", "release": "0d909a4b9cbf"}


def alert(status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {name: value for name, value in {**LABELS, **labels}.items() if value},
        "annotations": {"summary": "8% errors\nsince 3:12"},
        "startsAt": "2026-11-23T03:12:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "ab12",
    }


def message(*alerts: dict[str, Any], version: str = "4") -> bytes:
    return json.dumps({"version": version, "groupKey": "{}", "status": "firing", "alerts": alerts}).encode()


def test_a_firing_alert_asks_for_a_rollback() -> None:
    asked, others = asked_for(read_message(message(alert())), "acme/shop")
    assert others == []
    name = "HighErrorRate-ab12-2026-11-23T03:12:00Z"
    assert asked == [Asked("acme/shop", "production", "0d909a4b9cbf", name, "8% errors since 3:12")]
    assert set(asked[0].payload) == {"environment", "release", "alert", "reason"}


def test_what_is_resolved_asks_for_nothing() -> None:
    assert asked_for(read_message(message(alert("resolved"))), "acme/shop") == ([], [])


def test_a_label_names_another_repository() -> None:
    asked, _ = asked_for(read_message(message(alert(repository="acme/other"))), "acme/shop")
    assert asked[0].repository == "acme/other"


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"release": ""}, "HighErrorRate has no label `release`"),
        ({"release": "", "environment": ""}, "no label `environment` and no label `release`"),
        ({"repository": "../../user"}, "which is no owner/name"),
        ({"repository": "acme/a/b"}, "which is no owner/name"),
    ],
)
def test_what_cannot_be_meant_is_told(labels: dict[str, str], why: str) -> None:
    asked, others = asked_for(read_message(message(alert(**labels), alert())), "acme/shop")
    assert len(asked) == 1
    assert why in others[0]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"version": "4"}', b'{"version": "4", "alerts": 1}', message(version="5")]
)
def test_what_alertmanager_does_not_send(body: bytes) -> None:
    with pytest.raises(UsageError):
        read_message(body)


@given(st.binary())
def test_no_message_is_too_odd(body: bytes) -> None:
    with contextlib.suppress(UsageError):
        assert asked_for(read_message(body), "acme/shop")
