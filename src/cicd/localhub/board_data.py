"""What the board shows, read from the database. Payloads are anybody's: nothing of them is relied upon."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from cicd.localhub.calls import Json
from cicd.localhub.environments import reviewers_of
from cicd.localhub.reviews import may_review
from cicd.localhub.runs import RUNS, WAITING, waiting_of
from cicd.localhub.store import Db, Row, count, many, one

HISTORY = 50  # deployments, and runs, of a repository
VERDICTS = ("stable", "failed", "inconclusive", "rolled-back")
RUNNING = ("stable", "inconclusive", "success")
UNDER_WAY = ("in_progress", "queued", "pending")


@dataclass(frozen=True)
class Deployment:
    """One attempt, with what our own payloads say about it; empty where a payload says nothing."""

    id: int
    environment: str
    sha: str
    release: str
    kind: str
    verdict: str
    note: str
    at: str
    by: str
    approved_by: list[str]
    url: str
    log_url: str
    details: list[tuple[str, str]]


@dataclass(frozen=True)
class Environment:
    """An environment with what runs there and what is on its way."""

    id: int
    name: str
    rules: list[str]
    current: Deployment | None
    active: Deployment | None


@dataclass(frozen=True)
class Pending:
    """A run that waits for a review."""

    run_id: int
    environment_id: int
    environment: str
    workflow: str
    actor: str
    branch: str
    sha: str
    since: str
    plan: str
    reviewers: list[str]
    candidates: list[str]
    wait_timer: int


@dataclass(frozen=True)
class Repository:
    """A repository."""

    id: int
    name: str
    environments: list[Environment]
    pending: list[Pending]
    history: list[Deployment]
    total: int
    runs: list[Row] = field(default_factory=list)


def _mapping(value: Any) -> Json:
    """A payload as a mapping, however often it was encoded."""
    for _ in range(3):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _word(value: Any) -> str:
    return str(value)[:200] if isinstance(value, str | int | float) else ""


def _verdict(statuses: list[Row]) -> tuple[str, str]:
    """Verdict and note of the newest status that says one; else the newest state."""
    for status in statuses:
        head, _, note = status["description"].partition(":")
        if head in VERDICTS:
            return head, note.strip()
    return (statuses[0]["state"], statuses[0]["description"]) if statuses else ("pending", "")


def _details(release: Json) -> list[tuple[str, str]]:
    keys = ("image", "config", "schema", "manifest")
    return [(key, _word(release[key])) for key in keys if _word(release.get(key))]


def read_deployment(db: Db, row: Row) -> Deployment:
    """A deployment as the board shows it."""
    sql = "SELECT * FROM deployment_statuses WHERE deployment_id = ? ORDER BY id DESC LIMIT 20"
    statuses = many(db, sql, row["id"])
    payload = _mapping(row["payload"])
    release = payload["release"] if isinstance(payload.get("release"), dict) else {}
    label = _word(release.get("version")) or _word(release.get("id")) or _word(payload.get("release_id"))
    verdict, note = _verdict(statuses)
    approvers = payload.get("approved_by")
    return Deployment(
        id=row["id"],
        environment=row["environment"],
        sha=row["sha"],
        release=label or row["ref"],
        kind=_word(payload.get("kind")) or row["task"],
        verdict=verdict,
        note=note or row["description"] or "",
        at=statuses[0]["created_at"] if statuses else row["created_at"],
        by=row["creator"],
        approved_by=[_word(name) for name in approvers] if isinstance(approvers, list) else [],
        url=next((status["environment_url"] for status in statuses if status["environment_url"]), ""),
        log_url=next((status["log_url"] for status in statuses if status["log_url"]), ""),
        details=_details(release),
    )


_DEPLOYMENTS = """SELECT d.*, u.login AS creator FROM deployments d JOIN users u ON u.id = d.creator_id
    WHERE d.job_id IS NULL AND d.repo_id = ?"""


def _environment(db: Db, row: Row) -> Environment:
    sql = f"{_DEPLOYMENTS} AND d.environment = ? ORDER BY d.id DESC LIMIT {HISTORY}"
    found = [read_deployment(db, one_) for one_ in many(db, sql, row["repo_id"], row["name"])]
    place = next((place for place, entry in enumerate(found) if entry.verdict in RUNNING), len(found))
    current = found[place] if place < len(found) else None
    active = next((entry for entry in found[:place] if entry.verdict in UNDER_WAY), None)
    reviewers = [user["login"] for user in reviewers_of(db, row)]
    rules = [f"approval by {' or '.join(reviewers)}"] if reviewers else []
    rules += ["no self-review"] if reviewers and row["prevent_self_review"] else []
    rules += [f"waits {row['wait_timer']} min"] if row["wait_timer"] else []
    rules += ["chosen branches only"] if row["branch_policy"] else []
    return Environment(row["id"], row["name"], rules, current, active)


def _pending(db: Db, run: Row) -> list[Pending]:
    found = []
    for row in waiting_of(db, run):
        if row["review"]:
            continue  # approved: only its timer runs
        environment = one(db, "SELECT * FROM environments WHERE id = ?", row["environment_id"]) or {}
        plan = one(db, "SELECT * FROM plans WHERE run_id = ? AND environment = ?", run["id"], row["environment"])
        reviewers = reviewers_of(db, environment)
        entry = Pending(
            run_id=run["id"],
            environment_id=row["environment_id"],
            environment=row["environment"],
            workflow=run["name"],
            actor=run["actor"],
            branch=run["head_branch"] or "",
            sha=run["head_sha"],
            since=row["started_at"],
            plan=plan["markdown"] if plan else "",
            reviewers=[user["login"] for user in reviewers],
            candidates=[user["login"] for user in reviewers if may_review(db, run, environment, user["id"])],
            wait_timer=row["wait_timer"],
        )
        found.append(entry)
    return found


def read_repository(db: Db, repo: Row) -> Repository:
    """All that the board shows of a repository."""
    environments = many(db, "SELECT * FROM environments WHERE repo_id = ? ORDER BY id", repo["id"])
    history = many(db, f"{_DEPLOYMENTS} ORDER BY d.id DESC LIMIT {HISTORY}", repo["id"])
    sql = f"{WAITING} SELECT * FROM ({RUNS}) WHERE repo_id = ? ORDER BY id DESC LIMIT {HISTORY}"  # noqa: S608 (our own text)
    runs = many(db, sql, repo["id"])
    waiting = f"{WAITING} SELECT * FROM ({RUNS}) WHERE repo_id = ? AND shown_status = 'waiting' ORDER BY id"  # noqa: S608
    return Repository(
        id=repo["id"],
        name=f"{repo['owner']}/{repo['name']}",
        environments=[_environment(db, row) for row in environments],
        pending=[entry for run in many(db, waiting, repo["id"]) for entry in _pending(db, run)],
        history=[read_deployment(db, row) for row in history],
        total=count(db, "SELECT count(*) FROM deployments WHERE job_id IS NULL AND repo_id = ?", repo["id"]),
        runs=runs,
    )


def read_board(db: Db) -> list[Repository]:
    """All repositories."""
    return [read_repository(db, repo) for repo in many(db, "SELECT * FROM repos ORDER BY id")]
