"""Fakes on the real seams. They refuse what was not told to them."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import github

from cicd.adapters.github_calls import Calls
from cicd.adapters.github_lock import GitHubLocks
from cicd.adapters.github_standing import Standing
from cicd.adapters.runner import Runner
from cicd.core.approval import Protection, Review
from cicd.core.ledger import Deployment, Payload, Verdict
from cicd.core.lock import Seen, read_lock, ref_of
from cicd.errors import CicdError


def runner(env: Mapping[str, str]) -> Runner:
    """A runner that writes into a string."""
    return Runner(dict(env), io.StringIO())


class FakeRefs:
    """GitHub's commits and refs in memory: the calls by which locks are written.

    Attributes:
        made: verb and path of each call, oldest first.
        between: called before each call is answered: whatever others do meanwhile.
        faults: answers of the next calls that take effect and are lost; None for one that is not.
    """

    def __init__(self) -> None:
        self.commits: dict[str, tuple[str, list[str]]] = {}
        self.refs: dict[str, str] = {}
        self.made: list[str] = []
        self.between: Callable[[], None] = lambda: None
        self.faults: list[Exception | None] = []

    def read(self, environment: str) -> Seen:
        self.between()
        self.made.append("POST /graphql")
        oid = self.refs.get(ref_of(environment), "")
        return Seen(oid=oid, lock=read_lock(self.commits[oid][0]) if oid else None)

    def request(self, verb: str, path: str, body: dict[str, Any] | None = None) -> tuple[dict[str, Any], Any]:
        self.between()
        self.made.append(f"{verb} {path}")
        answer = self._answer(verb, path, body or {})
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            raise fault
        return {}, answer

    def _answer(self, verb: str, path: str, body: dict[str, Any]) -> Any:
        if (verb, path) == ("POST", "/git/commits"):
            oid = f"{len(self.commits) + 1:040x}"
            self.commits[oid] = (body["message"], body["parents"])
            return {"sha": oid}
        if (verb, path) == ("POST", "/git/refs"):
            if body["ref"] in self.refs:
                raise github.GithubException(422, {"message": "Reference already exists"}, {})
            self.refs[body["ref"]] = body["sha"]
            return {"object": {"sha": body["sha"]}}
        if verb == "PATCH":
            ref = path.replace("/git/refs/", "refs/")
            if not body["force"] and self.refs[ref] not in (body["sha"], *self.commits[body["sha"]][1]):
                raise github.GithubException(422, {"message": "Update is not a fast forward"}, {})
            self.refs[ref] = body["sha"]
            return {"object": {"sha": body["sha"]}}
        if path.startswith("/commits?sha="):
            return [{"commit": {"message": message}} for message in self.history(path[13:53])]
        raise AssertionError(f"{verb} {path} is not answered here")

    def history(self, oid: str) -> list[str]:
        """Messages of a commit and those before it, newest first."""
        found = []
        while oid:
            message, parents = self.commits[oid]
            found.append(message)
            oid = parents[0] if parents else ""
        return found


class FakeHub:
    """GitHub's ledger and locks in memory, newest first, with the methods that promote and rollback use.

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
        self.bundles: list[dict[str, Any]] = []
        self.calls = 0
        self.refs = FakeRefs()

    def _call(self, name: str) -> None:
        self.calls += 1
        if name in self.fails:
            raise self.fails[name]

    def environment(self, name: str, *, whole: bool = False) -> Protection | None:
        self._call("environment")
        return self.protections.get(name)

    def ledger(self, environments: list[str]) -> list[Deployment]:
        self._call("ledger")
        return [entry for entry in self.deployments if entry.environment in environments]

    def standing(self, environments: list[str]) -> Standing:
        return Standing(self.ledger(environments), {name: self.refs.read(name) for name in environments})

    def locks(self) -> GitHubLocks:
        return GitHubLocks(Calls(1), self.refs.request, self.refs.read)

    def reviews(self, run_id: str) -> list[Review]:
        self._call("reviews")
        return self.given_reviews

    def pending(self, run_id: str) -> list[str]:
        self._call("pending")
        return self.waiting

    def checks(self, sha: str, wanted: list[str]) -> dict[str, str]:
        self._call("checks")
        return dict.fromkeys(wanted, "success")

    def attestations(self, repository: str, digest: str) -> list[dict[str, Any]]:
        self._call("attestations")
        return self.bundles

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
