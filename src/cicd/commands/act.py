"""`cicd act`: run a workflow of a repository on this machine, as GitHub would, against a LocalHub."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cicd.adapters import act
from cicd.adapters.runner import Runner
from cicd.errors import CicdError, UsageError

ABOUT = """Run a workflow of a repository on this machine with act, against a LocalHub.

  bin/cicd localhub --db hub.db --port 8180 &                 a GitHub of your own
  bin/cicd act .github/workflows/pipeline.yml -C my-repo --hub http://127.0.0.1:8180 --secret-file .secrets

`uses: org/cicd/...@v1` is this checkout. Secrets are read from a dotenv file; GITHUB_TOKEN among them is the token
for LocalHub. With --print the act command is shown and not run, so that you can run and change it yourself."""


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cicd act", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workflow", help="path of the workflow file in the repository")
    parser.add_argument("-C", "--directory", default=".", help="the repository (default: this folder)")
    parser.add_argument("--event", default="push", help="push, workflow_dispatch, … (default: push)")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=VALUE", help="of a workflow_dispatch")
    parser.add_argument(
        "--hub", default="", metavar="URL", help="a LocalHub (default: none; GitHub is then not reached)"
    )
    parser.add_argument("--run-id", default="1", help="GITHUB_RUN_ID (default: 1)")
    parser.add_argument("--secret-file", metavar="FILE", help="dotenv file")
    parser.add_argument("--actor", default="", help="who starts it")
    parser.add_argument("--target", default="", metavar="FOLDER", help="where environments run (CICD_TARGET)")
    parser.add_argument("--job", default="", help="run this job alone, with those that it needs")
    parser.add_argument("--print", action="store_true", help="show the act command, do not run it")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run it; 0 when the workflow succeeded, 1 when it did not."""
    given = options().parse_args(arguments)
    runner = Runner.here()
    try:
        job = job_of(given, runner)
        if given.print:
            print(" ".join(act.command(act.program(runner), job, Path("ACT_FILES"))))
            return 0
        with tempfile.TemporaryDirectory(prefix="cicd-act-") as folder:
            return 0 if act.execute(job, Path(folder), runner, show) else 1
    except CicdError as error:
        runner.say(f"cicd act: {error}")
        return error.code


def job_of(given: argparse.Namespace, runner: Runner) -> act.Job:
    """What the arguments ask for. Raises UsageError."""
    repository = Path(given.directory).resolve()
    if not (repository / given.workflow).is_file():
        raise UsageError(f"There is no {repository / given.workflow}", next_step="give its path in the repository")
    inputs = dict(part.partition("=")[::2] for part in given.input)
    if "" in inputs:
        raise UsageError("An --input is not NAME=VALUE", next_step="write it as --input environment=staging")
    try:
        secrets = Path(given.secret_file).read_text(encoding="utf-8") if given.secret_file else ""
    except OSError as error:
        raise UsageError(f"The secret file cannot be read: {error}", next_step="mend --secret-file") from error
    hub = given.hub.rstrip("/")
    env = {"GITHUB_RUN_ID": given.run_id}
    if hub:
        env |= {"GITHUB_API_URL": hub, "GITHUB_GRAPHQL_URL": f"{hub}/graphql", "GITHUB_SERVER_URL": hub}
    if given.target:
        env["CICD_TARGET"] = str(Path(given.target).resolve())
    return act.Job(
        repository, given.workflow, given.event, inputs, env, secret_lines=secrets, actor=given.actor, only=given.job
    )


def show(line: dict[str, Any]) -> None:
    """A line of act's log, as a job's log would have it."""
    job = f"[{line['job']}] " if line.get("job") else ""
    print(f"{job}{str(line.get('msg', '')).rstrip()}", flush=True)
