"""A project that is not ours: SQLAlchemy's PostgreSQL dialect tests, on the database that setup-env started."""

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters.services.job import State, end, read_state

CICD = Path(__file__).resolve().parents[2] / "src" / "cicd" / "__main__.py"

# README.unittests of its source package asks for these.
SCHEMAS = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    for what in ("SCHEMA test_schema", "SCHEMA test_schema_2", "EXTENSION hstore", "EXTENSION citext"):
        connection.execute("CREATE " + what)
"""

# They sort by the collation "en_US", which comes from the machine's locales; few machines have that one.
NEED_A_LOCALE = {
    "CoreArrayRoundTripTest_postgresql+psycopg test_array_str_collation",
    "PGArrayRoundTripTest_postgresql+psycopg test_array_str_collation",
}

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def sqlalchemy(tmp_path: Path) -> Path:
    wanted = [
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        "sqlalchemy",
        "--dest",
        str(tmp_path),
        "sqlalchemy==2.0.*",
    ]
    subprocess.run(["python3", "-m", "pip", *wanted], check=True, cwd=tmp_path)
    (archive,) = tmp_path.glob("sqlalchemy-*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    folder = tmp_path / archive.name.removesuffix(".tar.gz")
    (folder / "ci.txt").write_text("-e .\npytest<9\npytest-xdist\npsycopg[binary]\n")
    (folder / "schemas.py").write_text(SCHEMAS)
    return folder


def cicd(folder: Path, *arguments: str, **env: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-I", str(CICD), *arguments, "--json"],
        cwd=folder,
        env={**os.environ, "DISABLE_SQLALCHEMY_CEXT": "1", "RUNNER_TEMP": str(folder.parent), **env},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_its_dialect_tests(sqlalchemy: Path, cicd_home: Path) -> None:
    inputs = ["--services", "postgres:18", "--settings", "postgres.max_prepared_transactions=10"]
    inputs += ["--requirements", "ci.txt", "--migrate", "python schemas.py"]
    code, ready = cicd(sqlalchemy, "setup-env", *inputs, CICD_HOME=str(cicd_home))
    assert code == 0, ready
    try:
        outputs = ready["outputs"]
        url = outputs["database-url"].replace("postgresql:", "postgresql+psycopg:")
        path = f"{Path(outputs['python']).parent}{os.pathsep}{os.environ['PATH']}"
        tests = "test/dialect/postgresql test/dialect/test_suite.py"
        command = f"pytest {tests} -p no:logging -n 4 --maxfail=1000 --dburi $TEST_URL"
        _, result = cicd(sqlalchemy, "run-suite", "--suite", "dialect", "--run", command, TEST_URL=url, PATH=path)
    finally:
        for folder in sqlalchemy.parent.glob("cicd-services-*"):
            end(folder, read_state(folder) or State())
    print(json.dumps(result["data"], indent=1)[:6000])
    assert int(result["outputs"]["tests"]) - int(result["outputs"]["failed"]) > 10_000
    assert failures(Path(result["outputs"]["junit"]).read_text()) <= NEED_A_LOCALE


def failures(report: str) -> set[str]:
    """`Class test` of each failed test, without the versions that SQLAlchemy writes into the class's name."""
    cases = re.findall(r'<testcase classname="([^"]*)" name="([^"]*)"[^>]*><(?:failure|error)', report)
    return {f"{re.sub(r'_[0-9_]+$', '', where.split('.')[-1])} {name}" for where, name in cases}
