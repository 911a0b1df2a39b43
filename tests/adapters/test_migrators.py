from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from cicd.adapters.engines.process import Processes
from cicd.adapters.migrators import MIGRATORS, alembic
from cicd.adapters.process import Completed
from cicd.core.config import Deploy
from cicd.errors import MigrationFailed
from tests.adapters.releases import record_of

LOG = "INFO  [alembic.runtime.migration] Context impl PostgresqlImpl.\n"


class Project:
    """Runs what it was told to run, and remembers it."""

    def __init__(self, answers: Mapping[str, tuple[int, str]]) -> None:
        self.answers = answers
        self.ran: list[str] = []

    def __call__(self, argv: Sequence[str]) -> Completed:
        self.ran.append(" ".join(argv))
        words = [word for word in argv[1:] if word not in ("-m", "-c", "alembic", alembic.MOVE)]
        code, output = self.answers[" ".join(words)]
        return Completed(tuple(argv), code, output, 0.1)

    def run_in(self, record: object, argv: Sequence[str], extra: object, timeout: float) -> Completed:
        return self(argv)

    def setting(self, record: object, name: str) -> str:
        return ""

    def left_behind(self) -> Processes:
        return Processes([])

    def reach(self, host: str, port: int) -> tuple[str, int]:
        return host, port


@pytest.mark.parametrize(
    ("output", "revision"),
    [
        ("", ""),
        (LOG, ""),
        (LOG + "0002 (head)", "0002"),
        ("0002_titles", "0002_titles"),
        (LOG + "ae1027a6acf (effective head)\n", "ae1027a6acf"),
        ("0003 (head) (mergepoint)", "0003"),
    ],
)
def test_current(output: str, revision: str) -> None:
    assert alembic.current(Project({"current": (0, output)})) == revision


def test_several_heads_are_an_error() -> None:
    with pytest.raises(MigrationFailed, match="more than one revision: a1, b2"):
        alembic.current(Project({"current": (0, "a1 (head)\nb2 (head)")}))


def test_upgrade_and_downgrade_say_where_they_ended() -> None:
    project = Project({"upgrade 0002": (0, LOG + "0002 (head)"), "downgrade base": (0, LOG)})
    assert alembic.upgrade(project, "0002", "/venv/bin/python") == "0002"
    assert alembic.downgrade(project, "") == ""
    assert [line.split()[0] for line in project.ran] == ["/venv/bin/python", "python"]


def test_a_failure_shows_the_end_of_what_was_said() -> None:
    project = Project({"upgrade head": (1, "noise\n" * 100 + 'psycopg.errors.DuplicateTable: "users" already exists')})
    with pytest.raises(MigrationFailed) as caught:
        alembic.upgrade(project)
    assert '"users" already exists' in caught.value.what
    assert len(caught.value.what.splitlines()) < 25


def test_alembic_that_is_not_installed() -> None:
    project = Project({"upgrade head": (1, "ModuleNotFoundError: No module named 'alembic'")})
    with pytest.raises(MigrationFailed, match="add `alembic`"):
        alembic.upgrade(project)


NOT_SET = """Traceback (most recent call last):
  File "/app/migrations/env.py", line 5, in <module>
    url = os.environ["DATABASE_URL"]
  File "<frozen os>", line 679, in __getitem__
KeyError: 'DATABASE_URL'"""


@pytest.mark.parametrize(
    "said", [NOT_SET, "sqlalchemy.exc.ArgumentError: Expected string or URL object, got None", "set database_url!"]
)
def test_a_release_without_the_database_s_url(said: str) -> None:
    record = record_of(Deploy(run="x", migrate="alembic"))
    with pytest.raises(MigrationFailed) as caught:
        MIGRATORS["alembic"].current(cast(Any, Project({"current": (1, said)})), record)
    assert "give `app-env`" in caught.value.next_step
    assert caught.value.what == f"`alembic current` ended with 1: {said.splitlines()[-1]}"


def test_another_failure_is_not_taken_for_a_missing_url() -> None:
    record = record_of(Deploy(run="x", migrate="alembic"))
    with pytest.raises(MigrationFailed, match="mend what it says"):
        MIGRATORS["alembic"].current(cast(Any, Project({"current": (1, "no such table")})), record)


def test_each_choice_of_the_config_has_a_migrator() -> None:
    assert set(MIGRATORS) == {"alembic", "command", "none"} == set(Deploy.__annotations__["migrate"].__args__)


def test_the_release_s_engine_runs_it() -> None:
    project = Project({"upgrade head": (0, ""), "downgrade base": (0, "")})
    engine = cast(Any, project)
    migrator, record = MIGRATORS["alembic"], record_of(Deploy(run="x", migrate="alembic"))
    migrator.upgrade(engine, record, "")
    migrator.downgrade(engine, record, "base")
    MIGRATORS["none"].upgrade(engine, record, "x")
    assert [" ".join(line.split()[-2:]) for line in project.ran] == ["upgrade head", "downgrade base"]


def test_a_server_without_tls_is_told_with_its_mend() -> None:
    done = Completed(("dbmate", "status"), 2, "Error: pq: SSL is not enabled on the server", 0.1)
    error = alembic.failure(done, "dbmate status", "dbmate status")
    assert "?sslmode=disable" in error.next_step
