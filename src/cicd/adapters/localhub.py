"""LocalHub from outside: starting it, and what only its owner may say to it."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cicd.adapters.http import json_request, text_request
from cicd.adapters.process import ProcessId, find, spawn, stop
from cicd.errors import GitHubUnavailable, ServiceFailed

ENTRY = Path(__file__).resolve().parents[1] / "__main__.py"


@dataclass(frozen=True)
class Run:
    """A workflow run that LocalHub has queued; `token` is its GITHUB_TOKEN."""

    id: int
    token: str
    workflow: str
    event: str
    sha: str
    actor: str
    inputs: dict[str, str]


@dataclass(frozen=True)
class LocalHub:
    """A LocalHub that answers at `url`."""

    url: str
    admin_token: str
    process: ProcessId

    @classmethod
    def start(cls, folder: Path, env: dict[str, str], port: int = 0) -> "LocalHub":
        """Start one with its database in `folder`. Raises ServiceFailed."""
        folder.mkdir(parents=True, exist_ok=True)
        ready, token, log = folder / "ready.json", folder / "admin-token", folder / "localhub.log"
        ready.unlink(missing_ok=True)
        argv = [sys.executable, "-I", str(ENTRY), "localhub", "--db", str(folder / "hub.db"), "--port", str(port)]
        process = spawn(
            [*argv, "--ready-file", str(ready), "--admin-token-file", str(token)], env=env, cwd=folder, log=log
        )
        deadline = time.monotonic() + 20
        while not ready.exists():
            if time.monotonic() > deadline or find(process) is None:
                stop(process)
                raise ServiceFailed(
                    f"LocalHub did not start: {log.read_text(errors='replace')[-800:]}", next_step="see the lines above"
                )
            time.sleep(0.02)
        return cls(json.loads(ready.read_text())["url"].rstrip("/"), token.read_text().strip(), process)

    def stop(self) -> None:
        """End it; its database stays."""
        stop(self.process)

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """A call that only the owner may make. Raises GitHubUnavailable."""
        return self.call(method, f"/_localhub{path}", self.admin_token, body)

    def call(self, method: str, path: str, token: str, body: object = None) -> Any:
        """Any call, with any token. Raises GitHubUnavailable."""
        status, _, answer = json_request(method, self.url + path, token, body)
        if status >= 400:
            raise GitHubUnavailable(f"LocalHub answered {status} for {method} {path}: {answer}")
        return answer

    def new_run(self, repository: str, workflow: str, event: str, sha: str, actor: str) -> Run:
        """Queue a run of a workflow."""
        body = {"workflow": workflow, "event": event, "ref": "main", "sha": sha, "actor": actor}
        return _run(self.admin("POST", f"/repos/{repository}/runs", body))

    def queued(self) -> list[Run]:
        """Runs that nobody has taken yet, oldest first, each with a token of its own."""
        found = self.admin("GET", "/runs?status=queued")["runs"]
        return [_run({**entry, **self.admin("POST", f"/runs/{entry['id']}/token", {})}) for entry in found]

    def begin(self, run: Run) -> None:
        self.admin("PATCH", f"/runs/{run.id}", {"status": "in_progress"})

    def end(self, run: Run, succeeded: bool) -> None:
        conclusion = "success" if succeeded else "failure"
        self.admin("PATCH", f"/runs/{run.id}", {"status": "completed", "conclusion": conclusion})

    def board(self) -> str:
        """The board as a page that can be kept as a file."""
        return text_request(f"{self.url}/board?static=1")


def _run(entry: dict[str, Any]) -> Run:
    return Run(
        id=int(entry["id"]),
        token=entry["token"],
        workflow=entry["path"],
        event=entry["event"],
        sha=entry["head_sha"],
        actor=entry["actor"],
        inputs={name: str(value) for name, value in entry["inputs"].items()},
    )
