"""The shipped action on a project that has no cicd.yml, run by act: inputs alone say everything."""

import time
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import Act

pytestmark = pytest.mark.real

WORKFLOW = """
on: push
jobs:
  first:
    runs-on: ubuntu-latest
    outputs: {port: '${{ steps.look.outputs.port }}'}
    steps:
    - uses: actions/checkout@v4
    - uses: org/cicd/actions/setup-env@v1
      id: env
      with:
        services: postgres:18 redis
        settings: |
          postgres.max_prepared_transactions=10
          redis.maxmemory=64mb
        migrate: alembic
    - id: look
      run: python look.py && dirname $(which python)
    - run: echo "same=$PYTHON"
      env: {PYTHON: '${{ steps.env.outputs.python }}'}
    - uses: org/cicd/actions/setup-env@v1
      id: again
      with: {services: postgres, requirements: none}
    - run: test "$DATABASE_URL" = "$AGAIN" && echo reused=yes
      env: {AGAIN: '${{ steps.again.outputs.database-url }}'}
  second:
    needs: first
    runs-on: ubuntu-latest
    steps:
    - uses: actions/checkout@v4
    - run: python3 gone.py
      env: {PORT: '${{ needs.first.outputs.port }}'}
  broken:
    needs: second
    runs-on: ubuntu-latest
    steps:
    - uses: actions/checkout@v4
    - uses: org/cicd/actions/setup-env@v1
      id: bad
      continue-on-error: true
      with: {services: postgres:18, settings: postgres.no_such=1, requirements: none}
    - run: echo "reason=$REASON"
      env: {REASON: '${{ steps.bad.outputs.reason-code }}'}
    - uses: org/cicd/actions/setup-env@v1
      id: schema
      continue-on-error: true
      with: {services: postgres:18, migrate: python -c "raise SystemExit('no such table')", requirements: none}
    - run: echo "schema=$REASON"
      env: {REASON: '${{ steps.schema.outputs.reason-code }}'}
"""

LOOK = """
import os, psycopg, redis, sys
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    ask = lambda query: connection.execute(query).fetchone()[0]
    print("version=" + ask("show server_version").split(".")[0])
    print("prepared=" + ask("show max_prepared_transactions"))
    print("revision=" + ask("select version_num from alembic_version"))
    print("table=" + ask("select to_regclass('letters')::text"))
    port = connection.info.port
server = redis.from_url(os.environ["REDIS_URL"])
print("pong=" + str(server.ping()), "memory=" + str(server.config_get("maxmemory")["maxmemory"]), sep="\\n")
with open(os.environ["GITHUB_OUTPUT"], "a") as output:
    output.write(f"port={port}\\n")
print("python=" + sys.executable)
"""

GONE = """
import os, socket, time
for _ in range(100):
    try:
        socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), 1).close()
    except ConnectionRefusedError:
        print("ended=yes")
        break
    time.sleep(0.1)
else:
    raise SystemExit("the first job's database still answers")
"""

ENV = """
import os
from alembic import context
from sqlalchemy import create_engine
url = os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")
with create_engine(url).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""

MIGRATION = """
from alembic import op
revision = "0001"
down_revision = None
def upgrade():
    op.execute("create table letters (id int)")
def downgrade():
    op.execute("drop table letters")
"""


def write_project(folder: Path) -> Path:
    files = {
        ".github/workflows/ci.yml": WORKFLOW,
        "requirements.txt": "alembic\nsqlalchemy\npsycopg[binary]\nredis\n",
        "look.py": LOOK,
        "gone.py": GONE,
        "alembic.ini": "[alembic]\nscript_location = migrations\n",
        "migrations/env.py": ENV,
        "migrations/versions/0001.py": MIGRATION,
        # Hostile names: with a plain `-m` these would be imported in place of what they are called after.
        "yaml.py": "raise SystemExit('imported from the checkout')\n",
        "psutil.py": "raise SystemExit('imported from the checkout')\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_project_without_a_config(act: Act, tmp_path: Path) -> None:
    ran = act(write_project(tmp_path / "project"))
    assert ran.code == 0, ran.output[-6000:]
    said = {name: ran.said(name) for name in ("version", "prepared", "revision", "table", "pong", "memory")}
    assert said == {
        "version": "18",
        "prepared": "10",
        "revision": "0001",
        "table": "letters",
        "pong": "True",
        "memory": "67108864",
    }
    assert Path(ran.said("same")).parent == Path(ran.said("python")).parent
    assert (ran.said("reused"), ran.said("ended")) == ("yes", "yes")
    assert (ran.said("reason"), ran.said("schema")) == ("service-failed", "migration-failed")
    assert 'unrecognized configuration parameter "no_such"' in ran.output
    assert "no such table" in ran.output
    assert not_one_is_left(tmp_path)


def not_one_is_left(folder: Path) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
        if not any(str(folder) in command and "pytest" not in command for command in commands):
            return True
        time.sleep(0.1)
    return False
