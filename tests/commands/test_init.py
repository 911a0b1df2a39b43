from pathlib import Path

import pytest

from cicd.commands.init import main
from cicd.contract import Init
from cicd.core.results import Result
from cicd.errors import UsageError
from tests.fakes import runner

pytestmark = pytest.mark.real
CONFIG = ".github/cicd.yml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    (tmp_path / "test_app.py").write_text("def test(): pass\n")
    return tmp_path


def init(folder: Path, **inputs: str) -> Result:
    return main(Init(working_directory=str(folder), **inputs), runner({}))


def test_it_writes_and_the_second_time_there_is_nothing_to_do(project: Path) -> None:
    first = init(project)
    assert first.decision == "done"
    assert first.data["written"] == [CONFIG, ".github/workflows/pipeline.yml"]
    assert "app: " in (project / CONFIG).read_text()
    assert init(project).decision == "nothing-to-do"


def test_what_is_there_is_not_overwritten_without_being_told(project: Path) -> None:
    (project / ".github").mkdir()
    (project / CONFIG).write_text("mine: true\n")
    with pytest.raises(UsageError, match=r"cicd\.yml is there already"):
        init(project)
    assert (project / CONFIG).read_text() == "mine: true\n"
    assert not (project / ".github" / "workflows").exists(), "all of it, or nothing"
    shown = init(project, dry_run="true")
    assert "-mine: true" in shown.answer
    assert (project / CONFIG).read_text() == "mine: true\n"
    init(project, force="true")
    assert "mine" not in (project / CONFIG).read_text()


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        init(tmp_path / "none")
