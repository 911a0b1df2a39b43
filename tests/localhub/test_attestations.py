"""Attestations are kept by the digests of what they are about, and given back as they came."""

import base64
import json
from typing import Any

import pytest

from tests.localhub.hub import Hub, R

SUBJECT = "sha256:" + "5" * 64
OTHER = "sha256:" + "6" * 64
PROVENANCE = "https://slsa.dev/provenance/v1"


def bundle(*digests: str, predicate: str = PROVENANCE) -> dict[str, Any]:
    subjects = [{"name": "api", "digest": {"sha256": digest.removeprefix("sha256:")}} for digest in digests]
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": predicate}
    payload = base64.b64encode(json.dumps(statement | {"predicate": {}}).encode()).decode()
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"certificate": {"rawBytes": "AAAA"}},
        "dsseEnvelope": {"payload": payload, "payloadType": "application/vnd.in-toto+json", "signatures": []},
    }


BUNDLE = bundle(SUBJECT)


def kept(hub: Hub, digest: str, query: str = "") -> list[Any]:
    return [entry["bundle"] for entry in hub.alice.get(f"{R}/attestations/{digest}{query}")["attestations"]]


def test_they_are_found_by_any_of_their_subjects(hub: Hub) -> None:
    both, sbom = bundle(SUBJECT, OTHER), bundle(OTHER, predicate="https://spdx.dev/Document/v2.3")
    for one in (BUNDLE, both, sbom):
        hub.alice.post(f"{R}/attestations", {"bundle": one})
    assert kept(hub, SUBJECT) == [both, BUNDLE], "newest first"
    assert kept(hub, OTHER) == [sbom, both]
    assert kept(hub, OTHER, "?predicate_type=provenance") == [both]
    assert kept(hub, OTHER, "?predicate_type=sbom") == [sbom]
    assert kept(hub, OTHER, f"?predicate_type={PROVENANCE}") == [both]
    assert kept(hub, "sha256:" + "7" * 64) == []


def test_pages(hub: Hub) -> None:
    made = [bundle(SUBJECT, f"sha256:{number:064}") for number in range(5)]
    for one in made:
        hub.alice.post(f"{R}/attestations", {"bundle": one})
    target, found = f"{R}/attestations/{SUBJECT}?per_page=2", []
    while target:
        reply = hub.alice.call("GET", target)
        found += [entry["bundle"] for entry in reply.body["attestations"]]
        link = reply.headers.get("link", "")
        target = link[1:].partition(">")[0].removeprefix(hub.url) if link else ""
    assert found == made[::-1]


def test_another_repository_does_not_show_them(hub: Hub) -> None:
    hub.admin.post("/_localhub/repos", {"owner": "evil", "name": "shop", "path": str(hub.repo)})
    hub.alice.post(f"{R}/attestations", {"bundle": BUNDLE})
    assert hub.alice.get(f"/repos/evil/shop/attestations/{SUBJECT}")["attestations"] == []


def test_permissions(hub: Hub) -> None:
    hub.app(attestations="write").post(f"{R}/attestations", {"bundle": BUNDLE})
    hub.app(attestations="read").get(f"{R}/attestations/{SUBJECT}")
    hub.app(attestations="read").post(f"{R}/attestations", {"bundle": BUNDLE}, 403)
    hub.app(contents="write").get(f"{R}/attestations/{SUBJECT}", 403)


@pytest.mark.parametrize("payload", [None, 3, "", "%%%", "aGVsbG8=", base64.b64encode(b'{"subject": 3}').decode()])
def test_what_is_no_bundle(hub: Hub, payload: Any) -> None:
    broken = {**BUNDLE, "dsseEnvelope": {} if payload is None else {"payload": payload}}
    hub.alice.raw("POST", f"{R}/attestations", json.dumps({"bundle": broken}).encode())
    assert hub.alice.raw("POST", f"{R}/attestations", json.dumps({"bundle": broken}).encode()).status == 422
    assert hub.alice.raw("POST", f"{R}/attestations", b"{}").status == 422
