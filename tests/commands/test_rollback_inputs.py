"""What rollback makes of its inputs before it looks at anything."""

from pathlib import Path

import pytest

from cicd.commands.rollback import place_of
from cicd.contract import Rollback
from cicd.errors import UnknownEnvironment

CONFIG = "version: 1\napp: tiny\ndeploy: {run: x}\nenvironments: {dev: {ports: {router: 1, blue: 2, green: 3}}}\n"


def given(folder: Path, environment: str) -> Rollback:
    return Rollback(environment=environment, working_directory=str(folder), config="cicd.yml")


def test_the_application_is_the_configs(tmp_path: Path) -> None:
    assert place_of(given(tmp_path, "dev")) == ("", ["local"]), "no config at hand"
    (tmp_path / "cicd.yml").write_text(CONFIG)
    assert place_of(given(tmp_path, "dev")) == ("tiny", ["local"])


def test_a_misspelled_environment_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "cicd.yml").write_text(CONFIG)
    with pytest.raises(UnknownEnvironment, match="no environment `devv`"):
        place_of(given(tmp_path, "devv"))
