import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicd.localhub.app import create_app
from tests.localhub.hub import ADMIN, Hub, Switch, make_repository, populate, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Switch]]:
    """A server for all tests of this process: its URL, a folder with a repository to copy, and what it serves."""
    folder, switch = tmp_path_factory.mktemp("served"), Switch()
    make_repository(folder / "repo")
    with serving(folder, switch) as url:
        yield url, folder, switch


@pytest.fixture
def hub(served: tuple[str, Path, Switch], tmp_path: Path) -> Iterator[Hub]:
    """A LocalHub with a database and a repository of its own."""
    url, folder, switch = served
    switch.app = create_app(tmp_path / "hub.sqlite", ADMIN, limits={"app": 0, "user": 0})
    shutil.copytree(folder / "repo", tmp_path / "repo")
    yield populate(url, tmp_path / "repo", local=folder / "hub.sock")
    switch.app.service.store.close()
