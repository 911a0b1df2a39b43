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


@pytest.mark.parametrize(
    ("name", "text", "unread"),
    [
        ("1_x.sql", f"-- scale down\n{DOWN}", ["`-- scale down` (1_x.sql:1), which cannot be read"]),
        ("1_x.sql", f"-- we scale it down.\n{DOWN}", []),
        ("1_x.sql", f"{DOWN}\n-- migrate:up\n{UP}\n-- migrate:down\n{DOWN}", []),
        ("1_x.sql", f"-- migrate:up\n{DOWN}\n-- migrate:up\n{UP}\n-- migrate:down\n{DOWN}", []),
        ("V1__x.sql", f"-- migrate:up\n-- migrate:down\n{DOWN}", []),
        ("1_x.up.sql", f"alter table t add c int;\n-- migrate:down\n{DOWN}", []),
    ],
)
def test_what_goes_up_is_not_taken_for_the_way_down(name: str, text: str, unread: list[str]) -> None:
    (migration,) = read_migrations({name: text}, "")
    assert migration.loses == ["drops column `t.b`", *unread]


@pytest.mark.parametrize(
    "line",
    [
        "-- migrate:Down",
        "  -- migrate:down",
        "-- MIGRATE:DOWN",
        "-- +goose down",
        "-- @DOWN",
        "-- down",
    ],
)
def test_a_line_that_divides_for_some_tools_alone_is_not_trusted(line: str) -> None:
    (migration,) = read_migrations({"db/1_x.sql": f"-- migrate:up\n{UP}\n{line}\n-- migrate:down\n{DOWN}"}, "db")
    assert migration.breaks == [f"`{line.strip()}` (db/1_x.sql:3), which cannot be read"]


def test_the_line_of_what_cannot_be_read_is_told() -> None:
    text = f"-- migrate:up\n{UP}\n\n  frobnicate\n  t;\n-- migrate:down\n{DOWN}\nselect purge();\n"
    (migration,) = read_migrations({"db/1_x.sql": text}, "db")
    assert migration.loses == migration.breaks == ["`frobnicate t` (db/1_x.sql:4), which cannot be read"]
    assert migration.cost[1:] == ["`purge(…)` in `select purge()` (db/1_x.sql:8), which cannot be read"]


@pytest.mark.parametrize("down", ["", "select 1;", "-- nothing\n", "begin; commit;"])
def test_a_way_down_that_does_nothing_is_none(down: str) -> None:
    (migration,) = read_migrations({"1_x.up.sql": UP, "1_x.down.sql": down}, "")
    assert (migration.kind, migration.way_down) == ("irreversible", False)


ORDINARY = """
create table users (id bigint generated always as identity (start with 1) primary key, email citext not null unique,
    team_id uuid references teams (id) on delete set null, price numeric(10, 2) check (price > 0),
    at timestamptz not null default now(), data jsonb not null default '{{}}'::jsonb, exclude using gist (at with &&));
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS users_email ON users USING btree (lower(email)) WHERE price IS NOT NULL;
alter table users enable row level security;
alter table teams add column if not exists "Name" text, add column n int not null default 0;
alter table teams add column total numeric generated always as (n * 2) stored;
alter table teams alter column n set default my_default(), alter column n drop not null;
alter table users add constraint k foreign key (team_id) references teams (id) not valid;
alter table users validate constraint k;
create type mood as enum ('sad', 'ok');
alter type mood add value 'happy' before 'ok';
create extension if not exists "uuid-ossp";
create or replace function touch() returns trigger language plpgsql as $$ begin new.at := now(); return new; end $$;
create trigger touch before update on users for each row execute function touch();
create view v as select id, purge(id) from users;
create schema if not exists app; create sequence s start 1; create domain d as text check (value <> '');
comment on column users.email is E'it\\'s; unique'; grant select, insert on users to app;
insert into teams (id, "Name") values (gen_random_uuid(), 'x'), (uuid_generate_v4(), 'y''; drop table t')
    on conflict (id) do nothing;
set local lock_timeout = '2s'; set search_path to "$user", public; begin; commit;
"""


def test_ordinary_sql_is_read() -> None:
    (migration,) = read_migrations({"1_x.sql": f"-- migrate:up\n{ORDINARY}\n-- migrate:down\ndrop table users;"}, "")
    assert (migration.kind, migration.breaks, migration.loses) == ("reversible", [], [])
