"""A tiny language for ledgers: `ledger("v1 stable, v2 failed:unhealthy, v1 stable")`, oldest first as one tells it."""

from cicd.core.ledger import BY_HAND, Deployment, Payload, Verdict
from cicd.core.release import Release

SHA = "1" * 40


def release(version: str, schema: str = "") -> Release:
    return Release(sha=SHA, image=f"sha256:{version}", config="c", schema=schema, manifest="m", version=version)


def ledger(text: str, environment: str = "production") -> list[Deployment]:
    """Newest first, as GitHub gives it."""
    entries = []
    for number, told in enumerate(text.split(", "), start=1):
        version, said = told.split()
        verdict, _, reason = said.partition(":")
        reason = reason or (BY_HAND if verdict == "rolled-back" else "")
        entries.append(deployment(number, version, verdict, environment, reason))  # type: ignore[arg-type]
    return entries[::-1]


def deployment(
    number: int, version: str, verdict: Verdict, environment: str = "production", reason: str = ""
) -> Deployment:
    made = release(version)
    payload = Payload(kind="promote", release=made, release_id=made.id, key=str(number))
    return Deployment(
        id=number,
        environment=environment,
        created_at=f"{number:04}",
        verdict=verdict,
        note=f"{reason}: x",
        payload=payload,
    )
