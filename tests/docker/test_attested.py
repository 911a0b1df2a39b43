"""An image that nobody has vouched for does not get in: the registry's manifest, gh and a Sigstore of our own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicd.errors import NotAttested
from tests.adapters.sigstore import Signer, Sigstore
from tests.docker.lab import Lab
from tests.docker.shop import Shop

pytestmark = pytest.mark.real
DEMAND = "attestation: {repository: acme/api, signer-workflow: acme/api/.github/workflows/ci.yml}"


@pytest.fixture
def sigstore(tmp_path: Path) -> Sigstore:
    return Sigstore(tmp_path / "sigstore")


@pytest.fixture
def shop(tmp_path: Path, lab: Lab, sigstore: Sigstore) -> Iterator[Shop]:
    root = sigstore.root(tmp_path / "trusted_root.jsonl")
    path = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    made = Shop(tmp_path, lab, extra=DEMAND, env={"CICD_TRUSTED_ROOT": str(root), "PATH": path})
    yield made
    made.close()


def test_only_what_ci_built_is_promoted(shop: Shop, sigstore: Sigstore) -> None:
    image = shop.release("v1")
    commit, digest = shop.git("rev-parse", "HEAD"), image.partition("@")[2]
    with pytest.raises(NotAttested, match="GitHub keeps no attestation"):
        shop.promote(image)
    shop.hub.bundles = [sigstore.attest(digest, signer=Signer(sha=commit, repository="evil/api"))]
    with pytest.raises(NotAttested):
        shop.promote(image, force="true")
    assert shop.running() == []
    shop.hub.bundles = [sigstore.attest(digest, signer=Signer(sha=commit))]
    assert shop.promote(image).outputs["verdict"] == "stable", shop.said.getvalue()
