"""Runs of the consumer's workflows: queued by LocalHub, taken by act, approved by a person."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cicd.adapters import act
from cicd.adapters.localhub import Run
from cicd.adapters.runner import Runner
from cicd.demo.stage import ENVIRONMENTS, REPOSITORY, REVIEWER, Stage

Show = Callable[[str], None]
LOG_LINE = ("  ✓", "  ✗", "  !", "promote", "rollback", "Going back")


@dataclass
class Played:
    """How a run went.

    Attributes:
        succeeded: as act says.
        seconds: wall time.
        results: the `result` output of every action that ran, in order.
        log: every line that steps printed.
        token: of the run.
    """

    token: str = ""
    succeeded: bool = False
    seconds: float = 0.0
    results: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def of(self, command: str) -> list[dict[str, Any]]:
        """The results of one command."""
        return [result for result in self.results if result["command"] == command]


def play(stage: Stage, run: Run, runner: Runner, show: Show, *, approve: bool) -> Played:
    """Run a queued run to its end.

    Args:
        approve: whether the reviewer approves what waits; else a person does, on the board.
    """
    played, started, done = Played(token=run.token), time.monotonic(), threading.Event()
    reviewer = threading.Thread(target=_review, args=(stage, run, show, done), daemon=True)
    if approve:
        reviewer.start()
    stage.hub.begin(run)
    job = act.Job(
        repository=stage.repository,
        workflow=run.workflow,
        event=run.event,
        inputs=run.inputs,
        env=variables(stage, run, runner),
        secrets=secrets_of(stage, run),
        actor=run.actor,
    )
    try:
        played.succeeded = act.execute(job, stage.folder / "runner", runner, lambda line: _line(line, played, show))
    finally:
        done.set()
        stage.hub.end(run, played.succeeded)
    if approve:
        reviewer.join()
    played.seconds = time.monotonic() - started
    return played


def variables(stage: Stage, run: Run, runner: Runner) -> dict[str, str]:
    """What the runner would tell each step."""
    return {
        "GITHUB_API_URL": stage.hub.url,
        "GITHUB_GRAPHQL_URL": f"{stage.hub.url}/graphql",
        "GITHUB_SERVER_URL": stage.hub.url,
        "GITHUB_RUN_ID": str(run.id),
        "CICD_HOME": act.home(runner),
        "CICD_TARGET": str(stage.targets),
        "PATH": f"{stage.tools}{os.pathsep}{runner.env.get('PATH', '')}",
    }


def secrets_of(stage: Stage, run: Run) -> dict[str, str]:
    """The repository's secrets."""
    settings = {f"{name.upper()}_ENV": stage.app_env(name) for name in ENVIRONMENTS}
    return {"GITHUB_TOKEN": run.token, **settings}


def _line(line: Mapping[str, Any], played: Played, show: Show) -> None:
    """One line of act's log: collect results, show what people want to see."""
    message = str(line.get("msg", "")).rstrip()
    if line.get("command") == "set-output" and line.get("name") == "result" and line.get("stepID", [""])[-1] == "cicd":
        played.results.append(msgspec.json.decode(str(line["arg"])))
    elif line.get("raw_output"):
        played.log += message.splitlines()
        for part in message.splitlines():
            if part.startswith(LOG_LINE):
                show(f"  {part}")
    elif line.get("jobResult"):
        icon = "✓" if line["jobResult"] == "success" else "✗"
        show(f"  {icon} job {line.get('job')}")
    elif line.get("level") == "error":
        played.log.append(message)


def _review(stage: Stage, run: Run, show: Show, done: threading.Event) -> None:
    """The reviewer looks for what waits, and approves it through the API, as the Approve button does."""
    token, path = stage.tokens[REVIEWER], f"/repos/{REPOSITORY}/actions/runs/{run.id}/pending_deployments"
    while not done.wait(0.25):
        for entry in stage.hub.call("GET", path, token):
            name = entry["environment"]["name"]
            answer = {"environment_ids": [entry["environment"]["id"]], "state": "approved", "comment": "Looks good."}
            stage.hub.call("POST", path, token, answer)
            show(f"    ✓ {REVIEWER} approves {name}")
