"""Our reading of SQL held against squawk's, which has PostgreSQL's whole grammar."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from tests.core.test_sql_source import CASES, kinds

pytestmark = pytest.mark.real

# What it holds to break clients. Its rule on foreign keys is about locks: a new, empty column breaks nobody.
BREAKING = {
    "adding-not-nullable-field",
    "adding-required-field",
    "ban-drop-column",
    "ban-drop-database",
    "ban-drop-table",
    "changing-column-type",
    "constraint-missing-not-valid",
    "disallowed-unique-constraint",
    "renaming-column",
    "renaming-table",
}
ALTER = ["alter table", "ALTER TABLE IF EXISTS", "alter table only"]
TABLES = ["t", "app.t", '"T t"', 'public."x,y"', "t /* a; b */"]
ACTIONS = [
    "add b int",
    "add column if not exists b numeric(10, 2) default 1.5",
    "add column b text not null default 'a, not null'",
    "add column b text not null",
    "add column b int generated always as identity",
    "add b int references u (id)",
    "add constraint c unique (a, b)",
    "add constraint c foreign key (a) references u (id)",
    "add check (a > 1)",
    'drop column "b c"',
    "drop if exists b cascade",
    "drop constraint if exists c",
    "rename a to b",
    "rename column a to b",
    "rename to u",
    "alter column a type numeric(10, 2) using round(a, 2)",
    "alter a set data type varchar(10)",
    "alter a set not null",
    "alter column a drop not null",
    "alter column a set default 'x, drop column b'",
    "alter column a drop default",
    "alter column a set statistics 100",
    "validate constraint c",
    "add column a int, add column b int",
    "add column a int, drop column b",
    "alter column a set default f(1, 2), alter column b type int",
]


def findings(statements: list[str], folder: Path) -> list[set[str]]:
    """The names of squawk's rules that each statement breaks."""
    for number, statement in enumerate(statements):
        (folder / f"{number}.sql").write_text(f"{statement};\n")
    squawk = [str(Path(sys.executable).with_name("squawk")), "--reporter", "json"]
    names = [f"{number}.sql" for number in range(len(statements))]
    done = subprocess.run([*squawk, *names], cwd=folder, capture_output=True, text=True, check=False)
    found: dict[str, set[str]] = {name: set() for name in names}
    for finding in json.loads(done.stdout):
        found[finding["file"]].add(finding["rule_name"])
    return list(found.values())


def test_what_squawk_holds_to_break_clients_is_never_held_harmless(tmp_path: Path) -> None:
    statements = [sql for sql, _ in CASES if ";" not in sql]
    statements += [" ".join(words) for words in product(ALTER, TABLES, ACTIONS)]
    rules = findings(statements, tmp_path)
    wrong = [sql for sql, broken in zip(statements, rules, strict=True) if broken & BREAKING and harmless(sql)]
    assert wrong == []
    assert sum(bool(broken & BREAKING) for broken in rules) > 100, "squawk has read them"


def harmless(sql: str) -> bool:
    return set(kinds(sql).split()) == {"adds"}


def test_what_it_can_read_we_can(tmp_path: Path) -> None:
    """A statement that is only unreadable to us is irreversible without need."""
    statements = [" ".join(words) for words in product(ALTER, TABLES, ACTIONS)]
    for sql, broken in zip(statements, findings(statements, tmp_path), strict=True):
        if "syntax-error" not in broken:
            assert "unknown" not in kinds(sql), sql
