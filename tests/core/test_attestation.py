"""What a genuine attestation proves, and what it does not."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.attestation import (
    ISSUER,
    PROVENANCE,
    Demand,
    Proof,
    claims,
    demand_of,
    lacking,
    proven,
    read_proofs,
)
from cicd.core.config import Attestation
from cicd.errors import NotAttested

IMAGE, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
HOME = "https://github.com/acme/api"
CI = "acme/api/.github/workflows/ci.yml"
DEMAND = Demand(IMAGE, "acme/api", CI)
PROOF = Proof(
    digests=(OTHER, IMAGE),
    predicate=PROVENANCE,
    issuer=ISSUER,
    repository=HOME,
    workflow=f"https://github.com/{CI}",
    ref="refs/heads/main",
    sha="c" * 40,
    source="refs/heads/main",
    run=f"{HOME}/actions/runs/7/attempts/1",
)


def test_what_the_config_demands() -> None:
    assert demand_of(Attestation(repository="acme/api", signer_workflow=CI), IMAGE) == DEMAND
    assert demand_of(Attestation(repository="acme/api"), IMAGE, "c" * 40) == Demand(IMAGE, "acme/api", "", "c" * 40)


@pytest.mark.parametrize(
    "workflow",
    [
        "",
        "@refs/heads/main",
        CI,
        f"https://github.com/{CI}",
        f"github.com/{CI}",
        CI.replace("acme", "Acme"),
        f"{CI}@refs/heads/main",
    ],
)
def test_what_is_proven(workflow: str) -> None:
    assert proven(replace(DEMAND, workflow=workflow), [PROOF]) == PROOF
    assert proven(replace(DEMAND, repository="Acme/API", sha="c" * 40), [PROOF]) == PROOF


@pytest.mark.parametrize(
    "workflow",
    [
        f"{CI}@refs/heads/mai",
        f"{CI}@refs/heads/main2",
        CI.replace("ci.yml", "CI.yml"),
        CI[:-1],
        "acme/api",
        ".github/workflows/ci.yml",
        f"https://evil.com/{CI}",
        CI.replace("/api/", "/ap/"),
        "@refs/heads/other",
    ],
)
def test_another_workflow_is_none(workflow: str) -> None:
    assert "it was signed by" in lacking(replace(DEMAND, workflow=workflow), PROOF)


@pytest.mark.parametrize(
    "signer",
    [
        "https://github.com/acme/api-evil/.github/workflows/ci.yml",
        "https://github.com/evil/acme/api/.github/workflows/ci.yml",
        "https://github.com.evil.com/acme/api/.github/workflows/ci.yml",
        "https://github.com/acme/api/ci.yml",
        "",
    ],
)
@pytest.mark.parametrize("workflow", ["", CI])
def test_signers_that_look_alike(signer: str, workflow: str) -> None:
    assert "it was signed by" in lacking(replace(DEMAND, workflow=workflow), replace(PROOF, workflow=signer))


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("digests", (OTHER,), "of another image"),
        ("digests", (), "of another image"),
        ("predicate", "https://slsa.dev/provenance/v0.2", "no build provenance"),
        ("issuer", "https://token.actions.githubusercontent.com/evil", "vouched for by"),
        ("issuer", "", "vouched for by nobody"),
        ("repository", "https://github.com/acme/web", "built from https://github.com/acme/web"),
        ("repository", "acme/api", "built from acme/api"),
        ("repository", "", "built from nowhere"),
        ("sha", "d" * 40, "built from commit dddddddddddd"),
    ],
)
def test_what_is_lacking(field: str, value: Any, why: str) -> None:
    demand = replace(DEMAND, sha="c" * 40)
    assert why in lacking(demand, replace(PROOF, **{field: value}))
    with pytest.raises(NotAttested, match="Nothing proves that sha256:aaaaaaaaaaaa… was built from acme/api"):
        proven(demand, [replace(PROOF, **{field: value})])


@given(
    st.fixed_dictionaries({}, optional={name: st.text(max_size=60) for name in ("predicate", "issuer", "repository")})
)
def test_whatever_else_a_proof_says_it_proves_nothing(changes: dict[str, Any]) -> None:
    other = replace(PROOF, **changes)
    assert (lacking(DEMAND, other) == "") == (other == PROOF)


@given(st.lists(st.sampled_from(["good", "image", "signer"]), max_size=6))
def test_one_good_proof_is_enough_and_needed(kinds: list[str]) -> None:
    bad = {"image": replace(PROOF, digests=(OTHER,)), "signer": replace(PROOF, workflow="https://github.com/x/y")}
    proofs = [bad.get(kind, PROOF) for kind in kinds]
    if "good" in kinds:
        assert proven(DEMAND, proofs) == PROOF
        return
    with pytest.raises(NotAttested) as caught:
        proven(DEMAND, proofs)
    assert ("of another image" in caught.value.what) == ("image" in kinds)
    assert ("it was signed by" in caught.value.what) == ("signer" in kinds)
    assert kinds or "there is no attestation of it" in caught.value.what


def statement(**changes: Any) -> dict[str, Any]:
    subject = [{"name": "api", "digest": {"sha256": "a" * 64}}]
    told = {"_type": "x", "subject": subject, "predicateType": PROVENANCE, "predicate": {}} | changes
    return {"dsseEnvelope": {"payload": base64.b64encode(json.dumps(told).encode()).decode()}}


def test_what_a_bundle_claims() -> None:
    assert claims(statement(), IMAGE)
    assert not claims(statement(), OTHER)
    assert not claims(statement(predicateType="https://spdx.dev/Document/v2.3"), IMAGE)
    assert not claims(statement(subject=[{"digest": {"sha512": "a" * 64}}]), IMAGE)


@pytest.mark.parametrize(
    "bundle",
    [{}, {"dsseEnvelope": 3}, {"dsseEnvelope": {"payload": "%"}}, {"messageSignature": {}}, statement(subject=3)],
)
def test_bundles_that_claim_nothing(bundle: dict[str, Any]) -> None:
    assert not claims(bundle, IMAGE)


@given(st.binary(max_size=200))
def test_any_payload_claims_nothing(payload: bytes) -> None:
    assert not claims({"dsseEnvelope": {"payload": base64.b64encode(payload).decode()}}, IMAGE)


@pytest.mark.parametrize("text", [b"", b"{}", b"[{}]", b'[{"verificationResult": {"signature": {}}}]', b"\xff"])
def test_what_gh_does_not_say(text: bytes) -> None:
    with pytest.raises(ValueError):
        read_proofs(text)


def test_gh_says_nothing_was_verified() -> None:
    with pytest.raises(NotAttested, match="there is no attestation of it"):
        proven(DEMAND, read_proofs(b"[]"))
