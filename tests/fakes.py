"""Fakes on the real seams. They refuse what was not told to them."""

import io
from collections.abc import Mapping
from typing import Any

from cicd.adapters.runner import Runner
from cicd.core.approval import Protection, Review
from cicd.core.ledger import Deployment, Payload, Verdict
from cicd.errors import CicdError


def runner(env: Mapping[str, str]) -> Runner:
    """A runner that writes into a string."""
    return Runner(dict(env), io.StringIO())


class FakeHub:
    """GitHub's ledger in memory, newest first, with the methods that promote and rollback use.

    Attributes:
        protections: environment → how it is protected.
        given_reviews: what reviewers have said of the run.
        fails: name of a method → the error that it raises.
    """

    def __init__(self) -> None:
        self.deployments: list[Deployment] = []
        self.protections: dict[str, Protection] = {}
        self.given_reviews: list[Review] = []
        self.waiting: list[str] = []
        self.relation = "ahead"
        self.fails: dict[str, CicdError] = {}
        self.calls = 0

    def _call(self, name: str) -> None:
        self.calls += 1
        if name in self.fails:
            raise self.fails[name]

    def environment(self, name: str) -> Protection | None:
        self._call("environment")
        return self.protections.get(name)

    def ledger(self, environments: list[str]) -> list[Deployment]:
        self._call("ledger")
        return [entry for entry in self.deployments if entry.environment in environments]

    def reviews(self, run_id: str) -> list[Review]:
        self._call("reviews")
        return self.given_reviews

    def pending(self, run_id: str) -> list[str]:
        self._call("pending")
        return self.waiting

    def compare(self, base: str, head: str) -> str:
        self._call("compare")
        return self.relation

    def create_deployment(
        self, payload: Payload, environment: str, production: bool, *, maybe_there: bool = False
    ) -> int:
        self._call("create_deployment")
        for entry in self.deployments:
            if maybe_there and entry.payload.key == payload.key:
                return entry.id
        number = len(self.deployments) + 1
        made = Deployment(
            id=number, environment=environment, created_at=f"{number:04}", verdict="in-progress", payload=payload
        )
        self.deployments.insert(0, made)
        return number

    def set_verdict(self, deployment: int, verdict: Verdict, note: str, environment_url: str = "") -> None:
        self._call("set_verdict")
        self.deployments = [
            self._with(entry, verdict, note) if entry.id == deployment else entry for entry in self.deployments
        ]

    def _with(self, entry: Deployment, verdict: Verdict, note: str) -> Deployment:
        values: dict[str, Any] = {name: getattr(entry, name) for name in entry.__struct_fields__}
        return Deployment(**{**values, "verdict": verdict, "note": note})

    def announce(self, run_id: str, environment: str) -> None:
        """Nothing to tell."""

    def show_plan(self, run_id: str, environment: str, markdown: str) -> None:
        """Nobody to show it to."""
