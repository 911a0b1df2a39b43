"""The deployments of an environment, newest first, and what follows from them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from cicd.core.release import Release
from cicd.errors import MigrationFailed, Unhealthy

TASK = "cicd"
FORMAT = 1
Verdict = Literal["stable", "failed", "inconclusive", "rolled-back", "in-progress"]
VERDICTS: tuple[Verdict, ...] = ("stable", "failed", "inconclusive", "rolled-back")

Content = tuple[str, str, str]
BY_HAND = "by-hand"  # the reason code of a release that was left by a rollback
BLAMED = {Unhealthy.reason, MigrationFailed.reason}  # reasons of a failure that are the release's own

# GitHub's states for our verdicts. https://docs.github.com/en/rest/deployments/statuses
STATES: dict[Verdict, str] = {
    "stable": "success",
    "failed": "failure",
    "inconclusive": "error",
    "rolled-back": "inactive",
    "in-progress": "in_progress",
}


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What we write into a deployment.

    Attributes:
        key: finds it again, so that a write is never repeated blindly.
        run: GitHub's id of the run; empty for one from a terminal.
        approved_by: logins of those who let it through.
        replaces: id of the release that ran before.
        reason: why, for a rollback.
        at: when it began, in seconds since 1970: GitHub knows only when it was told.
        alert: id of the alert that asked for a rollback; empty: none did.
        rehearsal: whether a rollback only shows that one could go back, and says nothing against what it leaves.
        changes: when each change that a promotion brings came to its branch, in seconds since 1970, newest first:
            committer times of the first parents since the release before, so a merge counts once, squashed or not.
    """

    cicd: int = FORMAT
    kind: Literal["promote", "rollback"]
    release: Release
    release_id: str
    key: str
    run: str = ""
    approved_by: list[str] = []
    replaces: str = ""
    reason: str = ""
    at: float = 0.0
    alert: str = ""
    rehearsal: bool = False
    changes: list[float] = []


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to put a release into an environment, as the ledger has it.

    Attributes:
        id: GitHub's number.
        environment: where.
        created_at: ISO 8601, as GitHub writes it.
        verdict: how it ended.
        note: what was written with the verdict.
        verdicts: each one that was written, with its time as GitHub writes it, oldest first.
        payload: ours.
    """

    id: int
    environment: str
    created_at: str
    verdict: Verdict
    note: str = ""
    verdicts: tuple[tuple[str, Verdict], ...] = ()
    payload: Payload

    @property
    def release(self) -> Release:
        return self.payload.release


def read_deployment(node: Mapping[str, Any]) -> Deployment | None:
    """A deployment from a GraphQL node; None if it is not ours (GitHub makes its own for each job)."""
    payload = _payload(node.get("payload"))
    if payload is None or node.get("task") != TASK:
        return None
    # GitHub gives them newest first, with times in whole seconds; the order within one second must survive the sort.
    statuses = sorted(reversed(node["statuses"]["nodes"]), key=lambda status: status["createdAt"])
    told = [(str(status["createdAt"]), *found) for status in statuses if (found := _verdict(status))]
    _, verdict, note = told[-1] if told else ("", "in-progress", "")
    return Deployment(
        id=int(node["databaseId"]),
        environment=str(node["environment"]),
        created_at=str(node["createdAt"]),
        verdict=verdict,
        note=note,
        verdicts=tuple((at, one) for at, one, _ in told),
        payload=payload,
    )


def _payload(value: Any) -> Payload | None:
    """GraphQL gives the payload as a string, sometimes encoded twice."""
    for _ in range(3):
        if not isinstance(value, str):
            break
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return None
    try:
        payload = msgspec.convert(value, Payload)
    except msgspec.ValidationError:
        return None
    return payload if payload.cicd == FORMAT else None


def _verdict(status: Mapping[str, Any]) -> tuple[Verdict, str] | None:
    """The verdict of ours that a status says, and its note; `inactive` ones that GitHub adds by itself say none."""
    head, _, note = str(status.get("description") or "").partition(": ")
    return next(((verdict, note) for verdict in VERDICTS if head == verdict), None)


def description(verdict: Verdict, note: str) -> str:
    """A status description that read_deployment understands; GitHub takes at most 140 characters."""
    text = f"{verdict}: {note}"
    return text if len(text) <= 140 else text[:139] + "…"


def of(ledger: Sequence[Deployment], environment: str) -> list[Deployment]:
    """The environment's deployments, newest first."""
    return [entry for entry in ledger if entry.environment == environment]


