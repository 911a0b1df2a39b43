"""`cicd build`: the image of a commit, built once; every environment gets these bytes."""

from pathlib import Path

from cicd.adapters import store
from cicd.adapters.runner import Runner
from cicd.adapters.target import target_root
from cicd.commands.read import read_config
from cicd.contract import Build
from cicd.core.config import deploy_of
from cicd.core.release import full_sha
from cicd.core.results import Result


def main(inputs: Build, runner: Runner) -> Result:
    """Build, and give the digest."""
    deploy = deploy_of(read_config(inputs.working_directory, inputs.config))
    sha = full_sha(inputs.sha or runner.sha)
    image = store.build(target_root(runner), Path(inputs.working_directory), sha, deploy.files)
    return Result(
        decision="done",
        answer=image,
        message=f"Built from commit {sha[:12]}",
        outputs={"image": image},
        data={"sha": sha},
        summary=f"### 📦 Image `{image}`\n\nBuilt once from commit `{sha[:12]}`; every environment gets these bytes.",
    )
