"""Faults on demand."""

import http.client
import time
from typing import Any

import pytest

from tests.localhub.hub import Caller, Hub, R

NEW = {"ref": "main", "required_contexts": [], "environment": "dev"}


def arm(hub: Hub, *faults: dict[str, Any]) -> None:
    hub.admin.expect(200, "PUT", "/_localhub/faults", {"faults": list(faults)})


def fired(hub: Hub) -> list[int]:
    return [fault["fired"] for fault in hub.admin.get("/_localhub/faults")["faults"]]


def outcome(caller: Caller, method: str, target: str, body: Any = None) -> int | str:
    try:
        return caller.call(method, target, body).status
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return "dropped"


def test_skip_and_times(hub: Hub) -> None:
    arm(hub, {"kind": "status", "status": 502, "method": "POST", "path": "*/deployments", "skip": 1, "times": 2})
    assert [outcome(hub.alice, "POST", f"{R}/deployments", NEW) for _ in range(5)] == [201, 502, 502, 201, 201]
    assert outcome(hub.alice, "GET", f"{R}/deployments") == 200
    assert fired(hub) == [2]
    assert len(hub.alice.get(f"{R}/deployments")) == 3


@pytest.mark.parametrize("status", [500, 502, 503])
def test_status(hub: Hub, status: int) -> None:
    arm(hub, {"kind": "status", "status": status, "retry_after": 7})
    reply = hub.alice.call("GET", R)
    assert (reply.status, reply.headers["retry-after"]) == (status, "7")


@pytest.mark.parametrize("kind", ["rate-limit-403", "rate-limit-429"])
def test_rate_limits(hub: Hub, kind: str) -> None:
    arm(hub, {"kind": kind, "retry_after": 3})
    reply = hub.alice.call("GET", R)
    assert reply.status == int(kind[-3:])
    assert "rate limit" in reply.body["message"]
    assert reply.headers["retry-after"] == "3"
    arm(hub, {"kind": "rate-limit-403"})
    assert hub.alice.call("GET", R).headers["x-ratelimit-remaining"] == "0"


def test_drop_before_does_nothing(hub: Hub) -> None:
    arm(hub, {"kind": "drop-before", "method": "POST"})
    assert outcome(hub.alice, "POST", f"{R}/deployments", NEW) == "dropped"
    assert hub.alice.get(f"{R}/deployments") == []


def test_drop_after_write_has_taken_effect(hub: Hub) -> None:
    arm(hub, {"kind": "drop-after-write", "method": "POST"})
    assert outcome(hub.alice, "POST", f"{R}/deployments", NEW) == "dropped"
    assert len(hub.alice.get(f"{R}/deployments")) == 1


def test_hang(hub: Hub) -> None:
    arm(hub, {"kind": "hang", "seconds": 0.3})
    began = time.monotonic()
    assert outcome(hub.alice, "POST", f"{R}/issues", {"title": "x"}) == "dropped"
    assert time.monotonic() - began >= 0.3
    assert hub.alice.get(f"{R}/issues") == []


def test_a_caller_who_gives_up_ends_the_silence(hub: Hub) -> None:
    arm(hub, {"kind": "hang", "seconds": 300})
    where = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=0.2)
    where.request("GET", R, headers={"authorization": f"Bearer {hub.alice.token}"})
    with pytest.raises(TimeoutError):
        where.getresponse()
    where.close()
    assert hub.alice.get(R)["name"] == "shop"


def test_localhubs_own_paths_only_by_name(hub: Hub) -> None:
    run = hub.run()
    arm(hub, {"kind": "status", "times": None})
    assert outcome(run.caller, "GET", R) == 500
    assert outcome(run.caller, "POST", f"/_localhub/runs/{run.id}/jobs", {"name": "x"}) == 201
    arm(hub, {"kind": "status", "path": "/_localhub/runs/*"})
    assert outcome(run.caller, "POST", f"/_localhub/runs/{run.id}/jobs", {"name": "x"}) == 500


def test_faults_are_logged_and_removed(hub: Hub) -> None:
    arm(hub, {"kind": "drop-before", "times": None}, {"kind": "status"})
    outcome(hub.alice, "GET", R)
    log = hub.admin.get("/_localhub/calls")
    assert (log["calls"][-1]["status"], log["calls"][-1]["fault"]) == (0, "drop-before")
    assert fired(hub) == [1, 0], "the first rule that is due strikes, alone"
    hub.admin.expect(204, "DELETE", "/_localhub/faults")
    assert outcome(hub.alice, "GET", R) == 200


@pytest.mark.parametrize(
    "wrong", [{"kind": "explode"}, {"kind": "status", "stauts": 1}, {"kind": "hang", "seconds": "x"}]
)
def test_wrong_rules_are_refused(hub: Hub, wrong: dict[str, Any]) -> None:
    assert hub.admin.call("PUT", "/_localhub/faults", {"faults": [wrong]}).status == 422
