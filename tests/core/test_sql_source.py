import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.sql_source import read_sql
from cicd.core.sql_tokens import statements

# Each with what it does: adds, breaks the old code, loses data.
CASES = [
    ("create table t (id bigint primary key, a text default 'x;y')", "adds"),
    ("create temporary table t as select 1", "adds"),
    ("create index concurrently i on t (a)", "adds"),
    ("create unique index concurrently i on t using btree (a)", "breaks"),
    ("create table t (a int); create unique index i on t (a)", "adds adds"),
    ("drop index concurrently if exists i", "alters"),
    ("alter table t add column b int", "adds"),
    ("alter table t add column b int not null default 0", "adds"),
    ("alter table t add column b bigserial primary key", "adds"),
    ("alter table t add column b int not null", "breaks"),
    ("create table t (a int); alter table t add b int not null", "adds adds"),
    ("create table if not exists t (a int); alter table t add b int not null", "adds breaks"),
    ('alter table if exists only public."T" drop column if exists c cascade', "loses"),
    ("alter table t add column b int, drop column c", "adds loses"),
    ("alter table t rename to u", "breaks"),
    ("alter table t rename column a to b", "breaks"),
    ("alter table t alter column a set not null", "breaks"),
    ("alter table t alter a drop not null", "adds"),
    ("alter table t alter a set default 1", "adds"),
    ("alter table t alter column a type text using a::text", "breaks"),
    ("alter table t alter column a set data type integer", "loses"),
    ("alter table t add constraint c check (a > 1)", "breaks"),
    ("alter table t add constraint c foreign key (a) references u not valid", "breaks"),
    ("alter table t validate constraint c", "adds"),
    ("alter table t drop constraint c", "alters"),
    ("drop table t", "loses"),
    ("drop schema s cascade", "loses"),
    ("drop view v", "breaks"),
    ("truncate t, u", "overwrites"),
    ("update t set a = 1 where b", "overwrites"),
    ("delete from only t", "overwrites"),
    ("alter table t add b int; update t set b = coalesce(a, 1) where b is null", "adds adds"),
    ("alter table t add b int; update t set b = (select 1 from u), a = 2", "adds overwrites"),
    ("insert into t values (1)", "adds"),
    ("insert into t values (1) on conflict (id) do update set a = 1", "overwrites"),
    ("alter type mood add value if not exists 'fine'", "adds"),
    ("create extension if not exists citext; grant select on t to u", "adds adds"),
    ("set lock_timeout = '3s'; /* drop table t; */ select 1 -- drop table u", "adds adds"),
    ("do $$ begin delete from t; end $$", "unknown"),
    ("with x as (select 1) delete from t using x", "unknown"),
    ("select * into u from t", "unknown"),
    ("frobnicate t", "unknown"),
]


def kinds(sql: str) -> str:
    words = []
    for change in read_sql(sql):
        if change.what.endswith("which cannot be read"):
            assert (change.breaks, change.loses) == (True, True)
            words.append("unknown")
        elif change.loses:
            words.append("loses" if change.breaks else "overwrites")
        else:
            words.append("breaks" if change.breaks else "adds" if change.adds else "alters")
    return " ".join(words)


@pytest.mark.parametrize(("sql", "expected"), CASES)
def test_what_statements_do(sql: str, expected: str) -> None:
    assert kinds(sql) == expected
    assert kinds(sql.upper().replace("''", "")) == expected or '"' in sql, "keywords have no case"


TEXT = st.text(alphabet="ab;'$-/* \n", max_size=12)


@given(TEXT, TEXT)
def test_quoted_text_and_comments_end_no_statement(one: str, two: str) -> None:
    quoted = one.replace("'", "''")
    comment = two.replace("\n", " ")
    dollars = one.replace("$", "")
    sql = f"insert into t values ('{quoted}', $q${dollars}$q$); -- {comment}\nselect 1;"
    assert [text for text, _ in statements(sql)] == ["insert into t values ('', '')", "select 1"]


HIDDEN = [
    r"select E'a\''; drop table t; --'",
    "select 'a\\'; drop table t; --'",
    "/* a /* b */ select 1; */ drop table t",
    "select a$$ from b; drop table t; --$$",
    "select drop_everything()",
    "select public.drop_everything(1)",
    "insert into t select purge(x) from u",
    "create table t as select purge()",
    "with gone as (delete from t returning *) select * from gone",
    "do $$ begin drop table t; end $$",
    "call purge()",
    "execute purge",
    "\\i other.sql",
    "copy t from program 'rm'",
    "set standard_conforming_strings = off; select 'a\\'; drop table t; --'",
    "create table t (a int); set search_path = other; alter table t alter column a set not null",
    "alter table t add column b int default purge()",
    "explain analyze delete from t",
    'select "drop_everything"()',
]


@pytest.mark.parametrize("sql", HIDDEN)
def test_what_is_hidden_is_not_taken_for_harmless(sql: str) -> None:
    assert not all(change.adds for change in read_sql(sql)), read_sql(sql)


HARMLESS = st.sampled_from(
    [
        "create table x (a int default 0, b text default 'it''s; -- fine')",
        "insert into x (a) values (1), (2)",
        r"insert into x values (E'a\'b;c')",
        "create index i on x (lower(b)) where a > 1",
        "comment on table x is $c$drop table t;$c$",
        "select count(*), coalesce(max(a), 0) from x",
        'alter table "x;y" add column "drop table" int',
        "create function f() returns int language sql as $f$ delete from t; select 1 $f$",
    ]
)
NOISE = st.sampled_from([" ", "\n", "/* ' */", "-- '; $$\n", '/* /* nested */ " */'])
HARM = st.sampled_from(
    ["drop table t", "DROP  TABLE IF EXISTS t", "truncate t", "delete from t", "alter table t drop column a"]
)


@given(st.lists(HARMLESS, max_size=4), HARM, NOISE, st.data())
def test_harm_among_harmless_statements_is_seen(others: list[str], harm: str, noise: str, data: st.DataObject) -> None:
    assert all(change.adds for sql in others for change in read_sql(sql))
    parts = list(others)
    parts.insert(data.draw(st.integers(0, len(parts))), noise + noise.join(harm.split(" ")))
    assert not all(change.adds for change in read_sql(f";{noise}".join(parts)))
