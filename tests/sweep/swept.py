"""A consumer with traffic and a database, which is killed at point after point, and what must hold after recovery."""

import contextlib
import http.client
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cicd.adapters.engines.process import MARK
from cicd.adapters.github import GitHub
from cicd.adapters.process import with_variable
from cicd.adapters.runner import Runner
from cicd.adapters.services.job import Job
from cicd.adapters.services.server import start
from cicd.core.ledger import Deployment, current
from cicd.core.plan import SLOTS
from cicd.core.services import Wanted
from tests.commands.site import Consumer, consumer, passed_on
from tests.sweep.commands import Commands
from tests.world import DEVELOPER, World, hub_of

ENV_PY = """
import os
from alembic import context
from sqlalchemy import NullPool, create_engine
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+pg8000:"), poolclass=NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
MIGRATION = '''"""Adds column c{number}"""
import sqlalchemy as sa
from alembic import op
revision = "{number:04}"
down_revision = {down!r}
def upgrade():
    {create}op.add_column("notes", sa.Column("c{number}", sa.Text()))
def downgrade():
    op.drop_column("notes", "c{number}")
'''
ASK = """
import os
from sqlalchemy import create_engine, text
with create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+pg8000:")).connect() as database:
    print(database.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'notes'"
    print(database.execute(text(columns)).scalar_one())
"""


PEOPLE = 20  # users, told apart by their addresses: each tries a canary, or does not


@dataclass
class Traffic:
    """Requests of all users through the router, all the time; what was wrong with an answer is kept."""

    port: int
    sent: int = 0
    wrong: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, clients: int) -> Iterator["Traffic"]:
        threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self._stop.wait(0.004):
            try:
                connection.request("GET", "/notes", headers=user(self.sent))
                answer = connection.getresponse()
                answer.read()
                routed, own = answer.headers["X-Cicd-Release"], answer.headers["X-Release"]
                if answer.status != 200 or routed != own:
                    self.wrong.append(f"{answer.status}, sent to {routed}, answered by {own}")
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
                connection.close()
            self.sent += 1
        connection.close()


def user(number: int) -> dict[str, str]:
    """The headers by which the router knows a user."""
    return {"X-Forwarded-For": f"10.0.0.{number % PEOPLE}"}


@dataclass
class Swept(Commands):
    """The world, its database, and a count of versions."""

    world: World
    database: str
    traffic: Traffic
    count: int = 0

    @property
    def app(self) -> Consumer:
        return self.world.app

    @property
    def folder(self) -> Path:
        return self.app.folder

    @property
    def repository(self) -> Path:
        return self.app.repository

    def commit(self) -> str:
        """The next version, with a new migration and a changed setting; gives its image."""
        self.count += 1
        self.app.greeting = f"hello from v{self.count}"
        if self.database:
            self._write_migration()
        return self.app.build(self.app.commit(f"v{self.count}"))

    def _write_migration(self) -> None:
        versions = self.app.repository / "migrations" / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        (self.app.repository / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
        (self.app.repository / "requirements.txt").write_text("alembic\npg8000\n")
        (versions.parent / "env.py").write_text(ENV_PY)
        create = 'op.create_table("notes", sa.Column("id", sa.Integer()))\n    ' if self.count == 1 else ""
        down = f"{self.count - 1:04}" if self.count > 1 else None
        text = MIGRATION.format(number=self.count, down=down, create=create)
        (versions / f"{self.count:04}.py").write_text(text)

    def promotion(self) -> list[str]:
        return ["promote", "--environment", "staging", "--image", self.commit()]

    def job(self) -> dict[str, str]:
        return {**self.world.job(), "CICD_INPUT_APP_ENV": f"DATABASE_URL={self.database}" if self.database else ""}

    def broken(self) -> list[str]:
        """What does not hold, of all that must hold when nobody is at work. Empty is good."""
        site, found = self.app.site(), self.traffic.wrong[:3]
        self.traffic.wrong.clear()
        state, running = site.target.state(), site.running()
        if state.unfinished or state.unrecorded or running.release is None:
            return [*found, f"the journal is not at rest: {state}"]
        record = site.target.record(running.release.id)
        if site.engine.alive(running.slot) != running.release.id:
            found.append(f"slot {running.slot} has {site.engine.alive(running.slot)}, not {running.release.name}")
        right = (running.release.id, running.release.id, record.deploy.env["GREETING"])
        if wrong := {answer for number in range(PEOPLE) if (answer := self.asked(number)) != right}:
            found.append(f"{wrong} answers, and should be {right}: {running.release.name}")
        if self.database and (schema := self.schema()) != running.release.schema:
            found.append(f"the schema is at {schema}, the release needs {running.release.schema}")
        ledger = self.ledger()
        said = current(ledger, "staging")
        if said is None or said.release.id != running.release.id:
            found.append(f"the ledger says {said and said.release.name}, {running.release.name} runs")
        found += [f"deployment {entry.id} has no verdict" for entry in ledger if entry.verdict == "in-progress"]
        keys = [entry.payload.key for entry in ledger]
        found += [f"two deployments have the key {key}" for key in set(keys) if keys.count(key) > 1]
        return found + self.orphans()

    def ledger(self) -> list[Deployment]:
        runner = Runner(self.job(), self.app.said)
        return GitHub(runner, DEVELOPER).ledger(["staging"])

    def asked(self, number: int) -> tuple[str, str, str]:
        """By a user, through the router: the release that it says, the one that answers, and its greeting."""
        connection = http.client.HTTPConnection("127.0.0.1", self.app.ports[0], timeout=5)
        connection.request("GET", "/", headers=user(number))
        with contextlib.closing(connection):
            answer = connection.getresponse()
            return answer.headers["X-Cicd-Release"] or "", answer.headers["X-Release"] or "", answer.read().decode()

    def schema(self) -> str:
        """The revision in the database, and whether its columns are those of it; asked with the release's driver."""
        site = self.app.site()
        release = site.running().release
        assert release is not None
        python = (site.target.release_folder(release.id) / "python").read_text()
        done = subprocess.run([python, "-c", ASK], env={"DATABASE_URL": self.database}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        revision, columns = done.stdout.split()
        return revision if int(columns) == int(revision) + 1 else f"{revision} with {columns} columns"

    def orphans(self) -> list[str]:
        """Programs of the target that belong to no slot and no router."""
        site = self.app.site()
        slots = site.target.folder / "slots"
        known = {json.loads(path.read_text())["pid"] for path in slots.glob("*.json")}
        marked = {one.pid for slot in SLOTS for one in with_variable(MARK, str(slots / slot))}
        found = [f"process {pid} is in no slot" for pid in marked - known]
        for process in psutil.process_iter(["cmdline", "pid"]):
            line = " ".join(process.info["cmdline"] or [])
            ours = str(self.app.folder) in line and not any(name in line for name in ("nginx", "postgres", "localhub"))
            if ours and process.pid not in known:
                found.append(f"process {process.pid} was left: {line[:200]}")
        return found


@contextmanager
def database(folder: Path, runner: Runner) -> Iterator[str]:
    """A PostgreSQL; its URL."""
    folder.mkdir(mode=0o700)
    job = Job(folder, 0, {})
    server = start(Wanted("postgres"), job, runner, threading.Event())
    try:
        yield server.url
    finally:
        job.remove(server)


@contextmanager
def swept(folder: Path, *, migrating: bool = True, canary: bool = False, clients: int = 2) -> Iterator[Swept]:
    """A world with v1 and v2 promoted, under traffic.

    Args:
        migrating: whether each version brings a migration.
        canary: whether a share of the users tries each version first.
    """
    (folder / "repository").mkdir()
    for app in consumer(folder):
        app.samples, app.watch = 1, "300ms"
        with contextlib.ExitStack() as stack:
            url = ""
            if migrating:
                app.extra = "migrate: alembic\n  requirements: [requirements.txt]"
                runner = Runner({**app.runner().env, **passed_on()}, app.said)
                url = stack.enter_context(database(folder / "services", runner))
            if canary:
                app.extra += "\n  canary: {share: 30%, for: 300ms}"
            app.commit("v0")
            hub = stack.enter_context(hub_of(app))
            made = Swept(World(app, hub), url, Traffic(app.ports[0]))
            for _ in range(2):
                assert not (said := made.run(made.promotion())), said
            stack.enter_context(made.traffic.running(clients))
            yield made
