"""Migrations on a real PostgreSQL that others use at the same time, by each driver that projects have."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cicd.adapters.engines.process import RUN_MARK, ProcessEngine
from cicd.adapters.migrators import MIGRATORS, command
from cicd.adapters.migrators.alone import environment, run_alone
from cicd.adapters.migrators.session import MIGRATION, Session
from cicd.adapters.process import ProcessId, find, spawn, with_variable
from cicd.adapters.runner import Runner
from cicd.adapters.services.job import Server
from cicd.adapters.services.server import start
from cicd.core.config import Deploy, Migrations
from cicd.core.release import Record
from cicd.core.services import Wanted
from cicd.errors import DatabaseUnavailable, MigrationFailed
from tests.adapters.conftest import environments
from tests.adapters.releases import laid_out
from tests.adapters.servers import job_of
from tests.fakes import runner as fake_runner

pytestmark = pytest.mark.real

# A project's own migrator: what it does is what it is told to, in one transaction, by one of the drivers.
PROGRAM = """
import asyncio, os, sys
from urllib.parse import urlsplit
driver, *statements = sys.argv[1:]
url = os.environ["DATABASE_URL"]
parts = urlsplit(url)
if driver == "psycopg":
    import psycopg
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)
elif driver == "pg8000":
    import pg8000.native
    connection = pg8000.native.Connection(
        parts.username, password=parts.password, host=parts.hostname, port=parts.port, database=parts.path[1:]
    )
    for statement in ["begin", *statements, "commit"]:
        connection.run(statement)
elif driver == "asyncpg":
    import asyncpg
    async def main():
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement)
    asyncio.run(main())
"""
FILES = {
    "migrate.py": PROGRAM,
    "db/migrations/001_users.sql": "-- migrate:up\ncreate table users (id int);\n-- migrate:down\ndrop table users;\n",
    "db/migrations/002_names.sql": (
        "-- migrate:up\nalter table users add column name text;\n-- migrate:down\nalter table users drop column name;\n"
    ),
}
DBMATE = Migrations(
    up="dbmate --no-dump-schema migrate",
    down="dbmate --no-dump-schema rollback",
    current="dbmate status",
    lock_timeout=0.5,
    within=60,
    attempts=2,
)
DRIVERS = ["psycopg", "pg8000", "asyncpg", "dbmate"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    env = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_", "PATH"))}
    job = job_of(folder)
    made = start(
        Wanted("postgres"),
        job,
        fake_runner({**env, "CICD_HOME": environments(), "RUNNER_TEMP": str(folder)}),
        threading.Event(),
    )
    yield made
    job.remove(made)


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """A database of its own."""
    name = f"d{time.monotonic_ns()}"
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(f'create database "{name}"')
        yield server.url.rpartition("/")[0] + f"/{name}?sslmode=disable"
        admin.execute(f'drop database "{name}" with (force)')


Made = tuple[ProcessEngine, Record]


@pytest.fixture
def made(tmp_path: Path, runner: Runner, url: str) -> Made:
    deploy = Deploy(run="x", migrate="command", migrations=DBMATE)
    return laid_out(tmp_path / "target", runner, deploy, FILES, {"DATABASE_URL": url})


def doing(driver: str, *statements: str) -> Callable[[Any], None]:
    """What makes a project's migrator do this."""

    def act(run: Any) -> None:
        done = run(["python", "migrate.py", driver, *statements])
        if done.code:
            raise MigrationFailed(done.output)

    return act


