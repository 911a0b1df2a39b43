"""Verifying build provenance: GitHub keeps the proofs, its own command line verifies them, and core decides what they
prove.

By `gh` and not by a library: sigstore's for Python refuses what GitHub signs for private repositories, which is in no
public log. The image itself is not needed: its digest is that of its manifest, which is the file that is verified.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from cicd.adapters.process import output
from cicd.adapters.runner import Runner
from cicd.adapters.tools import gh_program
from cicd.core.attestation import PROVENANCE, Demand, Proof, claims, proven, read_proofs, refusal
from cicd.errors import CommandFailed, NotAttested

TIMEOUT = 60.0  # seconds; the roots of trust may have to be fetched


class Keeper(Protocol):
    """Who keeps attestations: GitHub."""

    def attestations(self, repository: str, digest: str) -> list[dict[str, Any]]: ...


def prove(runner: Runner, hub: Keeper, demand: Demand, manifest: bytes) -> Proof:
    """That an image was built by whom the config demands.

    Args:
        manifest: the image's, as its registry has it (Manifest.content).

    Raises:
        NotAttested. GitHubRefused, GitHubUnavailable: the proofs cannot be had. ToolMissing.
    """
    kept = hub.attestations(demand.repository, demand.digest)
    bundles = [bundle for bundle in kept if claims(bundle, demand.digest)]
    if not bundles:
        about = f"the {len(kept)} that GitHub keeps are of something else" if kept else "GitHub keeps no attestation"
        raise refusal(demand, f"{about} of it, or the token may not see it (`attestations: read`)")
    return proven(demand, verified(runner, demand, manifest, bundles))


def verified(runner: Runner, demand: Demand, manifest: bytes, bundles: Sequence[Mapping[str, Any]]) -> list[Proof]:
    """What those bundles prove that are genuine. Raises NotAttested if none is, ToolMissing."""
    env = {name: value for name, value in runner.env.items() if not name.startswith(("GH_", "GITHUB_"))}
    with tempfile.TemporaryDirectory(dir=runner.temp) as folder:
        subject, proofs = Path(folder) / "manifest", Path(folder) / "bundles.jsonl"
        subject.write_bytes(manifest)
        proofs.write_text("".join(f"{json.dumps(bundle)}\n" for bundle in bundles))
        argv = verify_command(str(gh_program(runner)), subject, proofs, demand, runner.env.get("CICD_TRUSTED_ROOT", ""))
        try:
            return read_proofs(output(argv, env=env, timeout=TIMEOUT))
        except CommandFailed as error:
            raise _not_genuine(demand, error) from error
        except ValueError as error:
            raise refusal(demand, f"`gh` says something that is not understood: {str(error)[:200]}") from error


def verify_command(gh: str, subject: Path, bundles: Path, demand: Demand, root: str) -> list[str]:
    """argv that verifies signature, certificate and time; any signer is let through, for core decides who it may be."""
    owner = demand.repository.partition("/")[0]
    argv = [gh, "attestation", "verify", str(subject), "--bundle", str(bundles), "--format", "json"]
    argv += ["--hostname", "github.com", "--owner", owner, "--cert-identity-regex", "^https://"]
    argv += ["--predicate-type", PROVENANCE]
    return [*argv, "--custom-trusted-root", root] if root else argv


def _not_genuine(demand: Demand, error: CommandFailed) -> NotAttested:
    said = error.what.strip().splitlines()[-1].removeprefix("Error: ")[:300]
    if "verifier" in said or "root" in said:
        return NotAttested(
            f"The attestation of {demand.digest[:19]}… cannot be verified: {said}",
            cause="the roots of trust cannot be fetched (tuf-repo.github.com, tuf-repo-cdn.sigstore.dev) or read",
            next_step="let this machine reach them, or fetch them elsewhere by `gh attestation trusted-root` and name "
            "the file in CICD_TRUSTED_ROOT",
        )
    return refusal(demand, f"no attestation of it is genuine: signature, certificate or time does not hold ({said})")
