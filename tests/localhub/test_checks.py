"""Commit statuses, check runs and annotations."""

from typing import Any

import pytest

from tests.localhub.hub import Hub, R

NOTE = {"path": "a.txt", "start_line": 1, "end_line": 1, "annotation_level": "warning", "message": "look"}


def output(annotations: int = 0, **more: Any) -> dict[str, Any]:
    return {"title": "t", "summary": "s", "annotations": [NOTE] * annotations, **more}


def test_combined_status(hub: Hub) -> None:
    def state() -> str:
        return str(hub.alice.get(f"{R}/commits/main/status")["state"])

    sha = hub.git("rev-parse", "main")
    assert state() == "pending"
    for context, sent, wanted in [
        ("a", "success", "success"),
        ("b", "pending", "pending"),
        ("c", "error", "failure"),
        ("c", "success", "pending"),
        ("b", "success", "success"),
    ]:
        hub.alice.post(f"{R}/statuses/{sha}", {"state": sent, "context": context})
        assert state() == wanted
    assert hub.alice.get(f"{R}/commits/main/status")["total_count"] == 3
    assert len(hub.alice.get(f"{R}/commits/{sha[:10]}/statuses")) == 5


@pytest.mark.parametrize(
    "body",
    [{"state": "great"}, {"state": "success", "description": "x" * 141}, {"state": "success", "target_url": "x"}],
)
def test_wrong_statuses(hub: Hub, body: dict[str, str]) -> None:
    hub.alice.post(f"{R}/statuses/{hub.git('rev-parse', 'main')}", body, 422)
    hub.alice.post(f"{R}/statuses/{'0' * 40}", {"state": "success"}, 422)


def test_a_check_run(hub: Hub) -> None:
    made = hub.alice.post(f"{R}/check-runs", {"name": "lint", "head_sha": "main", "output": output(50)})
    assert (made["status"], made["conclusion"], made["output"]["annotations_count"]) == ("queued", None, 50)
    target = f"{R}/check-runs/{made['id']}"
    hub.alice.expect(200, "PATCH", target, {"status": "in_progress"})
    done = hub.alice.expect(200, "PATCH", target, {"conclusion": "failure", "output": output(5)})
    assert (done["status"], done["conclusion"], done["output"]["annotations_count"]) == ("completed", "failure", 55)
    assert done["completed_at"]
    assert len(hub.alice.get(f"{target}/annotations?per_page=100")) == 55
    hub.alice.post(f"{R}/check-runs", {"name": "lint", "head_sha": "main", "conclusion": "success"})
    listed = hub.alice.get(f"{R}/commits/main/check-runs")
    assert [run["conclusion"] for run in listed["check_runs"]] == ["success"], "the newest of each name"
    assert hub.alice.get(f"{R}/commits/main/check-runs?filter=all&status=completed")["total_count"] == 2
    assert hub.alice.get(f"{R}/commits/main/check-runs?check_name=none")["total_count"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"output": output(51)},
        {"output": output(summary="x" * 65_536)},
        {"output": output(text="x" * 65_536)},
        {"status": "completed"},
        {"head_sha": "nowhere"},
        {"name": ""},
        {"output": {"title": "no summary"}},
        {"conclusion": "splendid"},
    ],
)
def test_refusals(hub: Hub, change: dict[str, Any]) -> None:
    hub.alice.post(f"{R}/check-runs", {"name": "lint", "head_sha": "main"} | change, 422)
    assert hub.alice.get(f"{R}/commits/main/check-runs")["total_count"] == 0


def test_limits_are_reachable(hub: Hub) -> None:
    big = output(50, summary="x" * 65_535, text="ä" * 65_535)
    hub.alice.post(f"{R}/check-runs", {"name": "lint", "head_sha": "main", "output": big})
