import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.alembic_source import read_migration, read_migrations, script_folder
from cicd.core.migrations import head
from cicd.errors import ConfigError

SOURCE = '''"""{title}"""
import sqlalchemy as sa
from alembic import op
revision = "{revision}"
down_revision = {down!r}
def upgrade():
    {up}
def downgrade():
    {back}
'''


def source(
    revision: str, down: str | None, up: str = "op.add_column('a', c)", back: str = "op.drop_column('a', 'b')"
) -> str:
    return SOURCE.format(title=f"Title of {revision}", revision=revision, down=down, up=up, back=back)


def files(*sources: str) -> dict[str, str]:
    made = {f"migrations/versions/{number}.py": text for number, text in enumerate(sources)}
    return {"alembic.ini": "[alembic]\nscript_location = %(here)s/migrations\n", **made}


NAME = "sa.Column('b', sa.Text())"
REQUIRED = "sa.Column('b', sa.Text(), nullable=False)"
FILLED = "sa.Column('b', sa.Text(), nullable=False, server_default='')"
NUMBERED = "sa.Column('b', sa.Integer(), sa.Identity(), nullable=False)"


@pytest.mark.parametrize(
    ("up", "kind", "breaks", "loses"),
    [
        (f"op.add_column('a', {NAME})", "expand", [], []),
        (f"op.add_column('a', column={NAME})", "expand", [], []),
        (f"op.add_column('a', {FILLED})", "expand", [], []),
        (f"op.add_column('a', {NUMBERED})", "expand", [], []),
        (f"op.add_column('a', {REQUIRED})", "reversible", ["adds column `a.b`, NOT NULL without a default"], []),
        (f"op.create_table('a'); op.add_column('a', {REQUIRED})", "expand", [], []),
        ("op.create_table('a')\n    op.create_index('i', 'a', ['x'], unique=True)", "expand", [], []),
        ("op.create_index('i', 'a', ['x'])", "expand", [], []),
        ("op.create_index('i', 'a', ['x'], unique=True)", "reversible", ["creates a unique index on `a`"], []),
        ("op.drop_index('i')", "reversible", [], []),
        ("op.drop_column('a', 'b')", "irreversible", ["drops column `a.b`"], ["drops column `a.b`"]),
        ("op.drop_table('a')", "irreversible", ["drops table `a`"], ["drops table `a`"]),
        ("op.rename_table('a', 'b')", "reversible", ["renames table `a`"], []),
        ("op.alter_column('a', 'b', nullable=True)", "expand", [], []),
        ("op.alter_column('a', 'b', nullable=False)", "reversible", ["makes `a.b` NOT NULL"], []),
        ("op.alter_column('a', 'b', new_column_name='c')", "reversible", ["renames column `a.b`"], []),
        ("op.alter_column('a', 'b', server_default='x')", "expand", [], []),
        ("op.alter_column('a', 'b', server_default=None)", "reversible", ["drops the default of `a.b`"], []),
        (
            "op.alter_column('a', 'b', type_=sa.Text())",
            "reversible",
            ["changes the type of `a.b` to sa.Text()"],
            [],
        ),
        (
            "op.alter_column('a', 'b', type_=sa.Integer())",
            "irreversible",
            ["changes the type of `a.b` to sa.Integer()"],
            ["changes the type of `a.b` to sa.Integer()"],
        ),
        ("op.create_foreign_key('f', 'a', 'z', ['x'], ['y'])", "reversible", ["adds a constraint to `a`"], []),
        ("op.execute('UPDATE a SET b = 1')", "irreversible", [], ["overwrites rows of `a`"]),
        ("op.execute(sa.text('DELETE FROM a'))", "irreversible", [], ["deletes rows of `a`"]),
        ("op.get_bind().execute(sa.text('DELETE FROM a'))", "irreversible", [], ["deletes rows of `a`"]),
        (f"op.add_column('a', {NAME})\n    op.execute('UPDATE a SET b = x')", "expand", [], []),
        ("op.bulk_insert(table, [])", "expand", [], []),
        ("with op.batch_alter_table('a') as batch:\n        batch.drop_index('i')", "reversible", [], []),
        (
            "with op.batch_alter_table('a') as batch:\n        batch.drop_column('b')",
            "irreversible",
            ["drops column `a.b`"],
            ["drops column `a.b`"],
        ),
    ],
)
def test_what_operations_do(up: str, kind: str, breaks: list[str], loses: list[str]) -> None:
    migration = read_migration(source("1", None, up), "x.py")
    assert migration is not None
    assert (migration.kind, migration.breaks, migration.loses) == (kind, breaks, loses)