def ask(url: str, query: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return [row[0] for row in connection.execute(query)]


def tell(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def never(given: object) -> None:
    pytest.fail(f"called with {given}")


def test_dbmate_up_and_down(made: Made, url: str) -> None:
    engine, record = made
    migrator = MIGRATORS["command"]
    assert migrator.current(engine, record) == ""
    migrator.upgrade(engine, record, "002")
    assert migrator.current(engine, record) == "002"
    assert ask(url, "select name from users") == []
    migrator.downgrade(engine, record, "001")
    assert migrator.current(engine, record) == "001"
    migrator.downgrade(engine, record, "base")
    assert migrator.current(engine, record) == ""
    broken = engine.target.release_folder(record.release.id) / "app/db/migrations/001_users.sql"
    broken.write_text("-- migrate:up\nnonsense;\n-- migrate:down\n")
    with pytest.raises(MigrationFailed, match="syntax error"):
        migrator.upgrade(engine, record, "002")


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_migration_that_waits_does_not_hold_up_the_traffic_behind_it(made: Made, url: str, driver: str) -> None:
    """A long reader holds the table; the migration waits for it, and a short reader waits behind the migration."""
    engine, record = made
    tell(url, "create table users (id int)", "create table schema_migrations (version varchar primary key)")
    tell(url, "insert into schema_migrations values ('001')")
    act = doing(driver, "alter table users add column name text")
    if driver == "dbmate":
        act = partial(command.upgrade, settings=DBMATE)
    traffic: list[list[Any]] = []

    def read() -> None:
        until(lambda: ask(url, "select 1 from pg_locks where mode = 'AccessExclusiveLock' and not granted"))
        traffic.append(ask(url, "select count(*) from users"))

    reader = threading.Thread(target=read)
    with psycopg.connect(url, application_name="report") as holder:
        holder.execute("select * from users")
        reader.start()
        with pytest.raises(DatabaseUnavailable, match=r"not to be had in 2 tries") as caught:
            run_alone(engine, record, act, pause=lambda seconds: None)
        reader.join()
        assert traffic == [[0]], "served while the long reader still held the table"
        assert f"process {holder.info.backend_pid} (report, idle in transaction" in caught.value.cause
    assert (
        ask(url, "select 1 from information_schema.columns where table_name = 'users' and column_name = 'name'") == []
    )


@pytest.mark.parametrize("driver", ["psycopg", "pg8000"])
def test_it_is_tried_again_when_the_lock_is_free(made: Made, url: str, driver: str) -> None:
    engine, record = made
    pauses: list[float] = []
    tell(url, "create table users (id int)")
    with psycopg.connect(url) as holder:
        holder.execute("select * from users")

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            holder.rollback()

        run_alone(engine, record, doing(driver, "alter table users add column name text"), pause=pause)
    assert len(pauses) == 1
    assert ask(url, "select name from users") == []


@pytest.mark.parametrize("driver", ["psycopg", "pg8000"])
def test_a_statement_that_takes_too_long_is_ended_and_not_tried_again(
    tmp_path: Path, runner: Runner, url: str, driver: str
) -> None:
    deploy = Deploy(run="x", migrate="command", migrations=Migrations(statement_timeout=0.5))
    engine, record = laid_out(tmp_path / "target", runner, deploy, FILES, {"DATABASE_URL": url})
    with pytest.raises(MigrationFailed, match="canceling statement"):
        run_alone(engine, record, doing(driver, "select pg_sleep(60)"), pause=never)


def test_two_never_run_at_once(made: Made) -> None:
    engine, record = made
    inside, go, order = threading.Event(), threading.Event(), list[str]()

    def slow(run: Any) -> None:
        inside.set()
        go.wait(30)
        order.append("first")

    first = threading.Thread(target=lambda: run_alone(engine, record, slow))
    second = threading.Thread(target=lambda: run_alone(engine, record, lambda run: order.append("second")))
    first.start()
    inside.wait(30)
    second.start()
    url = engine.setting(record, "DATABASE_URL")
    until(lambda: len(ask(url, f"select 1 from pg_stat_activity where application_name = '{MIGRATION} lock'")) == 2)
    assert order == []
    go.set()
    first.join()
    second.join()
    assert order == ["first", "second"]


def test_one_that_never_ends_is_not_waited_for_for_ever(tmp_path: Path, runner: Runner, url: str) -> None:
    deploy = Deploy(run="x", migrate="command", migrations=Migrations(within=0.3))
    engine, record = laid_out(tmp_path / "target", runner, deploy, FILES, {"DATABASE_URL": url})
    with Session.opened(url) as other:
        other.lock(1)
        with pytest.raises(DatabaseUnavailable, match="Another migration"):
            run_alone(engine, record, never)
    assert run_alone(engine, record, lambda run: "free again") == "free again"


def orphan(engine: ProcessEngine, record: Record, driver: str) -> ProcessId:
    """A migration that a killed run has left: it has changed something, and works on."""
    folder = engine.target.release_folder(record.release.id) / "app"
    env = engine.environment(record, {**environment(DBMATE), RUN_MARK: str(engine.target.folder)})
    env["PGOPTIONS"] = ""  # it works for longer than the test lasts
    argv = ["python", "migrate.py", driver, "create table half (id int)", "select pg_sleep(600)"]
    return spawn(argv, env=env, cwd=folder, log=engine.target.folder / "orphan.log")


SLEEPS = "select pid from pg_stat_activity where query like 'select pg_sleep%' and datname = current_database()"


@pytest.mark.parametrize("driver", ["psycopg", "pg8000", "asyncpg"])
def test_what_a_killed_run_left_is_ended_before_the_revision_is_read(made: Made, url: str, driver: str) -> None:
    engine, record = made
    process = orphan(engine, record, driver)
    until(lambda: ask(url, SLEEPS))
    assert MIGRATORS["command"].current(engine, record) == ""
    assert find(process) is None
    assert with_variable(RUN_MARK, str(engine.target.folder)) == []
    assert ask(url, SLEEPS) == []
    assert ask(url, "select 1 from pg_tables where tablename = 'half'") == []


def test_what_works_on_in_the_server_though_its_process_is_dead(made: Made, url: str) -> None:
    engine, record = made
    process = orphan(engine, record, "psycopg")
    until(lambda: ask(url, SLEEPS))
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: find(process) is None)
    assert ask(url, SLEEPS), "the server has not noticed"
    assert MIGRATORS["command"].current(engine, record) == ""
    assert ask(url, SLEEPS) == []


def test_a_lost_lock_ends_the_migration(made: Made, url: str) -> None:
    engine, record = made

    def lose() -> None:
        until(lambda: ask(url, SLEEPS))
        where = f"application_name = '{MIGRATION} lock' and datname = current_database()"
        ask(url, f"select pg_terminate_backend(pid) from pg_stat_activity where {where}")

    def act(run: Any) -> None:
        threading.Thread(target=lose).start()
        doing("psycopg", "select pg_sleep(600)")(run)

    with pytest.raises(DatabaseUnavailable, match="lock was lost"):
        run_alone(engine, record, act)


def test_the_password_is_nowhere(tmp_path: Path, runner: Runner, url: str, server: Server) -> None:
    wrong = url.replace(server.password, "hunter2-hunter2")
    deploy = Deploy(run="x", migrate="command", migrations=DBMATE)
    engine, record = laid_out(tmp_path / "target", runner, deploy, FILES, {"DATABASE_URL": wrong})
    with pytest.raises(DatabaseUnavailable, match="password authentication failed") as caught:
        MIGRATORS["command"].current(engine, record)
    assert "hunter2" not in str(caught.value)
    seen: list[str] = []

    def act(run: Any) -> None:
        thread = threading.Thread(target=lambda: seen.extend(lines_of(engine)))
        thread.start()
        doing("psycopg", "select pg_sleep(1)")(run)
        thread.join()

    engine, record = laid_out(tmp_path / "target", runner, deploy, FILES, {"DATABASE_URL": url})
    run_alone(engine, record, act)
    assert seen
    assert server.password not in "".join(seen)


def lines_of(engine: ProcessEngine) -> list[str]:
    """Command lines of the migration's processes."""
    until(engine.left_behind)
    return [Path(f"/proc/{one.pid}/cmdline").read_text() for one in engine.left_behind().ids if find(one)]


def test_a_database_that_is_no_postgresql_is_migrated_without_a_lock(tmp_path: Path, runner: Runner) -> None:
    deploy = Deploy(run="x", migrate="command", migrations=DBMATE)
    engine, record = laid_out(
        tmp_path / "target", runner, deploy, FILES, {"DATABASE_URL": f"sqlite:{tmp_path}/db.sqlite3"}
    )
    MIGRATORS["command"].upgrade(engine, record, "002")
    assert MIGRATORS["command"].current(engine, record) == "002"
