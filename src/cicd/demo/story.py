"""The story: v1 to three environments, v2 with schema and settings, v3 that fails, and a rollback by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cicd.adapters.http import json_request
from cicd.adapters.runner import Runner
from cicd.demo.load import Count, Load
from cicd.demo.pipeline import Played, play
from cicd.demo.stage import DEVELOPER, REPOSITORY, Stage, commit, overlay
from cicd.errors import CommandFailed

PIPELINE, ROLLBACK = ".github/workflows/pipeline.yml", ".github/workflows/rollback.yml"
RATE = 200.0  # requests per second


@dataclass
class Version:
    """A release of the story: what is said of it, and what it must be when it runs."""

    name: str
    message: str
    greeting: str
    schema: str
    settings: dict[str, str] = field(default_factory=dict)


V1 = Version("v1", "A first version", "Hello! How can I help?", "0001")
V2 = Version(
    "v2",
    "Conversations have titles",
    "Welcome! What shall we plan?",
    "0002",
    {"GREETING": "Welcome! What shall we plan?", "TITLE_LENGTH": "32"},
)
V3 = Version(
    "v3",
    "Messages count their tokens",
    "Welcome! Usage is now shown.",
    "0003",
    {"GREETING": "Welcome! Usage is now shown.", "SHOW_USAGE": "on"},
)


@dataclass
class Told:
    """What happened.

    Attributes:
        runs: each run's name and how it went.
        count: of the load.
        releases: ids in production, by version.
    """

    runs: dict[str, Played] = field(default_factory=dict)
    count: Count = field(default_factory=Count)
    releases: dict[str, str] = field(default_factory=dict)


class Story:
    """Tells it on a stage; every claim is checked through the router."""

    def __init__(self, stage: Stage, runner: Runner, show: Callable[[str], None], *, approve: bool) -> None:
        self._stage = stage
        self._runner = runner
        self._show = show
        self._approve = approve
        self.told = Told()
        self._load: Load | None = None

    def tell(self) -> Told:
        """The whole story. Raises CommandFailed when it does not go as it must."""
        try:
            self._release(V1)
            self._load = Load(self._stage.ports["production"], RATE)
            self._load.start()
            overlay(self._stage, "v2", V2.settings)
            self._release(V2)
            overlay(self._stage, "v3", V3.settings)
            self._fail(V3, back_to=V2)
            self._roll_back(V1)
        finally:
            if self._load:
                self.told.count = self._load.stop()
        return self.told

    def _push(self, version: Version) -> Played:
        sha = commit(self._stage, version.name, version.message)
        self._show(f"▶ {version.name} “{version.message}”: {DEVELOPER} pushes {sha[:12]} to main")
        run = self._stage.hub.new_run(REPOSITORY, PIPELINE, "push", sha, DEVELOPER)
        played = play(self._stage, run, self._runner, self._show, approve=self._approve)
        self.told.runs[version.name] = played
        return played

    def _release(self, version: Version) -> None:
        played = self._push(version)
        self._expect(played.succeeded, f"the pipeline of {version.name} failed", played)
        self._runs_in_production(version, played)

    def _fail(self, version: Version, back_to: Version) -> None:
        played = self._push(version)
        verdicts = [result["outputs"].get("verdict") for result in played.of("promote")]
        self._expect(verdicts == ["stable", "stable", "rolled-back"], f"verdicts were {verdicts}", played)
        self._expect(not played.succeeded, f"the pipeline of {version.name} did not fail", played)
        self._runs_in_production(back_to, played)

    def _roll_back(self, version: Version) -> None:
        self._show(f"▶ {DEVELOPER} runs the workflow `rollback` for production by hand")
        path = f"/repos/{REPOSITORY}/actions/workflows/rollback.yml/dispatches"
        inputs = {"environment": "production", "reason": "titles confuse our users"}
        body = {"ref": "main", "inputs": inputs}
        self._stage.hub.call("POST", path, self._stage.tokens[DEVELOPER], body)
        run = self._stage.hub.queued()[0]
        played = play(self._stage, run, self._runner, self._show, approve=self._approve)
        self.told.runs["rollback"] = played
        self._expect(played.succeeded, "the rollback failed", played)
        self._runs_in_production(version, played)

    def _runs_in_production(self, version: Version, played: Played) -> None:
        """Code, configuration and schema are those of one version: asked from the outside."""
        url = self._stage.url("production")
        _, headers, about = json_request("GET", f"{url}/api/v1/about", "")
        _, _, health = json_request("GET", f"{url}/health", "")
        assert isinstance(about, dict)  # for the type checker
        assert isinstance(health, dict)
        release = headers.get("x-cicd-release", "")
        known = self.told.releases.setdefault(version.name, release)
        seen: dict[str, Any] = {
            "release": release,
            "the application's own release": headers.get("x-release"),
            "greeting": about.get("greeting"),
            "schema": health.get("schema"),
        }
        must = {
            "release": known,
            "the application's own release": known,
            "greeting": version.greeting,
            "schema": version.schema,
        }
        self._expect(seen == must, f"production should run {must}, runs {seen}", played)
        self._show(
            f"  ✓ production runs {version.name} ({release}): code, settings and schema {version.schema}, asked by HTTP"
        )

    def _expect(self, holds: bool, otherwise: str, played: Played) -> None:
        if not holds:
            tail = "\n".join(played.log[-60:])
            raise CommandFailed(
                f"The demo did not go as it must: {otherwise}\n{tail}",
                next_step="this is a bug in cicd: please open an issue with these lines",
            )
