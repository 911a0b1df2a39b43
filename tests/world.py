"""A consumer whose GitHub is LocalHub, driven by the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cicd.adapters.localhub import LocalHub
from tests.commands.site import Consumer

ENTRY = Path(__file__).resolve().parents[1] / "src" / "cicd" / "__main__.py"
NAME = "acme/tiny"
DEVELOPER, REVIEWER = "dana-token-0123456789", "rita-token-0123456789"


@dataclass
class World:
    """A consumer whose GitHub is LocalHub."""

    app: Consumer
    hub: LocalHub

    def run(self, *arguments: str, token: str = "", env: dict[str, str] | None = None) -> dict[str, Any]:
        """A cicd command with --json; its result and, as `exit`, its exit code."""
        given = {**self.job(), **({"GITHUB_TOKEN": token} if token else {}), **(env or {})}
        argv = [sys.executable, "-I", str(ENTRY), *arguments, "--json"]
        done = subprocess.run(argv, env=given, cwd=self.app.repository, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return {**json.loads(done.stdout), "exit": done.returncode, "said": done.stderr}

    def job(self) -> dict[str, str]:
        """The variables of a new job of a new run, for the newest commit."""
        sha = self.app.git("rev-parse", "HEAD")
        run = self.hub.new_run(NAME, ".github/workflows/pipeline.yml", "push", sha, "dana")
        return {
            **self.app.runner(sha).env,
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_API_URL": self.hub.url,
            "GITHUB_SERVER_URL": self.hub.url,
            "GITHUB_RUN_ID": str(run.id),
            "GITHUB_TOKEN": run.token,
        }

    def promote(self, environment: str = "staging", *more: str, **settings: Any) -> dict[str, Any]:
        image = self.app.build(self.app.git("rev-parse", "HEAD"))
        return self.run("promote", "--environment", environment, "--image", image, *more, **settings)

    def protect(self, environment: str) -> None:
        rita = self.hub.call("GET", "/users/rita", DEVELOPER)
        path = f"/repos/{NAME}/environments/{environment}"
        self.hub.call("PUT", path, DEVELOPER, {"reviewers": [{"type": "User", "id": rita["id"]}]})

    def faults(self, *rules: dict[str, Any]) -> None:
        self.hub.admin("PUT", "/faults", {"faults": list(rules)})

    def deployments(self) -> list[dict[str, Any]]:
        found = self.hub.call("GET", f"/repos/{NAME}/deployments?per_page=100", DEVELOPER)
        return [entry for entry in found if entry["task"] == "cicd"]


class Place(Protocol):
    """A repository, and a folder around it."""

    @property
    def folder(self) -> Path: ...

    @property
    def repository(self) -> Path: ...


@contextmanager
def hub_of(app: Place) -> Iterator[LocalHub]:
    """A LocalHub that knows the repository, its environments, and two people."""
    hub = LocalHub.start(
        app.folder / "hub", {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    )
    try:
        for login, token in (("dana", DEVELOPER), ("rita", REVIEWER)):
            hub.admin("POST", "/users", {"login": login, "token": token})
        owner, name = NAME.split("/")
        about = {"owner": owner, "name": name, "path": str(app.repository), "default_branch": "main"}
        hub.admin("POST", "/repos", about)
        for environment in ("staging", "production"):
            hub.call("PUT", f"/repos/{NAME}/environments/{environment}", DEVELOPER, {})
        yield hub
    finally:
        hub.stop()
