"""Build provenance: does a proof that was verified say what is demanded of an image?

Whether a proof is genuine (signature, certificate, time) is not decided here, but by the verifier that read it. Here is
decided what it proves. Who signed stands in the certificate, which GitHub's OIDC token fills: a workflow cannot write
it. The statement's predicate it can, so nothing of that is read but its type.

https://docs.sigstore.dev/certificate_authority/oid-info/ · https://slsa.dev/spec/v1.0/provenance
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cicd.core.config import Attestation
from cicd.errors import NotAttested

PROVENANCE = "https://slsa.dev/provenance/v1"
ISSUER = "https://token.actions.githubusercontent.com"
GITHUB = "https://github.com"
WORKFLOWS = "/.github/workflows/"


@dataclass(frozen=True)
class Demand:
    """What must be proven.

    Attributes:
        digest: of the image, `sha256:…`.
        repository: whose code it was built from, `owner/name`.
        workflow: that signed, such as `acme/api/.github/workflows/ci.yml`; with `@refs/tags/v1` only from there. Empty:
            any of the repository itself.
        sha: the commit that it was built from; empty: any.
        server: where the repository is.
    """

    digest: str
    repository: str
    workflow: str = ""
    sha: str = ""
    server: str = GITHUB


@dataclass(frozen=True)
class Proof:
    """What a genuine attestation proves.

    Attributes:
        digests: what was built, `sha256:…`.
        predicate: type of the statement.
        issuer: of the token that the signer showed.
        repository: URL of the repository whose workflow ran.
        workflow: that signed, without its ref: `acme/api/.github/workflows/ci.yml`, as a URL.
        ref: of the workflow that signed, such as `refs/heads/main`.
        sha: commit that was built.
        source: ref that was built.
        run: URL of the run.
    """

    digests: tuple[str, ...]
    predicate: str
    issuer: str
    repository: str
    workflow: str
    ref: str
    sha: str
    source: str
    run: str


def demand_of(wanted: Attestation, digest: str, sha: str = "") -> Demand:
    """What `deploy.attestation` of the config demands of an image, and of the commit that it is said to be from."""
    return Demand(digest=digest, repository=wanted.repository, workflow=wanted.signer_workflow, sha=sha)


class Certificate(msgspec.Struct, frozen=True, rename="camel"):
    issuer: str
    signer: str = msgspec.field(name="subjectAlternativeName")
    repository: str = msgspec.field(name="sourceRepositoryURI")
    sha: str = msgspec.field(name="sourceRepositoryDigest")
    ref: str = msgspec.field(name="sourceRepositoryRef")
    run: str = msgspec.field(name="runInvocationURI", default="")


class Signature(msgspec.Struct, frozen=True):
    certificate: Certificate


class Subject(msgspec.Struct, frozen=True):
    digest: dict[str, str] = {}


class Statement(msgspec.Struct, frozen=True, rename="camel"):
    predicate_type: str
    subject: list[Subject] = []

    @property
    def digests(self) -> tuple[str, ...]:
        return tuple(f"sha256:{one.digest['sha256']}" for one in self.subject if "sha256" in one.digest)


class Result(msgspec.Struct, frozen=True):
    signature: Signature
    statement: Statement


class Verified(msgspec.Struct, frozen=True, rename="camel"):
    verification_result: Result


def read_proofs(text: bytes) -> list[Proof]:
    """What `gh attestation verify --format json` says of the attestations that it found to be genuine.

    Raises ValueError for anything else.
    """
    return [_proof(one.verification_result) for one in msgspec.json.decode(text, type=list[Verified])]


def _proof(found: Result) -> Proof:
    signed = found.signature.certificate
    workflow, _, ref = signed.signer.partition("@")
    return Proof(
        digests=found.statement.digests,
        predicate=found.statement.predicate_type,
        issuer=signed.issuer,
        repository=signed.repository,
        workflow=workflow,
        ref=ref,
        sha=signed.sha,
        source=signed.ref,
        run=signed.run,
    )


def claims(bundle: Mapping[str, Any], digest: str) -> bool:
    """Whether a bundle, which nobody has verified yet, says to be the provenance of this digest."""
    try:
        payload = base64.b64decode(bundle["dsseEnvelope"]["payload"], validate=True)
        statement = msgspec.json.decode(payload, type=Statement)
    except (LookupError, TypeError, binascii.Error, ValueError):
        return False
    return statement.predicate_type == PROVENANCE and digest in statement.digests


def proven(demand: Demand, proofs: Sequence[Proof]) -> Proof:
    """The first of these that proves what is demanded. Raises NotAttested with what each of them lacks."""
    lacks = []
    for proof in proofs:
        lack = lacking(demand, proof)
        if not lack:
            return proof
        lacks.append(lack)
    raise refusal(demand, "; ".join(dict.fromkeys(lacks)) or "there is no attestation of it")


def refusal(demand: Demand, why: str) -> NotAttested:
    """That nothing proves what is demanded. `why`: one clause."""
    signer = f", signed by {demand.workflow}" if demand.workflow else ""
    return NotAttested(
        f"Nothing proves that {demand.digest[:19]}… was built from {demand.repository}{signer}: {why}",
        cause="it was built elsewhere or by hand, another workflow attested it, or `deploy.attestation` names another",
        next_step="build it with build.yml, which attests it, and promote the digest that this gives; "
        "`gh attestation verify` shows an image's proofs",
    )


def lacking(demand: Demand, proof: Proof) -> str:
    """In what a proof falls short of what is demanded; empty if it does not."""
    if proof.issuer != ISSUER:
        return f"its signer was vouched for by {proof.issuer or 'nobody'}, not by GitHub Actions"
    if proof.predicate != PROVENANCE:
        return f"the attestation is no build provenance, but {proof.predicate}"
    if demand.digest not in proof.digests:
        return "the attestation is of another image"
    if proof.repository.lower() != f"{demand.server}/{demand.repository}".lower():
        return f"it was built from {proof.repository or 'nowhere'}"
    if not _signed_by(demand, proof):
        return f"it was signed by {proof.workflow.removeprefix(f'{demand.server}/')}@{proof.ref}"
    if demand.sha and proof.sha != demand.sha:
        return f"it was built from commit {proof.sha[:12]}, and the release is of {demand.sha[:12]}"
    return ""


def _signed_by(demand: Demand, proof: Proof) -> bool:
    """Whether the demanded workflow signed. Names of owner and repository know no case, paths and refs do."""
    path, _, ref = demand.workflow.partition("@")
    if not path:
        own = f"{demand.server}/{demand.repository.lower()}{WORKFLOWS}"
        return _plain(proof.workflow).startswith(own) and ref in ("", proof.ref)
    wanted = path if path.startswith(f"{demand.server}/") else f"{demand.server}/{path.removeprefix('github.com/')}"
    return _plain(proof.workflow) == _plain(wanted) and ref in ("", proof.ref)


def _plain(url: str) -> str:
    """A workflow's URL with owner and repository in lower case."""
    repository, mark, file = url.partition(WORKFLOWS)
    return f"{repository.lower()}{mark}{file}"
