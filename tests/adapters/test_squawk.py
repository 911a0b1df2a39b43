"""Our reading of SQL held against squawk's, which has PostgreSQL's whole grammar."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.test_sql_source import CASES, kinds

pytestmark = pytest.mark.real

# What it holds to break clients.
BREAKING = {
    "adding-foreign-key-constraint",
    "adding-not-nullable-field",
    "adding-required-field",
    "ban-drop-column",
    "ban-drop-database",
    "ban-drop-not-null",
    "ban-drop-table",
    "changing-column-type",
    "constraint-missing-not-valid",
    "disallowed-unique-constraint",
    "renaming-column",
    "renaming-table",
}
LOOSER = {"ban-drop-not-null"}  # squawk thinks of clients that cannot read NULL; only the new code writes it


@pytest.mark.parametrize("sql", [sql for sql, _ in CASES if ";" not in sql])
def test_what_squawk_holds_to_break_clients_is_never_held_harmless(sql: str, tmp_path: Path) -> None:
    path = tmp_path / "one.sql"
    path.write_text(f"{sql};")
    squawk = Path(sys.executable).with_name("squawk")
    done = subprocess.run([squawk, "--reporter", "json", path], capture_output=True, text=True, check=False)
    rules = {found["rule_name"] for found in json.loads(done.stdout)}
    if rules & (BREAKING - LOOSER):
        assert set(kinds(sql).split()) != {"adds"}, rules
