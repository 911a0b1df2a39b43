"""Ways round: Python that reaches the database as a reader does not expect it. None of them may be held harmless."""

from textwrap import indent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.alembic_source import read_migration
from cicd.core.migrations import Migration
from cicd.errors import ConfigError

WAYS_ROUND = [
    "class A:\n    op.drop_table('a')\ndef upgrade():\n    pass",
    "class A:\n    x = op.drop_table\ndef upgrade():\n    A.info('a')",
    "def upgrade(x=op.drop_table('a')):\n    pass",
    "def upgrade() -> op.drop_table('a'):\n    pass",
    "x: op.drop_table('a')\ndef upgrade():\n    pass",
    "op.create_table = op.drop_table\ndef upgrade():\n    op.create_table('a')",
    "sa.text = evil\ndef upgrade():\n    op.execute(sa.text('select 1'))",
    "def upgrade():\n    sa.text = lambda x: 'drop table a'\n    op.execute(sa.text('select 1'))",
    "from app import tools\ndef upgrade():\n    tools.replace('a')",
    "from app import tools\ndef upgrade():\n    with tools:\n        pass",
    "from app import tools\ndef upgrade():\n    for x in tools:\n        pass",
    "from app import tools\n@tools\ndef upgrade():\n    pass",
    "from app import tools\ndef upgrade():\n    @tools\n    def f(): pass",
    "def upgrade():\n    from app import text as len\n    len()",
    "def upgrade():\n    from app import sa\n    sa.clean()",
    "def upgrade():\n    import os as sa\n    sa.system('psql')",
    "def upgrade(sa=None):\n    sa.clean()",
    "def upgrade():\n    sa.Table.drop(t, op.get_bind())",
    "def upgrade():\n    list(map(op.get_bind().execute, ['DROP TABLE a']))",
    "def upgrade():\n    list(map(_drop, 'ab'))\ndef _drop(n):\n    op.drop_table(n)",
    "def upgrade():\n    op.alter_column('a', 'b', **{'nullable': False})",
    "def upgrade():\n    op.create_index('i', 'a', ['b'], unique=FLAG)",
    "def upgrade():\n    op.create_index(*args)",
    "def upgrade():\n    op.add_column('a', make())",
    "from app import make\ndef upgrade():\n    op.add_column('a', make())",
    "def upgrade():\n    op.add_column('a', sa.Column('b', sa.Text(), nullable=FLAG))",
    "def upgrade():\n    op.add_column('a', sa.Column('b', sa.Text(), nullable=False, server_default=None))",
    "def upgrade():\n    op.add_column('a', sa.Column('b', sa.Text(), server_default=sa.text('purge()')))",
    "def upgrade():\n    op.create_table('a', if_not_exists=True)\n    op.alter_column('a', 'b', nullable=False)",
    "def upgrade():\n    op.create_table('a', schema='x')\n    op.alter_column('a', 'b', nullable=False)",
    (
        "def upgrade():\n    op.create_table('n')\n    with op.batch_alter_table('a') as b:\n"
        "        b.alter_column('x', nullable=False)\n    with op.batch_alter_table('n') as b:\n"
        "        b.alter_column('x', nullable=False)"
    ),
    (
        "def upgrade():\n    op.create_table('n')\n    op.rename_table('n', 'o')\n"
        "    op.rename_table('a', 'n')\n    op.alter_column('n', 'x', type_=sa.Integer())"
    ),
    "def text(x):\n    return 'drop table a'\ndef upgrade():\n    op.execute(text('select 1'))",
    "from sqlalchemy_utils import drop_database\ndef upgrade():\n    drop_database('x')",
    "import sqlalchemy_utils\ndef upgrade():\n    sqlalchemy_utils.drop_database('x')",
    "def upgrade():\n    op.get_context().impl.drop_table('a')",
    "def upgrade():\n    op.impl.drop_table('a')",
    "from alembic import context\ndef upgrade():\n    context.get_context().impl.execute('drop ' + x)",
    "from alembic import context\ndef upgrade():\n    context.run()",
    "def upgrade():\n    globals()['upgrade_%s' % x]()",
    "def upgrade():\n    globals()['_x']()",
    "import os\nif os.environ.get('X'):\n    def upgrade(): op.drop_table('a')\nelse:\n    def upgrade(): pass",
    "def upgrade():\n    op.create_table('a')\ntry:\n    from app import upgrade\nexcept ImportError:\n    pass",
    "from . import helper\ndef upgrade():\n    helper.copy()",
    "from .sqlalchemy import text\ndef upgrade():\n    text()",
    "def upgrade():\n    sa.event.listen(sa.Table, 'x', lambda: 1)",
    "def upgrade():\n    op.execute(select(1))\ndef select(x):\n    return 'drop'",
    "def upgrade():\n    op.execute(sa.select(sa.func.purge()))",
    "def upgrade():\n    op.execute(sa.select(sa.func.app.purge()))",
    "def upgrade():\n    op.execute(sa.select(sa.text('purge()')))",
    "def upgrade():\n    op.execute(sa.select(sa.literal_column('purge()')))",
    "SQL = 'select 1'\nSQL = 'drop table a'\ndef upgrade():\n    op.execute(SQL)",
    "SQL = 'select 1'\ndef upgrade():\n    SQL = 'drop' + ' table a'\n    op.execute(SQL)",
    "SQL = 'select 1'\nSQL += '; drop table a'\ndef upgrade():\n    op.execute(SQL)",
    (
        "SQL = 'select 1'\ndef _x():\n    global SQL\n    SQL = 'drop table a'\ndef upgrade():\n    _x()\n"
        "    op.execute(SQL)"
    ),
    "SQL = 'select 1'\nfor SQL in ['drop table a']:\n    pass\ndef upgrade():\n    op.execute(SQL)",
    "def upgrade():\n    ().__class__.__base__.__subclasses__()",
    "def upgrade():\n    yield op.create_table('a')",
    "def upgrade():\n    op.run_async(f)",
    "def upgrade():\n    op.invoke(x)",
    "def upgrade():\n    op.get_bind().connection.cursor().executemany('drop', [])",
    "import importlib\ndef upgrade():\n    importlib.import_module('x').get()",
    "def upgrade():\n    [*map(sa.Table.drop, [t])]",
    "def upgrade():\n    x = [op]\n    x[0].drop_table('a')",
    "def upgrade():\n    o = p = op\n    p.drop_table('a')",
    "def upgrade():\n    (o := op).drop_table('a')",
    "def upgrade():\n    op.f.__self__.drop_table('a')",
    "def upgrade():\n    __import__('alembic').op.drop_table('a')",
    "def upgrade():\n    eval('op').drop_table('a')",
    "from alembic.operations import Operations\ndef upgrade():\n    Operations(c).drop_table('a')",
    "def upgrade():\n    match 1:\n        case len:\n            len()",
    "def upgrade():\n    try:\n        pass\n    except Exception as print:\n        print()",
    "def upgrade():\n    op.batch_alter_table('a').__enter__().drop_column('b')",
    "def upgrade():\n    b = op.batch_alter_table('a')\n    with b as c:\n        c.drop_column('b')",
    "def upgrade():\n    with op.batch_alter_table('a') as b:\n        pass\n    b.drop_column('c')",
    "def upgrade():\n    op.execute(sqltext='drop table a')",
    "def upgrade():\n    op.execute('select 1; drop table a')",
    "def upgrade():\n    op.execute(sa.DDL('drop table %s' % a))",
    "def upgrade():\n    op.execute(sa.schema.DropTable(t))",
    "def upgrade():\n    op.execute(t.insert().from_select(['a'], sa.text('purge()')))",
    "def upgrade():\n    op.execute(t.insert(), evil())",
    "def upgrade():\n    Base.metadata.drop_all(op.get_bind())",
    "from app import Base\ndef upgrade():\n    Base.metadata.create_all(op.get_bind())",
    "def upgrade():\n    op.create_table('a', listeners=[f()])",
    "import sqlalchemy as sa\nimport evil as sa\ndef upgrade():\n    sa.x()",
    "upgrade = None\ndef upgrade():\n    op.drop_table('a')",
    (
        "def upgrade():\n    op.create_table('a')\n    op.add_column('b', sa.Column('c'))\n"
        "    op.execute('update public.b set c = 1, d = 2')"
    ),
    "def upgrade():\n    op.add_column('b', sa.Column('c'), if_not_exists=True)\n    op.execute('update b set c = 1')",
    "def upgrade():\n    op.alter_column('a','b', server_default=X)",
    "def upgrade():\n    (lambda op: op.drop_table('a'))(o)",
    "def upgrade():\n    op.bulk_insert(t, evil())",
    "from app import evil\ndef upgrade():\n    op.bulk_insert(t, evil)",
    "def upgrade():\n    print(f'{evil()}')",
    "def upgrade():\n    x.run = op.drop_table",
    "del upgrade\ndef upgrade():\n    pass",
    "def upgrade():\n    sys.modules['alembic.op'].drop_table('a')",
    "import re\ndef upgrade():\n    re.sub('a', t.drop, 'a')",
    "def upgrade():\n    session.add(x)",
    "def upgrade():\n    op.get_bind().engine.dispose()",
    "async def upgrade():\n    op.drop_table('a')",
]


