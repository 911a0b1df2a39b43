from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, NullPool, create_engine, text

COLUMNS = """
select table_name, column_name, data_type, is_nullable, column_default, is_identity, identity_generation
from information_schema.columns
where table_schema = 'public' and table_name <> 'alembic_version' order by 1, 2
"""
INDEXES = """
select indexname, indexdef from pg_indexes
where schemaname = 'public' and tablename <> 'alembic_version' order by 1
"""
CONSTRAINTS = """
select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
where connamespace = 'public'::regnamespace and conrelid::regclass::text <> 'alembic_version' order by 1, 2
"""
Schema = list[list[tuple[object, ...]]]


def schema_of(url: URL) -> Schema:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return [
            [tuple(row) for row in connection.execute(text(query))]
            for query in (COLUMNS, INDEXES, CONSTRAINTS)
        ]


def test_each_migration_can_be_taken_back_and_made_again(empty_database: URL, alembic: Config) -> None:
    revisions = [script.revision for script in ScriptDirectory.from_config(alembic).walk_revisions()][::-1]
    assert revisions
    before, previous = schema_of(empty_database), "base"
    for revision in revisions:
        command.upgrade(alembic, revision)
        after = schema_of(empty_database)
        assert after != before
        command.downgrade(alembic, previous)
        assert schema_of(empty_database) == before, f"{revision}: the way down leaves something behind"
        command.upgrade(alembic, revision)
        assert schema_of(empty_database) == after, f"{revision}: the second way up differs from the first"
        before, previous = after, revision
    command.downgrade(alembic, "base")
    assert schema_of(empty_database) == [[], [], []]


def test_models_and_migrations_agree(empty_database: URL, alembic: Config) -> None:
    command.upgrade(alembic, "head")
    command.check(alembic)
