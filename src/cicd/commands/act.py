"""`cicd act`: run a workflow of a repository on this machine, as GitHub would, against a LocalHub."""

import argparse
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cicd.adapters import act
from cicd.adapters.http import probe
from cicd.adapters.runner import Runner
from cicd.adapters.store import uncommitted
from cicd.errors import CicdError, GitHubUnavailable, UsageError

ABOUT = """Run a workflow of a repository on this machine with act, against a LocalHub.

  bin/cicd localhub --db hub.db --port 8180 &                 a GitHub of your own
  bin/cicd act .github/workflows/pipeline.yml -C my-repo --hub http://127.0.0.1:8180 --secret-file .secrets

`uses: org/cicd/...@v1` is this checkout, whatever the ref. Secrets are read from a dotenv file; GITHUB_TOKEN among them
is the token for LocalHub. With --print the act command is shown and not run, so that you can run and change it
yourself; its files are kept in the folder that it names. docs/tutorial.md goes through all of it."""


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cicd act", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workflow", help="path of the workflow file in the repository")
    parser.add_argument("-C", "--directory", default=".", help="the repository (default: this folder)")
    parser.add_argument("--event", default="push", help="push, workflow_dispatch, … (default: push)")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of a workflow_dispatch, or of a repository_dispatch's payload",
    )
    parser.add_argument(
        "--hub", default="", metavar="URL", help="a LocalHub (default: none; what asks GitHub then fails)"
    )
    parser.add_argument("--run-id", default="1", help="GITHUB_RUN_ID (default: 1)")
    parser.add_argument("--secret-file", metavar="FILE", help="dotenv file")
    parser.add_argument("--actor", default="", help="who starts it")
    parser.add_argument("--target", default="", metavar="FOLDER", help="where environments run (CICD_TARGET)")
    parser.add_argument(
        "--store",
        default="",
        metavar="FOLDER",
        help="where artifacts and caches are kept (default: forgotten at the end)",
    )
    parser.add_argument("--job", default="", help="run this job alone, with those that it needs")
    parser.add_argument("--print", action="store_true", help="show the act command, do not run it")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run it; 0 when the workflow succeeded, 1 when it did not."""
    given = options().parse_args(arguments)
    runner = Runner.here()
    try:
        job = job_of(given, runner)
        if given.hub:
            require_hub(given.hub)
        for warning in warnings(job, given.hub):
            runner.say(f"warning: {warning}")
        folder = act.new_folder("cicd-act-")
        if given.print:
            print(act.printed(job, folder, runner))
            runner.say(f"Its files, the secrets among them, stay in {folder}: remove it when you are done.")
            return 0
        try:
            return 0 if act.execute(job, folder, runner, Log()) else 1
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except CicdError as error:
        runner.say(f"cicd act: {error}")
        return error.code


def require_hub(url: str) -> None:
    """Raises GitHubUnavailable when nothing answers there."""
    found = probe(f"{url.rstrip('/')}/meta")
    if found.status != 200:
        raise GitHubUnavailable(
            f"No LocalHub answers at {url}: {found.error or f'HTTP status {found.status}'}",
            cause="it was not started, has ended, or has another port",
            next_step="start one (`bin/cicd localhub --db hub.db --port 8180`) and give --hub the URL that it prints",
        )


def warnings(job: act.Job, hub: str) -> list[str]:
    """What will surprise whoever starts this."""
    found = []
    if not re.search(r"^(export +)?GITHUB_TOKEN *=", job.secret_lines, re.MULTILINE):
        what = "the token of a run" if hub else "the token of a run of a LocalHub, and its URL with --hub"
        found.append(
            "--secret-file has no GITHUB_TOKEN: promote and rollback will be refused (no-token)."
            f" Give {what}; docs/tutorial.md shows how to get one."
        )
    if changed := uncommitted(job.repository):
        found.append(
            f"{changed[0]}{f' and {len(changed) - 1} more' if changed[1:] else ''} is not committed: tests see your"
            " changes, but a release is built from the commit, without them."
        )
    return found


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
    env = {"GITHUB_RUN_ID": given.run_id, **({"CICD_HOME": act.home(runner)} if act.home(runner) else {})}
    if hub:
        env |= {"GITHUB_API_URL": hub, "GITHUB_GRAPHQL_URL": f"{hub}/graphql", "GITHUB_SERVER_URL": hub}
    if given.target:
        env["CICD_TARGET"] = str(Path(given.target).resolve())
    return act.Job(
        repository,
        given.workflow,
        given.event,
        inputs,
        env,
        secret_lines=secrets,
        actor=given.actor,
        only=given.job,
        store=Path(given.store).resolve() if given.store else None,
    )


class Log:
    """Shows act's log as a job's log would have it.

    act says an output or a summary again for the composite around its step; once is enough. An output that is empty is
    left out, and so is `result`, which says in JSON what other lines say in words.
    """

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, line: dict[str, Any]) -> None:
        job, command, message = str(line.get("job", "")), line.get("command"), str(line.get("msg", "")).rstrip()
        if command == "set-output" and (line.get("name") == "result" or not line.get("arg")):
            return
        shown = f"[{job}] {message}" if job else message
        if not command or shown not in self._said:
            print(shown, flush=True)
        self._said.add(shown)
