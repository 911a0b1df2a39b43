"""Releases whose schema is migrated by the project's own command: dbmate, with a real PostgreSQL."""

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from cicd.adapters.runner import Runner
from cicd.adapters.services.server import start
from cicd.core.results import Result
from cicd.core.services import Wanted
from cicd.errors import MigrationBreaks, NothingToRollBackTo
from tests.adapters.servers import job_of
from tests.commands.site import Consumer, consumer
from tests.fakes import runner as fake_runner

pytestmark = pytest.mark.real

DBMATE = f"{Path(sys.executable).with_name('dbmate')} --no-dump-schema"
EXTRA = f"""migrate: command
  migrations: {{up: {DBMATE} migrate, down: {DBMATE} rollback, current: {DBMATE} status}}"""

SLEEPS: LiteralString = (
    "select pid from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()"
)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass
class Shop:
    app: Consumer
    url: str

    def release(self, version: str, name: str = "", up: str = "", down: str = "", **inputs: str) -> Result:
        """Promote a version that brings a migration."""
        folder = self.app.repository / "db" / "migrations"
        folder.mkdir(parents=True, exist_ok=True)
        if name:
            (folder / name).write_text(f"-- migrate:up\n{up}\n-- migrate:down\n{down}\n")
        given = {"app_env": f"DATABASE_URL={self.url}", **inputs}
        return self.app.promote(self.app.commit(version), **given)

    def ask(self, query: LiteralString) -> list[Any]:
        with psycopg.connect(self.url) as connection:
            return [row[0] for row in connection.execute(query)]

    def columns(self) -> list[Any]:
        return self.ask("select column_name from information_schema.columns where table_name = 'users' order by 1")


@pytest.fixture
def shop(tmp_path: Path, runner: Runner) -> Iterator[Shop]:
    (tmp_path / "repository").mkdir()
    job = job_of(tmp_path)
    server = start(Wanted("postgres"), job, runner, threading.Event())
    try:
        for app in consumer(tmp_path):
            app.extra = EXTRA
            yield Shop(app, f"{server.url}?sslmode=disable")
    finally:
        job.remove(server)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    from tests.adapters.conftest import environments

    path = f"{Path(shutil.which('git') or '').parent}:/usr/bin:/bin"
    return fake_runner({"PATH": path, "CICD_HOME": environments(), "RUNNER_TEMP": str(tmp_path)})


def test_there_and_back(shop: Shop) -> None:
    first = shop.release("v1", "001_users.sql", "create table users (id int);", "drop table users;")
    assert first.outputs["verdict"] == "stable", first.message
    second = shop.release(
        "v2", "002_name.sql", "alter table users add name text;", "alter table users drop column name;"
    )
    assert (second.data["schema_revision"], shop.columns()) == ("002", ["id", "name"])
    assert second.data["rollback_class"] == "code and schema"
    planned = shop.app.rollback(dry_run="true")
    assert "**loses what was written since**: drops column" in planned.summary
    back = shop.app.rollback()
    assert (back.outputs["verdict"], back.data["schema_revision"], shop.columns()) == ("stable", "001", ["id"])


def test_a_migration_that_fails_takes_nothing_with_it(shop: Shop) -> None:
    shop.release("v1", "001_users.sql", "create table users (id int);", "drop table users;")
    bad = shop.release("v2", "002_name.sql", "alter table users add name text; select 1/0;", "select 1;")
    assert (bad.reason_code, bad.outputs["verdict"]) == ("migration-failed", "failed")
    assert "division by zero" in bad.message
    assert shop.columns() == ["id"]


def test_a_release_that_has_lost_data_cannot_be_left_and_says_why(shop: Shop) -> None:
    shop.release("v1", "001_users.sql", "create table users (id int, name text);", "drop table users;")
    loss = ("002_name.sql", "alter table users drop name;", "alter table users add name text;")
    with pytest.raises(MigrationBreaks, match=r"002 drops column `users\.name`"):
        shop.release("v2", *loss)
    two = shop.release("v2", *loss, force="true")
    assert two.data["rollback_class"] == "forward only"
    three = shop.release("v3", "003_mail.sql", "alter table users add mail text;", "alter table users drop mail;")
    assert three.outputs["verdict"] == "stable"
    first = next(entry.release.id for entry in shop.app.hub.deployments if entry.release.version == "v1")
    with pytest.raises(NothingToRollBackTo) as caught:
        shop.app.rollback(to=first)
    assert caught.value.cause == (
        "002 drops column `users.name`, and what it took is gone. To take back would be 003, 002;"
        " what was written since would be lost: 003 drops column `users.mail`"
    )
    assert shop.columns() == ["id", "mail"], "nothing was touched"


def test_a_run_that_is_killed_while_it_migrates_holds_up_nobody(shop: Shop) -> None:
    """Its migration works on without it; the next run ends that first, and then reads what the schema is."""
    shop.release("v1", "001_users.sql", "create table users (id int);", "drop table users;")
    run = os.fork()
    if run == 0:
        with contextlib.suppress(BaseException):
            shop.release("v2", "002_half.sql", "create table half (id int); select pg_sleep(600);", "drop table half;")
        os._exit(1)
    until(lambda: shop.ask(SLEEPS))
    os.kill(run, signal.SIGKILL)
    os.waitpid(run, 0)
    assert shop.ask(SLEEPS), "it goes on"
    assert shop.app.site().engine.left_behind()

    shop.app.git("rm", "--quiet", "-r", "--cached", "db")
    (shop.app.repository / "db" / "migrations" / "002_half.sql").unlink()
    third = shop.release("v3", "003_name.sql", "alter table users add name text;", "alter table users drop name;")
    assert third.outputs["verdict"] == "stable", third.message
    assert shop.columns() == ["id", "name"]
    assert shop.ask("select 1 from pg_tables where tablename = 'half'") == []
    assert shop.ask(SLEEPS) == []
    assert not shop.app.site().engine.left_behind()
