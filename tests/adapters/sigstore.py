"""A Sigstore of our own: an authority that certifies workflows, one that stamps times, and the root that trusts both.

The certificates are as Fulcio makes them: https://docs.sigstore.dev/certificate_authority/certificate-issuing-overview/
"""

import base64
import copy
import datetime
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PROVENANCE = "https://slsa.dev/provenance/v1"
ISSUER = "https://token.actions.githubusercontent.com"
COMMIT = "c0ffee" * 6 + "cafe"
FULCIO = "1.3.6.1.4.1.57264.1"
STATEMENT = "application/vnd.in-toto+json"
ORGANIZATION = "GitHub, Inc."  # gh then asks of us what it asks of GitHub's own: a signed time, no public log
START = {"start": "2020-01-01T00:00:00Z"}
STAMPS = """[tsa]
default_tsa = own
[own]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""

Bundle = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> str:
        return _text(self.certificate.public_bytes(serialization.Encoding.DER))


@dataclass(frozen=True)
class Signer:
    """What GitHub says in its token of the workflow that asks for a certificate."""

    repository: str = "acme/api"
    workflow: str = "acme/api/.github/workflows/ci.yml"
    ref: str = "refs/heads/main"
    sha: str = COMMIT
    issuer: str = ISSUER

    def extensions(self) -> list[tuple[x509.ExtensionType, bool]]:
        """https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md"""
        identity = f"https://github.com/{self.workflow}@{self.ref}"
        home = f"https://github.com/{self.repository}"
        values = {8: self.issuer, 9: identity, 11: "github-hosted", 12: home, 13: self.sha, 14: "refs/heads/main"}
        values |= {16: home.rpartition("/")[0], 21: f"{home}/actions/runs/7/attempts/1"}
        made: list[tuple[x509.ExtensionType, bool]] = [
            (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
        ]
        for number, value in values.items():
            oid = x509.ObjectIdentifier(f"{FULCIO}.{number}")
            made.append((x509.UnrecognizedExtension(oid, _utf8(value)), False))
        return made


class Sigstore:
    """Signs statements, as `actions/attest` has GitHub's Sigstore do. `folder`: for the tool that stamps times."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = _certify("root", authority=True)
        self._tsa_root = _certify("times", authority=True)
        stamping = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)
        self._tsa = _certify("stamps", self._tsa_root, [stamping])
        key = self._tsa.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        folder.mkdir(parents=True)
        files = {"key": key, "pem": self._tsa.certificate.public_bytes(serialization.Encoding.PEM)}
        files |= {"config": STAMPS.encode(), "serial": b"01\n"}
        for name, content in files.items():
            (folder / name).write_bytes(content)

    def root(self, path: Path) -> Path:
        """Writes the root that trusts us, as `gh attestation trusted-root` prints those of others."""
        authority, stamps = self._chain(self._root), self._chain(self._tsa, self._tsa_root)
        kind = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
        trusted = {"mediaType": kind, "certificateAuthorities": [authority], "timestampAuthorities": [stamps]}
        path.write_text(json.dumps(trusted) + "\n")
        return path

    def attest(
        self, *digests: str, signer: Signer | None = None, predicate: str = PROVENANCE, hours_late: int = 0
    ) -> Bundle:
        """A bundle that says how these were built. `hours_late`: how long the certificate was over when it was used."""
        over = datetime.timedelta(hours=hours_late)
        mine = _certify("leaf", self._root, (signer or Signer()).extensions(), minutes=10, ago=over)
        subjects = [{"name": "api", "digest": {"sha256": digest.removeprefix("sha256:")}} for digest in digests]
        statement = {"_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": predicate}
        payload = json.dumps(statement | {"predicate": {}}).encode()
        signature = mine.key.sign(encoded(payload), ec.ECDSA(hashes.SHA256()))
        stamp = {"signedTimestamp": _text(self._stamp(signature))}
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": mine.der},
                "timestampVerificationData": {"rfc3161Timestamps": [stamp]},
            },
            "dsseEnvelope": {
                "payload": _text(payload),
                "payloadType": STATEMENT,
                "signatures": [{"sig": _text(signature)}],
            },
        }

    def _chain(self, *pairs: Pair) -> dict[str, Any]:
        subject = {"organization": ORGANIZATION, "commonName": "test"}
        chain = {"certificates": [{"rawBytes": pair.der} for pair in pairs]}
        return {"subject": subject, "uri": "https://sigstore.example.org", "certChain": chain, "validFor": START}

    def _stamp(self, content: bytes) -> bytes:
        """A time-stamp token of RFC 3161, by openssl."""
        (self._folder / "signature").write_bytes(content)
        ask = ["openssl", "ts", "-query", "-data", "signature", "-sha256", "-cert", "-out", "query"]
        give = ["openssl", "ts", "-reply", "-config", "config", "-section", "own", "-queryfile", "query"]
        give += ["-inkey", "key", "-signer", "pem", "-out", "stamp"]
        for argv in (ask, give):
            subprocess.run(argv, cwd=self._folder, check=True, capture_output=True)
        return (self._folder / "stamp").read_bytes()


def tampered(bundle: Bundle, old: bytes, new: bytes) -> Bundle:
    """A bundle whose statement was changed after it was signed."""
    changed = copy.deepcopy(bundle)
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    assert old in payload
    changed["dsseEnvelope"]["payload"] = _text(payload.replace(old, new))
    return changed


def encoded(payload: bytes) -> bytes:
    """What is signed: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md"""
    return b"DSSEv1 %d %s %d %s" % (len(STATEMENT), STATEMENT.encode(), len(payload), payload)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _utf8(value: str) -> bytes:
    """UTF8String in DER."""
    content = value.encode()
    assert len(content) < 256
    return bytes([0x0C, *([len(content)] if len(content) < 128 else [0x81, len(content)])]) + content


def _certify(
    name: str,
    by: Pair | None = None,
    extensions: list[tuple[x509.ExtensionType, bool]] | None = None,
    *,
    authority: bool = False,
    minutes: int = 60 * 24 * 365,
    ago: datetime.timedelta | None = None,
) -> Pair:
    """A certificate that began a minute, and `ago`, before now."""
    names = [(NameOID.ORGANIZATION_NAME, ORGANIZATION), (NameOID.COMMON_NAME, name)]
    subject = x509.Name([x509.NameAttribute(*pair) for pair in names])
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1) - (ago or datetime.timedelta())
    usage = x509.KeyUsage(not authority, False, False, False, False, authority, authority, False, False)
    made = x509.CertificateBuilder(
        by.certificate.subject if by else subject,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        start,
        start + datetime.timedelta(minutes=minutes),
    )
    signing = by.key if by else key
    standard: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(authority, None), True),
        (usage, True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), False),
    ]
    for extension, critical in [*standard, *(extensions or [])]:
        made = made.add_extension(extension, critical)
    return Pair(made.sign(signing, hashes.SHA256()), key)