def read(body: str) -> Migration:
    head = "import sqlalchemy as sa\nfrom alembic import op\nrevision = '1'\n"
    migration = read_migration(f"{head}{body}\ndef downgrade():\n    op.drop_index('i')\n", "versions/1.py")
    assert migration is not None
    return migration


@pytest.mark.parametrize("body", WAYS_ROUND)
def test_a_way_round_may_break_or_lose(body: str) -> None:
    migration = read(body)
    assert migration.kind != "expand"
    assert [*migration.breaks, *migration.loses] != []


def test_a_migration_without_upgrade_is_not_harmless() -> None:
    assert read("").kind == "irreversible"


def test_a_file_that_may_import_a_migration_is_not_passed_over() -> None:
    with pytest.raises(ConfigError, match="imports what has"):
        read_migration("from app.migrations.one import *\n", "versions/1.py")
    assert read_migration("from app import HELPER\n", "versions/helper.py") is None


@pytest.mark.parametrize(
    "body",
    [
        'def upgrade():\n    op.execute(\'select 1\')\n    op.execute("""\n        select 1;\n        {0};""")',
        'SQL = """\nselect 1;\n\n\n{0}"""\ndef upgrade():\n    op.execute(SQL)',
    ],
)
def test_the_line_of_sql_within_python_is_told(body: str) -> None:
    assert read(body.format("frobnicate t")).loses == ["`frobnicate t` (versions/1.py:8), which cannot be read"]