def current(ledger: Sequence[Deployment], environment: str) -> Deployment | None:
    """What runs there: the newest deployment that took effect and was not taken back."""
    for entry in of(ledger, environment):
        if entry.verdict in ("stable", "inconclusive"):
            return entry
    return None


def blames(entry: Deployment) -> bool:
    """Whether a deployment speaks against its release, and not against the machine, the person or the job."""
    return speaks_against(entry.payload.kind, entry.verdict, entry.note)


def speaks_against(kind: Literal["promote", "rollback"], verdict: Verdict, note: str) -> bool:
    """As `blames`, of what the ledger may not know yet."""
    reason = note.partition(": ")[0]
    if verdict == "rolled-back":
        return reason in BLAMED or reason == BY_HAND
    return verdict == "failed" and kind == "promote" and reason in BLAMED


def replaced_by(ledger: Sequence[Deployment], rollback: Payload) -> Deployment | None:
    """The newest deployment of the release that a rollback left, if the ledger still has it."""
    if rollback.kind != "rollback" or rollback.rehearsal:
        return None
    return next((entry for entry in ledger if entry.release.id == rollback.replaces), None)


def poisoned(ledger: Sequence[Deployment], environment: str) -> set[Content]:
    """Contents of releases of which the newest deployment in the environment that says anything is a bad one.

    That a release was left by a rollback follows from the rollback's own entry, whether or not the one that was left
    could be marked too.
    """
    here = of(ledger, environment)
    standing: dict[Content, bool] = {}
    for entry in here:
        if entry.verdict == "stable" or blames(entry):
            standing.setdefault(entry.release.content, blames(entry))
        if entry.verdict == "stable" and (left := replaced_by(here, entry.payload)):
            standing.setdefault(left.release.content, True)
    return {content for content, bad in standing.items() if bad}


def left_by_hand(ledger: Sequence[Deployment], environment: str, content: Content) -> Payload | None:
    """The rollback by which somebody left this content; None if that is not the newest thing said against it."""
    here = of(ledger, environment)
    for entry in here:
        left = replaced_by(here, entry.payload) if entry.verdict == "stable" else None
        if left and left.release.content == content:
            return entry.payload
        if entry.release.content == content and blames(entry) and not entry.note.startswith(BY_HAND):
            return None
    return None


def rehearsed(ledger: Sequence[Deployment], environment: str, old: str, new: str) -> bool:
    """Whether the environment has gone back from the image `new` to the image `old` and held, as a rehearsal."""
    here = of(ledger, environment)
    images = {entry.release.id: entry.release.image for entry in here}
    return any(
        entry.payload.rehearsal
        and entry.verdict == "stable"
        and entry.release.image == old
        and images.get(entry.payload.replaces) == new
        for entry in here
    )


def last_healthy(ledger: Sequence[Deployment], environment: str, current_id: str) -> list[Release]:
    """Releases other than the current one that were stable and are not poisoned, newest first.

    Never simply the one before: it may have failed, or been rolled back since.
    """
    bad = poisoned(ledger, environment)
    found = [
        entry.release
        for entry in of(ledger, environment)
        if entry.verdict == "stable" and entry.release.id != current_id and entry.release.content not in bad
    ]
    return list({release.id: release for release in found}.values())


def stable_images(ledger: Sequence[Deployment], environment: str) -> set[str]:
    """Digests that are stable in the environment."""
    bad = poisoned(ledger, environment)
    here = of(ledger, environment)
    return {entry.release.image for entry in here if entry.verdict == "stable" and entry.release.content not in bad}


def without_verdict(ledger: Sequence[Deployment], environment: str) -> list[Deployment]:
    """Deployments that were opened and never closed. Whoever holds the lock knows that their runs are dead."""
    return [entry for entry in of(ledger, environment) if entry.verdict == "in-progress"]
