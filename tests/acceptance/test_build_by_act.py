"""The shipped build.yml: an image is built once. Under act engine `process` is real; where Docker would build and
GitHub would attest, actions stand in that say what they were told."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import CHECKOUT, Act, git

pytestmark = pytest.mark.real

WORKFLOW = """
on: push
jobs:
  build:
    uses: org/cicd/.github/workflows/build.yml@v1
    permissions: {{contents: read, packages: write, id-token: write, attestations: write}}
    with: {with}
  look:
    needs: build
    runs-on: ubuntu-latest
    steps:
    - env:
        IMAGE: ${{{{ needs.build.outputs.image }}}}
        SHA: ${{{{ needs.build.outputs.sha }}}}
      run: |
        echo "image=$IMAGE"
        echo "sha=$SHA"
"""
CONFIG = """
version: 1
app: shop
deploy: {run: "python -m http.server $PORT"}
environments: {dev: {ports: {router: 8100, blue: 8101, green: 8102}}}
"""
STAND_IN = """
name: stand-in
description: Says what it was told.
inputs: {inputs}
outputs:
  digest: {{description: what was built, value: "{digest}"}}
runs:
  using: composite
  steps:
  - shell: bash
    env: {{TOLD: "${{{{ toJSON(inputs) }}}}"}}
    run: echo "{name}=$(echo "$TOLD" | tr '\\n' ' ')"
"""
DIGEST = "sha256:" + "d" * 64
BUILD = yaml.safe_load((CHECKOUT / ".github/workflows/build.yml").read_text())


def project(folder: Path, given: dict[str, str]) -> Path:
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".github/workflows/pipeline.yml").write_text(WORKFLOW.format(**{"with": json.dumps(given)}))
    (folder / ".github/cicd.yml").write_text(CONFIG)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def stand_ins(folder: Path) -> list[str]:
    """Options that have act take actions of ours for those of others that build.yml uses."""
    options = []
    for step in BUILD["jobs"]["push"]["steps"]:
        uses = step.get("uses", "")
        if uses.startswith("actions/checkout@"):
            continue
        name = uses.partition("@")[0]
        place = folder / name
        place.mkdir(parents=True)
        inputs = json.dumps({key: {"description": key} for key in step.get("with", {})})
        (place / "action.yml").write_text(STAND_IN.format(name=name.partition("/")[2], inputs=inputs, digest=DIGEST))
        options.append(f"--local-repository={uses}={place}")
    assert len(options) == 4
    return options


def test_engine_process_packs_the_commit(act: Act, tmp_path: Path) -> None:
    place = project(tmp_path / "shop", {})
    ran = act(place, env={"CICD_TARGET": str(tmp_path / "targets")})
    assert ran.code == 0, ran.output
    image, sha = ran.said("image"), ran.said("sha")
    assert re.fullmatch("sha256:[0-9a-f]{64}", image)
    assert sha == git(place, "rev-parse", "HEAD")
    assert list((tmp_path / "targets").rglob(f"{image.removeprefix('sha256:')}.tar")), "it lies in the store"
    assert "Build and push" not in ran.output
    again = act(place, env={"CICD_TARGET": str(tmp_path / "others")})
    assert again.said("image") == image, "the same commit is the same image"


@pytest.mark.parametrize("attest", ["true", "false"])
def test_docker_builds_pushes_and_github_attests(act: Act, tmp_path: Path, attest: str) -> None:
    given = {"image": "ghcr.io/acme/shop", "attest": attest}
    place = project(tmp_path / "shop", given)
    options = stand_ins(tmp_path / "actions")
    ran = act(place, "push", *options, secrets={"GITHUB_TOKEN": "ghs_word"})
    assert ran.code == 0, ran.output
    sha = git(place, "rev-parse", "HEAD")
    assert (ran.said("image"), ran.said("sha")) == (DIGEST, sha)

    def told(action: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(ran.said(action))
        return found

    built = told("build-push-action")
    assert (built["push"], built["context"], built["file"]) == ("true", ".", "./Dockerfile")
    assert built["tags"] == f"ghcr.io/acme/shop:{sha}"
    assert f"org.opencontainers.image.revision={sha}" in built["labels"].splitlines()
    assert told("login-action")["registry"] == "ghcr.io"
    assert told("login-action")["password"] == "***", "the run's own token, which no log shows"
    if attest == "true":
        assert told("attest") == {"subject-name": "ghcr.io/acme/shop", "subject-digest": DIGEST}
    assert ("attest=" in "\n".join(ran.steps)) == (attest == "true")


def test_who_may_do_what() -> None:
    """Only the job that pushes may write, and no workflow token stays in the checkout."""
    jobs = BUILD["jobs"]
    assert BUILD["permissions"] == {}
    assert jobs["pack"]["permissions"] == {"contents": "read"}
    writes = {"packages": "write", "id-token": "write", "attestations": "write"}
    assert jobs["push"]["permissions"] == {"contents": "read", **writes}
    for job in jobs.values():
        assert job["steps"][0]["with"]["persist-credentials"] is False