@pytest.mark.parametrize(
    "down",
    [
        "op.execute('select 1')",
        "print('nothing')",
        "return\n    op.drop_column('a', 'b')",
        "op.drop_column('a', 'b')\n    raise NotImplementedError",
        "op.get_bind()",
    ],
)
def test_a_way_down_that_does_nothing_is_none(down: str) -> None:
    text = "import sqlalchemy as sa\nfrom alembic import op\nrevision = '1'\n"
    text += f"def upgrade():\n    op.add_column('a', sa.Column('b'))\ndef downgrade():\n    {down}\n"
    migration = read_migration(text, "versions/1.py")
    assert migration is not None
    assert (migration.kind, migration.way_down) == ("irreversible", False)


HARMS = st.sampled_from(["op.drop_table('a')", "op.drop_column('a', 'b')", "op.alter_column('a', 'b', nullable=False)"])
HARMS |= st.sampled_from(["op.execute('DROP TABLE a')", "op.execute(f'TRUNCATE {a}')", "op.rename_table('a', 'b')"])
# `{0}` is replaced by another name of `op`, made as MADE says.
MADE = st.sampled_from(
    [
        "ops = op",
        "ops, _ = op, 1",
        "ops = getattr(module, 'op')",
        "ops = globals()['op']",
        "ops = [op][0]",
        "ops = (lambda: op)()",
        "from alembic import op as ops",
        "import alembic.op as ops",
        "from app import ops",
        "ops = eval('op')",
        "ops = vars(op)",
        "ops = op if FLAG else None",
        "for ops in (op,): pass",
        "ops = op.get_context().impl",
        "ops = Operations(op.get_context())",
        "ops = op.batch_alter_table('a').__enter__()",
    ]
)
WRAPS = st.sampled_from(
    [
        "{0}",
        "if FLAG:\n{1}",
        "if True:\n    pass\nelse:\n{1}",
        "for name in ('a', 'b'):\n{1}",
        "while FLAG:\n{1}",
        "try:\n    pass\nexcept ValueError:\n    pass\nfinally:\n{1}",
        "def inner():\n{1}\ninner()",
        "async def inner():\n{1}\nrun(inner())",
        "class Inner:\n{1}",
        "class Inner:\n    def __init__(self):\n{2}\nInner()",
        "with op.get_context().autocommit_block():\n{1}",
        "with op.batch_alter_table('z') as batch:\n{1}",
        "match FLAG:\n    case True:\n{2}",
        "exec({3!r})",
    ]
)
OTHERS = st.lists(
    st.sampled_from(["op.create_table('x')", "op.create_index('i', 'x', ['a'])", "pass", "op.execute('select 1')"])
)


@given(HARMS, st.none() | MADE, st.lists(WRAPS, max_size=3), OTHERS, st.booleans(), st.data())
def test_harm_is_seen_wherever_it_stands_and_whatever_op_is_called(
    harm: str, made: str | None, wraps: list[str], others: list[str], helper: bool, data: st.DataObject
) -> None:
    part = harm if made is None else f"{made}\n{harm.replace('op.', 'ops.')}"
    for wrap in wraps:
        part = wrap.format(part, indent(part, "    "), indent(part, "        "), part)
    others.insert(data.draw(st.integers(0, len(others))), "_part()" if helper else part)
    body = f"def upgrade():\n{indent(chr(10).join(others), '    ')}\ndef _part():\n{indent(part, '    ')}\n"
    migration = read(body)
    assert migration.kind != "expand"
    assert migration.breaks != []
