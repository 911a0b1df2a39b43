"""setup-env's look at migrations, with dbmate and a real PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cicd.adapters.services.server import start
from cicd.commands.migrate_check import to_check
from cicd.commands.setup_env import bring_up, decide, read_optional_config
from cicd.contract import SetupEnv
from cicd.core.config import Deploy, Migrations
from cicd.core.results import Result
from cicd.core.services import Wanted
from cicd.errors import MigrationFailed, UsageError
from tests.adapters.conftest import environments
from tests.adapters.servers import job_of
from tests.fakes import runner as fake_runner

CONFIG = """
version: 1
app: shop
services: {postgres: {}}
deploy:
  run: serve
  migrate: command
  migrations:
    folder: sql
    up: dbmate --migrations-dir sql --no-dump-schema migrate
    down: dbmate --migrations-dir sql --no-dump-schema rollback
    current: dbmate --migrations-dir sql status
    check: true
"""
USERS = "-- migrate:up\ncreate table users (id int);\n-- migrate:down\ndrop table users;\n"
NAMES = "-- migrate:up\nalter table users add name text;\n-- migrate:down\nalter table users drop name;\n"
DEPLOY = Deploy(run="x", migrate="alembic")
POSTGRES = [Wanted("postgres")]


@pytest.mark.parametrize(
    ("given", "schema", "expected"),
    [
        ("", DEPLOY, ""),
        ("none", Deploy(run="x", migrations=Migrations(check=True)), ""),
        ("", Deploy(run="x", migrations=Migrations(check=True)), "all"),
        ("all", DEPLOY, "all"),
        ("origin/main", DEPLOY, "origin/main"),
        ("", None, ""),
    ],
)
def test_what_is_tried(given: str, schema: Deploy | None, expected: str) -> None:
    assert to_check(given, schema, POSTGRES) == expected


@pytest.mark.parametrize(("schema", "servers"), [(None, POSTGRES), (DEPLOY, [])])
def test_what_cannot_be_tried(schema: Deploy | None, servers: list[Wanted]) -> None:
    with pytest.raises(UsageError, match="nothing to check"):
        to_check("all", schema, servers)


class Project:
    """A repository with migrations for dbmate."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.job = folder / "project", job_of(folder)
        (self.folder / ".github").mkdir(parents=True)
        (self.folder / "sql").mkdir()
        (self.folder / ".github" / "cicd.yml").write_text(CONFIG)
        self.git("init", "--quiet")

    def git(self, *arguments: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        subprocess.run(["git", "-C", str(self.folder), *who, *arguments], check=True, capture_output=True)

    def write(self, name: str, text: str) -> None:
        (self.folder / "sql" / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", name)

    def set_up(self, **given: str) -> Result:
        inputs = SetupEnv(working_directory=str(self.folder), **given)
        passed = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        runner = fake_runner({**passed, "PATH": path, "CICD_HOME": environments(), "RUNNER_TEMP": str(self.folder)})
        return bring_up(decide(inputs, read_optional_config(inputs)), self.job, runner, start)

    def close(self) -> None:
        for server in list(self.job.state.servers):
            self.job.remove(server)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("cicd.adapters.services.job.Job.watch", lambda self: None)
    made = Project(tmp_path)
    yield made
    made.close()


@pytest.mark.real
def test_a_way_down_that_does_not_work_is_found(project: Project) -> None:
    project.write("001_users.sql", USERS)
    project.write("002_names.sql", NAMES)
    result = project.set_up()
    assert (result.data["migrated"]["both_ways"], result.data["migrated"]["up_only"]) == (["001", "002"], [])
    assert "tried up, down and up again: 001, 002; up only: none" in result.summary
    with psycopg.connect(result.outputs["database-url"]) as connection:
        assert connection.execute("select name from users").fetchall() == []
        assert connection.execute("select datname from pg_database where datname like 'scratch%'").fetchall() == []

    project.write("003_mails.sql", NAMES.replace("name", "mail").replace("drop mail", "drop mial"))
    with pytest.raises(MigrationFailed, match=r'(?s)Migration 003 \(mails\) cannot be taken back: .*"mial"'):
        project.set_up(migrate_check="HEAD~1")
    assert project.set_up(migrate_check="HEAD").data["migrated"]["both_ways"] == [], "it is not new there"
    with pytest.raises(UsageError, match="no commit `nowhere`"):
        project.set_up(migrate_check="nowhere")
