"""Attestations: Sigstore bundles about artifacts, kept by the digests of what they are about. None is verified here."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from cicd.localhub.calls import Answer, Call, Json, Route, page_of
from cicd.localhub.problems import Problem
from cicd.localhub.store import Row, insert, many, now, tell

PREDICATES = {
    "provenance": "https://slsa.dev/provenance/%",
    "sbom": "https://spdx.dev/Document%",
    "release": "https://in-toto.io/attestation/release/%",
}


class Bundle(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str
    verification_material: dict[str, Any]
    dsse_envelope: dict[str, Any]


class NewAttestation(msgspec.Struct, frozen=True):
    bundle: Bundle


class Subject(msgspec.Struct, frozen=True):
    digest: dict[str, str]


class Statement(msgspec.Struct, frozen=True, rename="camel"):
    subject: list[Subject]
    predicate_type: str


def _statement(bundle: Bundle) -> Statement:
    try:
        payload = base64.b64decode(bundle.dsse_envelope["payload"], validate=True)
        return msgspec.json.decode(payload, type=Statement)
    except (LookupError, TypeError, binascii.Error, ValueError):
        raise Problem(422, "Invalid bundle: its payload is not an in-toto statement") from None


def create_attestation(call: Call) -> Answer:
    """POST attestations. Raises 422 for a bundle without a statement."""
    bundle = call.read(NewAttestation).bundle
    statement = _statement(bundle)
    row = insert(
        call.db,
        "attestations",
        repo_id=call.repo["id"],
        bundle=json.dumps(msgspec.to_builtins(bundle)),
        predicate_type=statement.predicate_type,
        initiator="user",
        created_at=now(),
    )
    for digest in {f"{name}:{value}" for subject in statement.subject for name, value in subject.digest.items()}:
        insert(call.db, "attestation_subjects", attestation_id=row["id"], digest=digest)
    tell(call.db, "attestation", call.repo, id=row["id"])
    return Answer(201, {"id": row["id"]})


def _json(call: Call, row: Row) -> Json:
    return {"bundle": json.loads(row["bundle"]), "repository_id": call.repo["id"], "initiator": row["initiator"]}


def list_attestations(call: Call) -> Answer:
    """GET attestations/{subject_digest}: newest first; `predicate_type`, and `after`, the cursor of the Link header."""
    size, wanted = page_of(call).size, call.query.get("predicate_type", "")
    after = call.query.get("after", "")
    before = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 10**15
    sql = """SELECT a.* FROM attestations a JOIN attestation_subjects s ON s.attestation_id = a.id
        WHERE a.repo_id = ? AND s.digest = ? AND a.id < ? AND a.predicate_type LIKE ? ORDER BY a.id DESC LIMIT ?"""
    like = PREDICATES.get(wanted, wanted or "%")
    rows = many(call.db, sql, call.repo["id"], call.params["subject_digest"], before, like, size + 1)
    body = {"attestations": [_json(call, row) for row in rows[:size]]}
    if len(rows) <= size:
        return Answer(200, body)
    query = urlencode({**call.query, "after": rows[size - 1]["id"]})
    return Answer(200, body, {"link": f'<{call.base}{quote(call.path, safe="/:")}?{query}>; rel="next"'})


_ATTESTATIONS = "/repos/{owner}/{repo}/attestations"
ROUTES = [
    Route("POST", _ATTESTATIONS, create_attestation, "attestations"),
    Route("GET", _ATTESTATIONS + "/{subject_digest}", list_attestations, "attestations"),
]
