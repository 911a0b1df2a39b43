"""A promotion whose migration fails half way, on the example with a real PostgreSQL."""

import json
import re
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters.runner import Runner
from cicd.adapters.services.job import Job
from cicd.adapters.services.server import start
from cicd.commands import build, promote, rollback
from cicd.commands.read import Project, Site
from cicd.contract import Build, Promote, Rollback
from cicd.core.plan import SLOTS
from cicd.core.results import Result
from cicd.core.services import Wanted
from tests.acceptance.conftest import CHECKOUT, git
from tests.commands.site import free_ports
from tests.fakes import FakeHub, runner

pytestmark = pytest.mark.real

HALF_WAY = '''"""Adds a column, and then cannot go on"""
import sqlalchemy as sa
from alembic import op
revision = "0002"
down_revision = "0001"
def upgrade():
    op.add_column("conversations", sa.Column("half", sa.Text()))
    op.execute("SELECT 1 / 0")
def downgrade():
    op.drop_column("conversations", "half")
'''


class Assistant:
    """The example in `dev`, with servers of its own."""

    def __init__(self, folder: Path, env: dict[str, str], urls: dict[str, str]) -> None:
        self.repository = folder / "assistant-api"
        self.env = env
        self.hub = FakeHub()
        self.app_env = "\n".join(f"{name}={url}" for name, url in urls.items())
        ports = iter(free_ports(9))
        shutil.copytree(CHECKOUT / "examples" / "assistant-api", self.repository)
        config = self.repository / ".github" / "cicd.yml"
        config.write_text(
            re.sub(r"(router|blue|green): \d+", lambda match: f"{match[1]}: {next(ports)}", config.read_text())
        )
        git(self.repository, "init", "--quiet")

    def runner(self) -> Runner:
        return runner(self.env)

    def project(self) -> Project:
        return Project.of(str(self.repository), ".github/cicd.yml", "dev", self.runner())

    def site(self) -> Site:
        return self.project().site

    def promote(self, version: str) -> Result:
        git(self.repository, "add", "--all")
        git(self.repository, "commit", "--quiet", "--allow-empty", "--message", version)
        sha, folder = git(self.repository, "rev-parse", "HEAD"), str(self.repository)
        image = build.main(Build(sha=sha, working_directory=folder), self.runner()).outputs["image"]
        inputs = Promote(
            environment="dev", image=image, sha=sha, version=version, working_directory=folder, app_env=self.app_env
        )
        return promote.promote(inputs, self.runner(), self.project(), self.hub)  # type: ignore[arg-type]

    def rollback(self) -> Result:
        inputs = Rollback(environment="dev", working_directory=str(self.repository))
        return rollback.rollback(inputs, self.runner(), self.site(), self.hub)  # type: ignore[arg-type]

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.site().url}/health", timeout=5) as answer:
            return dict(json.loads(answer.read()))

    def close(self) -> None:
        for slot in SLOTS:
            self.site().engine.stop(slot)
        self.site().router.stop()


@pytest.fixture
def assistant(tmp_path: Path, cicd_home: Path, environ: dict[str, str]) -> Iterator[Assistant]:
    env = {**environ, "CICD_HOME": str(cicd_home), "CICD_TARGET": str(tmp_path / "targets")}
    (tmp_path / "job").mkdir(mode=0o700)
    job = Job(tmp_path / "job", 0, {})
    stopping = threading.Event()
    servers = [start(Wanted(name), job, runner(env), stopping) for name in ("postgres", "redis")]
    urls = dict(zip(("DATABASE_URL", "REDIS_URL"), (server.url for server in servers), strict=True))
    made = Assistant(tmp_path, env, urls)
    try:
        yield made
    finally:
        made.close()
        for server in servers:
            job.remove(server)


def test_a_migration_that_fails_half_way_leaves_schema_and_release_as_they_were(assistant: Assistant) -> None:
    first = assistant.promote("v1")
    assert first.outputs["verdict"] == "stable", first
    versions = assistant.repository / "migrations" / "versions"
    (versions / "0002_half_way.py").write_text(HALF_WAY)
    result = assistant.promote("v2")
    assert (result.reason_code, result.exit_code, result.outputs["verdict"]) == ("migration-failed", 42, "failed")
    assert "division by zero" in result.message
    health = assistant.health()
    assert (health["release"], health["schema"]) == (first.outputs["release"], "0001")

    (versions / "0002_half_way.py").write_text(HALF_WAY.replace('    op.execute("SELECT 1 / 0")\n', ""))
    mended = assistant.promote("v3")
    assert mended.outputs["verdict"] == "stable", "the half that was done is not in the way"
    assert assistant.health()["schema"] == "0002"
    back = assistant.rollback()
    assert back.outputs["verdict"] == "stable"
    assert assistant.health()["schema"] == "0001"
    assert assistant.health()["release"] == first.outputs["release"]