@pytest.mark.parametrize(
    ("up", "unread"),
    [
        ("op.execute(SQL)", ["`op.execute(SQL)`"]),
        ("op.novelty('a')", ["`op.novelty('a')`"]),
        ("audit(op)", ["`op` handed on", "`audit(op)`"]),
    ],
)
def test_what_cannot_be_read_may_break_and_lose_and_its_place_is_told(up: str, unread: list[str]) -> None:
    migration = read_migration(source("1", None, up), "x.py")
    assert migration is not None
    assert migration.kind == "irreversible"
    assert migration.breaks == migration.loses == [f"{one} (x.py:7), which cannot be read" for one in unread]


@pytest.mark.parametrize(
    ("back", "kind", "cost"),
    [
        ("op.drop_column('a', 'b')", "expand", ["drops column `a.b`"]),
        ("op.drop_index('i')", "expand", []),
        ("pass", "irreversible", []),
        ("raise NotImplementedError", "irreversible", []),
    ],
)
def test_what_the_way_back_costs(back: str, kind: str, cost: list[str]) -> None:
    migration = read_migration(source("1", None, f"op.add_column('a', {NAME})", back), "x.py")
    assert migration is not None
    assert (migration.kind, migration.cost) == (kind, cost)
    assert migration.way_down == (kind != "irreversible")


def test_functions_of_the_same_file_are_followed() -> None:
    text = source("1", None, "_move()") + "def _move():\n    op.drop_table('a')\n    _move()\n"
    migration = read_migration(text, "x.py")
    assert migration is not None
    assert migration.loses == ["drops table `a`"]


