"""The demo's search for secrets finds them where they must not be."""

import os
from pathlib import Path
from typing import Any

import pytest

from cicd.demo.leaks import leaks
from cicd.demo.pipeline import Played
from cicd.demo.stage import Stage
from cicd.demo.story import Told

PASSWORD, TOKEN = "correct-horse-battery", "ghs_of_the_run"


class _Server:
    password = PASSWORD
    url = f"redis://:{PASSWORD}@127.0.0.1:1"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    servers: Any = {"postgres": _Server(), "redis": _Server()}
    hub: Any = None
    return Stage(tmp_path, hub, {"dana": "token-of-dana"}, servers, {})


def put(stage: Stage, name: str, text: str, mode: int = 0o600) -> None:
    path = stage.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.chmod(path, mode)


def test_settings_hold_secrets_for_their_owner_alone(stage: Stage) -> None:
    name = "targets/api/dev/releases/abc/settings.json"
    put(stage, name, PASSWORD)
    assert leaks(stage, Told()) == []
    (stage.folder / name).chmod(0o640)
    assert leaks(stage, Told()) == [f"{name}: password of postgres", f"{name}: password of redis"]


@pytest.mark.parametrize("name", ["hub/hub.db", "targets/api/dev/journal.jsonl", "runner/summary.md"])
def test_nothing_else_holds_any(stage: Stage, name: str) -> None:
    put(stage, name, "…token-of-dana…")
    assert leaks(stage, Told()) == [f"{name}: token of dana"]


def test_logs_and_outputs_are_searched(stage: Stage) -> None:
    played = Played(token=TOKEN, log=["fine", f"Authorization: {TOKEN}"], results=[{"url": TOKEN}])
    assert leaks(stage, Told(runs={"v1": played})) == ["log of v1: token of run v1", "outputs of v1: token of run v1"]
