import pytest

from cicd.core.config import Deploy, Migrations
from cicd.core.migration_sources import read_migrations as by_config
from cicd.core.migrations import Migration
from cicd.core.sql_migrations import read_migrations
from cicd.errors import ConfigError

UP, DOWN = "alter table t add b int;", "alter table t drop b;"
DBMATE = f"-- migrate:up transaction:false\n{UP}\n-- migrate:down\n{DOWN}\n"
GOOSE = f"-- +goose Up\n{UP}\n-- +goose Down\n{DOWN}\n"
SQL_MIGRATE = f"-- +migrate Up\n{UP}\n-- +migrate Down\n{DOWN}\n"


@pytest.mark.parametrize(
    "files",
    [
        {"db/20240131_add_b.sql": DBMATE},
        {"db/20240131_add_b.sql": GOOSE},
        {"db/20240131-add_b.sql": SQL_MIGRATE},
        {"db/20240131_add_b.up.sql": UP, "db/20240131_add_b.down.sql": DOWN},
        {"db/V20240131__add_b.sql": UP, "db/U20240131__add_b.sql": DOWN},
    ],
)
def test_each_way_to_write_one(files: dict[str, str]) -> None:
    others = {"db/README.sql": "x", "db/old/1_x.sql": "x", "other/2_x.sql": "x"}
    assert read_migrations({**files, **others}, "db") == [
        Migration(revision="20240131", down="", kind="expand", title="add b", cost=["drops column `t.b`"])
    ]


def test_they_come_by_number() -> None:
    found = read_migrations({"10_c.sql": DBMATE, "9_b.sql": DBMATE, "001_a.sql": DBMATE}, ".")
    assert [(one.revision, one.down) for one in found] == [("001", ""), ("9", "001"), ("10", "9")]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (UP, "irreversible"),  # all of it is the way up
        (f"-- migrate:up\n{UP}\n-- migrate:down\n", "irreversible"),
        ("-- migrate:up\n-- migrate:down\n", "expand"),
        (f"-- migrate:up\n{DOWN}\n-- migrate:down\n{UP}", "irreversible"),
        (f"-- cicd: reversible, it is empty\n-- migrate:up\n{DOWN}\n-- migrate:down\n{UP}", "reversible"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    (migration,) = read_migrations({"1.sql": text}, "")
    assert migration.kind == kind


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no migration in db"),
        ({"db/1_a.sql": UP, "db/01_b.sql": UP}, "have the number"),
        ({"db/1_a.sql": UP, "db/2_b.down.sql": UP}, "not there"),
    ],
)
def test_what_is_no_line_is_refused(files: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_migrations(files, "db")


def test_the_config_says_how_they_are_written() -> None:
    settings = Migrations(folder="sql")
    assert by_config(Deploy(run="x"), {}) == []
    assert [
        one.revision for one in by_config(Deploy(run="x", migrate="command", migrations=settings), {"sql/1.sql": UP})
    ]
    with pytest.raises(ConfigError, match=r"no alembic\.ini"):
        by_config(Deploy(run="x", migrate="alembic"), {})