def test_they_come_in_order_whatever_their_names() -> None:
    found = read_migrations(files(source("c", "b"), source("a", None), source("b", "a")))
    assert [migration.revision for migration in found] == ["a", "b", "c"]
    assert head(found) == "c"
    assert found[0].title == "Title of a"


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([source("a", None), source("b", None)], "two migrations follow"),
        ([source("a", None), source("c", "b")], "follow none"),
        ([source("a", "b"), source("b", "a")], "follow none"),
        (["def broken("], "not valid Python"),
    ],
)
def test_what_is_no_line_is_refused(sources: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_migrations(files(*sources))


def test_without_alembic_ini() -> None:
    with pytest.raises(ConfigError, match=r"no alembic\.ini"):
        read_migrations({})


def test_no_migration_yet() -> None:
    assert head(read_migrations({**files(), "migrations/env.py": "x = 1"})) == ""


def test_a_folder_that_is_not_there_is_refused_and_not_taken_for_one_without_migrations() -> None:
    with pytest.raises(ConfigError, match=r"`migrations`, and the release has no migrations/env.py.*deploy.files"):
        read_migrations(files())
    with pytest.raises(ConfigError, match=r"has no app:migrations/env.py"):
        read_migrations({"alembic.ini": "[alembic]\nscript_location = app:migrations\n"})


def test_migrations_beside_alembic_ini() -> None:
    ini = {"alembic.ini": "[alembic]\nscript_location = .\n", "env.py": "x = 1"}
    assert [one.revision for one in read_migrations({**ini, "versions/1.py": source("1", None)})] == ["1"]


def test_a_python_file_that_is_no_migration() -> None:
    assert read_migration("x = 1", "x.py") is None


@pytest.mark.parametrize(
    "text", ["[alembic]\nscript_location = db/migrations", "[alembic]\nscript_location = %(here)s/db/migrations"]
)
def test_script_folder(text: str) -> None:
    assert script_folder(text) == "db/migrations"


def test_a_migration_whose_revision_cannot_be_read_is_not_passed_over() -> None:
    text = 'revision, down_revision = "0002", "0001"\ndef upgrade():\n    pass\n'
    with pytest.raises(ConfigError, match=r"no `revision = "):
        read_migration(text, "versions/x.py")
    assert read_migration("HELPER = 1\n", "versions/helper.py") is None


HIDDEN = [
    "from alembic import op as o\ndef upgrade():\n    o.drop_table('a')",
    "def upgrade():\n    other = op\n    other.drop_table('a')",
    "def upgrade():\n    getattr(op, 'drop_' + 'table')('a')",
    "def upgrade():\n    [f('a') for f in (op.drop_table,)]",
    "def upgrade():\n    op.get_bind().execute('DROP ' + 'TABLE a')",
    "def upgrade():\n    op.execute(f'DROP TABLE {A}')",
    "def upgrade():\n    op.execute(statement('select 1'))",
    "import alembic\ndef upgrade():\n    alembic.op.drop_table('a')",
    "from app.migrations import clean\ndef upgrade():\n    clean()",
    "from app.migrations import upgrade",
    "from app.migrations import *\ndef upgrade():\n    pass",
    "def upgrade():\n    op.create_table('b')\nupgrade = DROP['a']",
    "@around\ndef upgrade():\n    pass",
    "async def upgrade():\n    pass",
    "upgrade = lambda: op.drop_table('a')",
    "clean()\ndef upgrade():\n    pass",
    "if True:\n    op.drop_table('a')\ndef upgrade():\n    pass",
    "for name in 'ab':\n    op.drop_table(name)\ndef upgrade():\n    pass",
    "def upgrade():\n    exec('op.drop_table(1)')",
    "def upgrade():\n    Session(op.get_bind()).query(A).delete()",
    "def upgrade():\n    session = sa.orm.Session(op.get_bind())\n    session.query(A).update({})",
    "def upgrade():\n    A.__table__.drop(op.get_bind())",
    "def upgrade():\n    with op.batch_alter_table('a') as batch:\n        drop = batch.drop_column\n        drop('b')",
    "def upgrade():\n    op.create_table(NAME)\n    op.alter_column(OTHER, 'b', nullable=False)",
    "def upgrade():\n    if fresh:\n        op.create_table('a')\n    op.alter_column('a', 'b', nullable=False)",
    "def upgrade():\n    def inner():\n        op.drop_table('a')\n    inner()",
    "print = op.drop_table\ndef upgrade():\n    print('a')",
    "def upgrade():\n    op.execute(r\"SELECT E'\\''; DROP TABLE a; --'\")",
    "from app import ops as op\ndef upgrade():\n    op.create_table('a')",
]


@pytest.mark.parametrize("body", HIDDEN)
def test_what_is_hidden_is_not_taken_for_harmless(body: str) -> None:
    text = f"import sqlalchemy as sa\nfrom alembic import op\nrevision = '1'\n{body}\ndef downgrade():\n    return\n"
    migration = read_migration(text, "x.py")
    assert migration is not None
    assert migration.kind != "expand", migration


GENERATED = '''"""everything that is generated

Revision ID: 8d1
"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
import sqlmodel

revision: str = "8d1"
down_revision: Union[str, Sequence[str], None] = None
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None

users = sa.table("users", sa.column("id", sa.Integer), sa.column("name", sa.String))


def upgrade() -> None:
    """Upgrade schema."""
    # ### commands auto generated by Alembic - please adjust! ###
    op.create_table(
        "tags",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("kind", sa.Enum("a", "b", name="kind"), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("own", app.types.Money(), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["users.id"], name=op.f("fk_tags_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("title"),
        schema="public",
    )
    op.create_index(op.f("ix_tags_title"), "tags", ["title"], unique=True)
    op.create_index("ix_tags_at", "tags", [sa.text("at DESC")], unique=False, postgresql_where=sa.text("id > 1"))
    op.add_column("users", sa.Column("tag", postgresql.UUID(as_uuid=True), nullable=True))
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("nick", sa.String(length=30), server_default="", nullable=False))
        batch_op.create_index(batch_op.f("ix_users_nick"), ["nick"], unique=False)
    op.alter_column("users", "name", existing_type=sa.VARCHAR(), nullable=True)
    with op.get_context().autocommit_block():
        op.create_index("ix_more", "users", ["tag"], postgresql_concurrently=True)
    op.bulk_insert(users, [{"id": 1, "name": "x"}])
    op.execute("COMMENT ON TABLE tags IS 'it''s new'")
    op.execute(sa.text("INSERT INTO tags (id, title) SELECT id, lower(name) FROM users"))
    connection = op.get_bind()
    for row in connection.execute(sa.text("SELECT count(*) FROM users")).fetchall():
        print("users:", row)
    # ### end Alembic commands ###


def downgrade() -> None:
    op.drop_table("tags")
'''


def test_what_alembic_generates_is_read() -> None:
    migration = read_migration(GENERATED, "x.py")
    assert migration is not None
    assert (migration.kind, migration.loses, migration.breaks) == ("expand", [], [])


WAYS = st.sampled_from(
    [
        "op.{0}('a')",
        "x = op; x.{0}('a')",
        "getattr(op, '{0}')('a')",
        "(lambda: op.{0}('a'))()",
        "run = op.{0}; run('a')",
        "[op.{0}(n) for n in ['a']]",
        "list(map(op.{0}, ['a']))",
        "import alembic.op as z; z.{0}('a')",
        "op.execute('DROP' ' TABLE a')",
        "bind = op.get_bind(); bind.exec_driver_sql(SQL)",
        "vars(op)['{0}']('a')",
    ]
)


@given(WAYS, st.lists(st.sampled_from(["op.create_table('a')", "op.create_index('i', 'a', ['x'])", "pass"])), st.data())
def test_no_way_to_drop_a_table_is_harmless(way: str, others: list[str], data: st.DataObject) -> None:
    lines = list(others)
    lines.insert(data.draw(st.integers(0, len(others))), way.format("drop_table"))
    migration = read_migration(source("1", None, "\n    ".join(lines)), "x.py")
    assert migration is not None
    assert migration.kind == "irreversible"


def test_a_history_of_thousands_is_read() -> None:
    files = {"alembic.ini": "[alembic]\nscript_location=m\n", "m/env.py": ""}
    for number in range(5000):
        before = f'"{number - 1}"' if number else None
        files[f"m/versions/{number}.py"] = f'revision = "{number}"\ndown_revision = {before}\n'
    assert head(read_migrations(files)) == "4999"


@pytest.mark.parametrize(
    "body",
    [
        f"x = {'+'.join(['1'] * 5000)}",
        f"x = {'-' * 5000}1",
        f"x = {'(' * 500}{')' * 500}",
        f"x = op{'.a()' * 5000}",
        "x = '\0'",
        "\n".join(f"def f{number}():\n    f{number + 1}()" for number in range(5000)) + "\ndef upgrade():\n    f0()",
    ],
)
def test_what_is_nested_too_deeply_is_refused(body: str) -> None:
    with pytest.raises(ConfigError, match=r"^m\.py"):
        read_migration(f'revision = "a"\ndown_revision = None\n{body}\n', "m.py")
