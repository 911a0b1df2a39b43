import pytest

from cicd.core.migrations import Migration, between, head, read_migration, read_migrations, script_folder
from cicd.errors import ConfigError

SOURCE = '''"""{title}"""
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


@pytest.mark.parametrize(
    ("up", "back", "kind"),
    [
        ("op.add_column('a', c)", "op.drop_column('a', 'b')", "expand"),
        ("op.create_table('a')", "op.drop_table('a')", "expand"),
        ("op.drop_column('a', 'b')", "op.add_column('a', c)", "reversible"),
        ("op.execute('UPDATE a')", "op.execute('UPDATE b')", "reversible"),
        ("op.add_column('a', c)", "pass", "irreversible"),
        ("op.drop_table('a')", "raise NotImplementedError", "irreversible"),
    ],
)
def test_classes(up: str, back: str, kind: str) -> None:
    migration = read_migration(source("1", None, up, back), "x.py")
    assert migration is not None
    assert migration.kind == kind


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
    assert head(read_migrations(files())) == ""


def test_a_python_file_that_is_no_migration() -> None:
    assert read_migration("x = 1", "x.py") is None


@pytest.mark.parametrize(
    "text", ["[alembic]\nscript_location = db/migrations", "[alembic]\nscript_location = %(here)s/db/migrations"]
)
def test_script_folder(text: str) -> None:
    assert script_folder(text) == "db/migrations"


LINE = [Migration(revision=name, down="", kind="expand") for name in "abcd"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [("", "d", "abcd"), ("b", "d", "cd"), ("d", "d", ""), ("d", "b", ""), ("unknown", "b", "ab"), ("a", "", "")],
)
def test_between(low: str, high: str, expected: str) -> None:
    assert "".join(migration.revision for migration in between(LINE, low, high)) == expected
