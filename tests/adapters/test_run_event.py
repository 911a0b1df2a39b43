"""What a run has tested: whose commit it is that shows it, and who may say so."""

import json
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters.run_event import Subject, tested
from tests.fakes import runner

HEAD, MERGE, CI = "a" * 40, "b" * 40, ".github/workflows/ci.yml"
ABOUT = {
    "GITHUB_SHA": MERGE,
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_WORKFLOW_REF": f"acme/shop/{CI}@refs/heads/main",
    "GITHUB_WORKFLOW": "ci",
}


def event(folder: Path, repo: Any, **env: str) -> Subject | None:
    path = folder / "event.json"
    path.write_text(json.dumps({"pull_request": {"number": 5, "head": {"sha": HEAD, "repo": repo}, "more": [1]}}))
    given = {**ABOUT, "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(path), **env}
    return tested(runner(given))


@pytest.mark.parametrize(
    ("repo", "of_a_fork"), [({"full_name": "Acme/Shop"}, False), ({"full_name": "carol/shop"}, True), (None, True)]
)
def test_a_pull_request_is_shown_at_its_head(tmp_path: Path, repo: Any, of_a_fork: bool) -> None:
    assert event(tmp_path, repo) == Subject(HEAD, 5, "", of_a_fork, CI)


def test_pull_request_target_is_nobodys(tmp_path: Path) -> None:
    assert event(tmp_path, {"full_name": "acme/shop"}, GITHUB_EVENT_NAME="pull_request_target") is None


@pytest.mark.parametrize("text", [b"", b"[]", b'{"pull_request": 3}', b"\xff"])
def test_an_event_that_cannot_be_read_names_no_pull_request(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "event").write_bytes(text)
    given = {**ABOUT, "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(tmp_path / "event")}
    assert tested(runner(given)) == Subject(MERGE, 0, "", False, CI)


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/a/b"}, Subject(MERGE, 0, "a/b", False, CI)),
        ({"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/tags/v1"}, Subject(MERGE, 0, "", False, CI)),
        ({"GITHUB_EVENT_NAME": "merge_group", "GITHUB_REF": "refs/heads/q"}, Subject(MERGE, 0, "", False, CI)),
        ({"GITHUB_EVENT_NAME": "push", "GITHUB_WORKFLOW_REF": ""}, Subject(MERGE, 0, "", False, "ci")),
        ({"GITHUB_SHA": ""}, None),
    ],
)
def test_other_events(env: dict[str, str], wanted: Subject | None) -> None:
    assert tested(runner({**ABOUT, **env})) == wanted
