"""The commands of docs/compose.md, typed as they stand there."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import CHECKOUT
from tests.acceptance.test_docs import commands, type_in
from tests.commands.site import passed_on
from tests.docker.example import config
from tests.docker.lab import Lab
from tests.docker.shop import Shop

pytestmark = pytest.mark.real


@pytest.fixture
def typed(tmp_path: Path) -> Callable[[str, Path, dict[str, str]], str]:
    """Types the block of the page that begins so, in a folder; gives what is said."""

    def type_block(begins: str, folder: Path, env: dict[str, str]) -> str:
        (block,) = (one for one in commands("compose.md") if one.startswith(begins))
        (tmp_path / "typed").mkdir()
        here = f'cd {folder}\ncicd() {{ {CHECKOUT}/bin/cicd "$@"; }}'
        known = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "HOME": os.environ["HOME"], **passed_on(), **env}
        return type_in([here, block], tmp_path / "typed", known)

    return type_block


@pytest.fixture
def example_repository(tmp_path: Path) -> Path:
    """The example with the config that the page shows."""
    folder = tmp_path / "assistant-api"
    shutil.copytree(CHECKOUT / "examples" / "assistant-api", folder)
    (folder / ".github" / "cicd.yml").write_text(config())
    for argv in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", "-C", str(folder), *argv], check=True)
    return folder


def test_every_block_is_typed_here() -> None:
    assert [block.split()[0] for block in commands("compose.md")] == ["cicd", "docker"]


def test_environments_are_compared(example_repository: Path, typed: Callable[..., str], lab: Lab) -> None:
    told = typed("cicd parity", example_repository, {"DOCKER_CONFIG": lab.engine.environment["DOCKER_CONFIG"]})
    assert re.search(r"^! +the service +postgres:18 +postgres:18 +-$", told, re.MULTILINE)
    assert "dev, staging, production differ in" in told


@pytest.mark.slow
def test_a_rollback_needs_neither_github_nor_a_registry(tmp_path: Path, typed: Callable[..., str], lab: Lab) -> None:
    shop = Shop(tmp_path / "shop", lab)
    try:
        first = shop.promote(shop.release("v1")).outputs["release"]
        shop.promote(shop.release("v2"))
        lab.registry.down()
        target = {"CICD_TARGET": str(shop.folder / "targets")}
        told = typed("docker ps", shop.repository, {**lab.engine.environment, **target})
        assert re.search(r"^shop-green-api-green-1 \w{12}$", told, re.MULTILINE)
        assert shop.ask()[0] == first
    finally:
        lab.registry.up()
        shop.close()
