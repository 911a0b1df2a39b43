"""`cicd dora` over an organisation whose ledgers LocalHub holds: calls and seconds, the first time and the second."""

import argparse
import json
import os
import random
import sqlite3
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from table import row, show

from cicd.adapters.localhub import LocalHub
from cicd.core.ledger import Payload
from cicd.core.release import Release

CICD = Path(__file__).resolve().parents[1] / "bin" / "cicd"
TOKEN = "a-token-of-the-organisation"
YEAR = 365 * 86400.0  # seconds over which a repository's deployments lie


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=100)
    parser.add_argument("--deployments", type=int, default=1000, help="of each (default: 1000)")
    parser.add_argument("--json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        subprocess.run(["git", "init", "-q", "--bare", folder / "some.git"], check=True)
        hub = LocalHub.start(folder / "hub", {name: os.environ[name] for name in ("PATH", "HOME")})
        try:
            hub.admin("POST", "/users", {"login": "acme", "token": TOKEN})
            for number in range(given.repositories):
                about = {"owner": "acme", "name": f"r{number}", "path": str(folder / "some.git")}
                hub.admin("POST", "/repos", about)
            fill(next((folder / "hub").glob("*.db*")), given.deployments)
            show(measured(hub, folder, given.repositories, given.deployments), given.json)
        finally:
            hub.stop()


def fill(database: Path, deployments: int) -> None:
    """Write ledgers straight into the database: by the API it would take an hour."""
    chance, now = random.Random(5), time.time()
    with sqlite3.connect(database, timeout=60) as db:
        creator = db.execute("SELECT id FROM users LIMIT 1").fetchone()[0]
        for (repo,) in db.execute("SELECT id FROM repos").fetchall():
            for number in range(deployments):
                at = now - YEAR * (1 - (number + 1) / (deployments + 1))
                add(db, repo, creator, at, number, chance)


def add(db: sqlite3.Connection, repo: int, creator: int, at: float, number: int, chance: random.Random) -> None:
    """One deployment with its verdict; one of 20 is taken back."""
    release = Release(sha=f"{number:040x}", image=f"sha256:{number:064x}", config="c", schema="", manifest="m")
    changes = [at - chance.uniform(600, 7200) for _ in range(3)]
    payload = Payload(
        kind="promote", release=release, release_id=release.id, key=f"{repo}-{number}", at=at, changes=changes
    )
    written = {
        "repo_id": repo,
        "sha": release.sha,
        "ref": release.sha,
        "task": "cicd",
        "payload": json.dumps(msgspec.to_builtins(payload)),
        "environment": "production",
        "original_environment": "production",
        "description": "",
        "creator_id": creator,
        "created_at": iso(at),
        "updated_at": iso(at),
        "transient": 0,
        "production": 1,
    }
    made = insert(db, "deployments", written)
    verdicts = [(at + 90, "stable: 0 of 900 requests failed", "success")]
    if chance.random() < 0.05:
        verdicts.append((at + 600, "rolled-back: by-hand: to another", "inactive"))
    for told, description, state in verdicts:
        status = {
            "deployment_id": made,
            "state": state,
            "description": description,
            "environment": "production",
            "environment_url": "",
            "log_url": "",
            "creator_id": creator,
            "created_at": iso(told),
        }
        insert(db, "deployment_statuses", status)


def insert(db: sqlite3.Connection, table: str, values: dict[str, Any]) -> int:
    marks = ", ".join("?" * len(values))
    done = db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))
    return int(done.lastrowid or 0)


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def measured(hub: LocalHub, folder: Path, repositories: int, deployments: int) -> list[dict[str, Any]]:
    env = {
        **{name: os.environ[name] for name in ("PATH", "HOME")},
        "CICD_HOME": str(folder / "home"),
        "GITHUB_API_URL": hub.url,
        "GITHUB_TOKEN": TOKEN,
    }
    subprocess.run([CICD, "dora", "--help"], env=env, check=True, capture_output=True)  # its environment is made
    rows, most = [], 1.1 * repositories * -(-deployments // 100)
    for name in ("first", "second"):
        began = time.monotonic()
        argv = [CICD, "dora", "--org", "acme", "--days", "366", "--json"]
        done = subprocess.run(argv, env=env, cwd=folder, check=True, capture_output=True)
        seconds, data = time.monotonic() - began, json.loads(done.stdout)["data"]
        assert data["counted"]["promotions"] == repositories * deployments, data["counted"]["promotions"]
        calls, limit = data["github_calls"], most if name == "first" else repositories + 10
        what = f"{name} run over {repositories} × {deployments} deployments"
        rows.append(row(f"{what}: whole command", round(seconds, 1), "s", "≤ 30", seconds <= 30))
        rows.append(row(f"{what}: API calls", calls, "calls", f"≤ {limit:.0f}", calls <= limit))
    return rows


if __name__ == "__main__":
    main()
