"""Attestations that a Sigstore of our own signs, verified by the real `gh`, kept by a real LocalHub."""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters.attestation import prove
from cicd.adapters.github import GitHub
from cicd.adapters.runner import Runner
from cicd.adapters.tools import gh_program
from cicd.core.attestation import Demand
from cicd.core.oci import digest_of
from cicd.errors import GitHubRefused, NotAttested
from tests.adapters.sigstore import COMMIT, Bundle, Signer, Sigstore, tampered
from tests.fakes import runner as fake_runner
from tests.localhub.hub import ADMIN, populate, serving

pytestmark = pytest.mark.real
MANIFEST = b'{"schemaVersion": 2}'
IMAGE = digest_of(MANIFEST)
OTHER = "sha256:" + "0" * 64
CI = "acme/api/.github/workflows/ci.yml"
SHARED = "org/cicd/.github/workflows/ci.yml"
DEMAND = Demand(IMAGE, "acme/api", CI, COMMIT)


@pytest.fixture(scope="session")
def sigstore(tmp_path_factory: pytest.TempPathFactory) -> Sigstore:
    return Sigstore(tmp_path_factory.mktemp("sigstore") / "own")


@pytest.fixture
def env(runner: Runner, sigstore: Sigstore, tmp_path: Path) -> dict[str, str]:
    """A job's variables; `gh` is the one of the tests' environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    root = sigstore.root(tmp_path / "trusted_root.jsonl")
    return {**runner.env, "PATH": path, "HOME": str(tmp_path), "CICD_TRUSTED_ROOT": str(root)}


class Kept:
    """Keeps attestations without looking at them."""

    def __init__(self, *bundles: Bundle) -> None:
        self.bundles = list(bundles)

    def attestations(self, repository: str, digest: str) -> list[dict[str, Any]]:
        assert repository == "acme/api"
        return self.bundles


def test_what_ci_built_is_proven(env: dict[str, str], sigstore: Sigstore) -> None:
    proof = prove(fake_runner(env), Kept(sigstore.attest(IMAGE)), DEMAND, MANIFEST)
    assert proof.digests == (IMAGE,)
    assert (proof.sha, proof.source, proof.ref) == (COMMIT, "refs/heads/main", "refs/heads/main")
    assert proof.run == "https://github.com/acme/api/actions/runs/7/attempts/1"
    assert not list(fake_runner(env).temp.glob("tmp*")), "nothing is left behind"


def test_a_reusable_workflow_of_others_is_the_signer(env: dict[str, str], sigstore: Sigstore) -> None:
    kept = Kept(sigstore.attest(IMAGE, signer=Signer(workflow=SHARED, ref="refs/tags/v1")))
    for workflow in (SHARED, f"{SHARED}@refs/tags/v1", f"github.com/{SHARED}", f"ORG/{SHARED.partition('/')[2]}"):
        assert prove(fake_runner(env), kept, replace(DEMAND, workflow=workflow), MANIFEST).ref == "refs/tags/v1"
    for workflow in (CI, f"{SHARED}@refs/tags/v2", SHARED.replace("ci.yml", "ci"), ""):
        with pytest.raises(NotAttested, match="it was signed by org/cicd"):
            prove(fake_runner(env), kept, replace(DEMAND, workflow=workflow), MANIFEST)


@pytest.mark.parametrize(
    ("signer", "why"),
    [
        (Signer(repository="acme/web"), "it was built from https://github.com/acme/web"),
        (Signer(repository="evil/api"), "got https://github.com/evil"),
        (Signer(workflow="acme/api/.github/workflows/other.yml"), "signed by acme/api/.github/workflows/other.yml@"),
        (Signer(workflow="acme/api-evil/.github/workflows/ci.yml"), "signed by acme/api-evil/"),
        (Signer(sha="b" * 40), "built from commit bbbbbbbbbbbb, and the release is of c0ffee"),
        (Signer(issuer="https://token.example.org"), "token.example.org"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_another_signer(env: dict[str, str], sigstore: Sigstore, signer: Signer, why: str) -> None:
    with pytest.raises(NotAttested) as caught:
        prove(fake_runner(env), Kept(sigstore.attest(IMAGE, signer=signer)), DEMAND, MANIFEST)
    assert why in caught.value.what
    assert "was built from acme/api, signed by acme/api/.github/workflows/ci.yml" in caught.value.what


def bad(sigstore: Sigstore, kind: str, folder: Path) -> Bundle:
    good = sigstore.attest(IMAGE)
    if kind == "expired":
        return sigstore.attest(IMAGE, hours_late=1)
    if kind == "signed by another authority":
        return Sigstore(folder / "another").attest(IMAGE)
    if kind == "without a time":
        good["verificationMaterial"].pop("timestampVerificationData")
        return good
    if kind == "another's signature":
        good["dsseEnvelope"]["signatures"] = sigstore.attest(OTHER)["dsseEnvelope"]["signatures"]
        return good
    return tampered(sigstore.attest(OTHER), OTHER[7:].encode(), IMAGE[7:].encode())


KINDS = ["expired", "signed by another authority", "without a time", "another's signature", "tampered"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_genuine(env: dict[str, str], sigstore: Sigstore, tmp_path: Path, kind: str) -> None:
    with pytest.raises(NotAttested, match="no attestation of it is genuine"):
        prove(fake_runner(env), Kept(bad(sigstore, kind, tmp_path)), DEMAND, MANIFEST)


def test_one_good_among_bad_ones_is_enough(env: dict[str, str], sigstore: Sigstore, tmp_path: Path) -> None:
    others = [bad(sigstore, kind, tmp_path / kind) for kind in KINDS]
    wrong = sigstore.attest(IMAGE, signer=Signer(repository="acme/web"))
    assert prove(fake_runner(env), Kept(*others, wrong, sigstore.attest(IMAGE)), DEMAND, MANIFEST).sha == COMMIT


@pytest.mark.parametrize(
    "kept", [[], ["of another image"], ["no provenance"], [{}], [{"dsseEnvelope": {"payload": 3}}]]
)
def test_none_at_all(env: dict[str, str], sigstore: Sigstore, kept: list[Any]) -> None:
    made = {"of another image": sigstore.attest(OTHER)}
    made["no provenance"] = sigstore.attest(IMAGE, predicate="https://spdx.dev/Document/v2.3")
    bundles = [made[one] if isinstance(one, str) else one for one in kept]
    with pytest.raises(NotAttested, match="keeps no attestation of it" if not kept else "are of something else"):
        prove(fake_runner(env), Kept(*bundles), DEMAND, MANIFEST)


def test_other_bytes_than_the_digest_says(env: dict[str, str], sigstore: Sigstore) -> None:
    with pytest.raises(NotAttested, match="genuine"):
        prove(fake_runner(env), Kept(sigstore.attest(IMAGE)), DEMAND, b"other")


@pytest.mark.parametrize("content", [None, "", "{}\n", "nonsense\n"])
def test_a_root_that_cannot_be_read(env: dict[str, str], sigstore: Sigstore, content: str | None) -> None:
    Path(env["CICD_TRUSTED_ROOT"]).unlink()
    if content is not None:
        Path(env["CICD_TRUSTED_ROOT"]).write_text(content)
    with pytest.raises(NotAttested, match=r"cannot be verified.*CICD_TRUSTED_ROOT"):
        prove(fake_runner(env), Kept(sigstore.attest(IMAGE)), DEMAND, MANIFEST)


def test_our_token_is_not_given_to_gh(env: dict[str, str], sigstore: Sigstore, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    script = f'#!/bin/sh\nenv > "{tmp_path}/seen"; echo "$@" >> "{tmp_path}/seen"\n'
    (folder / "gh").write_text(script + 'test "$1" != --version || { echo gh version 2.99.0; exit; }\necho "{}"\n')
    (folder / "gh").chmod(0o755)
    env = {**env, "PATH": f"{folder}:{os.environ['PATH']}", "GITHUB_TOKEN": "ghs_word", "GH_TOKEN": "ghs_word"}
    with pytest.raises(NotAttested, match="says something that is not understood"):
        prove(fake_runner(env), Kept(sigstore.attest(IMAGE)), DEMAND, MANIFEST)
    assert "ghs_word" not in (tmp_path / "seen").read_text()


def test_gh_comes_from_its_wheel_where_there_is_none(env: dict[str, str], sigstore: Sigstore, tmp_path: Path) -> None:
    old = tmp_path / "gh"
    old.write_text("#!/bin/sh\necho gh version 2.4.0\n")
    old.chmod(0o755)
    rest = [part for part in os.environ["PATH"].split(os.pathsep) if not (Path(part) / "gh").exists()]
    runner = fake_runner({**env, "PATH": os.pathsep.join([str(tmp_path), *rest])})
    assert gh_program(runner).parts[-3:] == ("venv", "bin", "gh")
    assert prove(runner, Kept(sigstore.attest(IMAGE)), DEMAND, MANIFEST)


@contextlib.contextmanager
def local_hub(folder: Path) -> Iterator[Any]:
    folder.mkdir()
    with serving(folder) as url:
        hub = populate(url, folder / "repo", ADMIN)
        hub.admin.post("/_localhub/repos", {"owner": "acme", "name": "api", "path": str(hub.repo)})
        yield hub


def test_by_a_hub(env: dict[str, str], sigstore: Sigstore, tmp_path: Path) -> None:
    with local_hub(tmp_path / "hub") as hub:
        runner = fake_runner({**env, "GITHUB_API_URL": hub.url, "GITHUB_REPOSITORY": "acme/api"})
        github = GitHub(runner, hub.alice.token)
        with pytest.raises(NotAttested, match="keeps no attestation"):
            prove(runner, github, DEMAND, MANIFEST)
        hub.alice.post("/repos/acme/api/attestations", {"bundle": sigstore.attest(IMAGE)})
        assert prove(runner, github, DEMAND, MANIFEST).sha == COMMIT
        assert github.calls == 2
        with pytest.raises(NotAttested, match="keeps no attestation"):
            prove(runner, github, replace(DEMAND, repository="acme/none"), MANIFEST)
        blind = GitHub(runner, hub.app(contents="write").token)
        with pytest.raises(GitHubRefused, match="403"):
            prove(runner, blind, DEMAND, MANIFEST)
