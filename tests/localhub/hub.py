"""A real LocalHub in a thread, and a caller whose every exchange is held against GitHub's description."""

import asyncio
import contextlib
import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from cicd.localhub.app import create_app
from cicd.localhub.gateway import Gateway
from cicd.localhub.server import listen, make_server, url_of
from tests.localhub.octokit import description, template_of

ADMIN = "the-admins-token"
WORKFLOW = """
name: Deploy
on:
  push: {}
  workflow_dispatch:
    inputs:
      environment: {required: true, type: choice, options: [dev, production]}
      dry: {type: boolean, default: false}
  repository_dispatch: {types: [go]}
jobs: {}
"""


class Reply(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Caller:
    """Calls the API with one token."""

    url: str
    token: str | None
    seen: list[tuple[str, str]] = field(default_factory=list)

    def call(self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """One request; what GitHub has is held against its description, both ways."""
        reply = self.raw(method, target, None if body is None else json.dumps(body).encode(), headers)
        path = urlsplit(target).path
        template = None if path.startswith(("/_localhub", "/graphql", "/board")) else template_of(method, path)
        if template:
            self.seen.append((method, template))
            if reply.status < 400:
                description().check_request(method, template, target, body)
            description().check_response(method, template, reply.status, reply.body)
        return reply

    def raw(self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
        """One request, bytes as they are."""
        where = urlsplit(self.url)
        sent = {"content-type": "application/json"} if body is not None else {}
        if self.token:
            sent["authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, target, body, sent | (headers or {}))
            answer = connection.getresponse()
            data = answer.read()
            names = {name.lower(): value for name, value in answer.getheaders()}
            is_json = names.get("content-type", "").startswith("application/json")
            return Reply(answer.status, json.loads(data) if is_json and data else data or None, names)

    def get(self, target: str, status: int = 200) -> Any:
        """GET; the body."""
        return self.expect(status, "GET", target)

    def post(self, target: str, body: Any = None, status: int = 201) -> Any:
        """POST; the body."""
        return self.expect(status, "POST", target, body)

    def expect(self, status: int, method: str, target: str, body: Any = None) -> Any:
        """The body of an answer with this status."""
        reply = self.call(method, target, body)
        assert reply.status == status, f"{method} {target}: {reply.status} {reply.body}"
        return reply.body


class Run(NamedTuple):
    id: int
    caller: Caller


@dataclass
class Hub:
    """A LocalHub with the repository acme/shop and the users alice and bob."""

    url: str
    repo: Path
    admin: Caller
    alice: Caller
    bob: Caller
    ids: dict[str, int]
    socket: Path

    def caller(self, token: str | None) -> Caller:
        return Caller(self.url, token)

    def app(self, **permissions: str) -> Caller:
        """A caller with a run's token of these permissions."""
        body = {"kind": "app", "repo": "acme/shop", "permissions": permissions}
        return self.caller(self.admin.post("/_localhub/tokens", body)["token"])

    def run(self, actor: str = "bob", ref: str = "main") -> Run:
        body = {"workflow": "deploy.yml", "actor": actor, "ref": ref, "inputs": {"environment": "dev"}}
        made = self.admin.post("/_localhub/repos/acme/shop/runs", body)
        return Run(made["id"], self.caller(made["token"]))

    def protect(self, name: str, *reviewers: str, **rules: Any) -> int:
        """An environment with these reviewers; gives its number."""
        people = [{"type": "User", "id": self.ids[login]} for login in reviewers]
        body = {"reviewers": people, **rules}
        return int(self.alice.expect(200, "PUT", f"{R}/environments/{name}", body)["id"])

    def reach(self, run: Run, environment: str, **more: Any) -> Any:
        """A job of the run reaches an environment."""
        body = {"name": f"deploy {environment}", "environment": environment, **more}
        return run.caller.post(f"/_localhub/runs/{run.id}/jobs", body)

    def git(self, *arguments: str) -> str:
        return git(self.repo, *arguments)

    def commit(self, text: str, branch: str = "main", file: str = "a.txt") -> str:
        """A commit that writes a file; gives its sha."""
        if self.git("symbolic-ref", "--short", "HEAD") != branch:
            self.git("checkout", "-q", branch)
        (self.repo / file).write_text(text)
        self.git("add", ".")
        self.git("commit", "-qm", f"write {text}")
        return self.git("rev-parse", "HEAD")


R = "/repos/acme/shop"


def git(repo: Path, *arguments: str) -> str:
    """Output of a git command."""
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    command = ["git", "-C", str(repo), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Switch:
    """An application that stands for another: one server serves many tests, each with a LocalHub of its own."""

    app: Gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        for part in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{part}.complete"})


@contextlib.contextmanager
def serving(folder: Path, app: ASGIApp | None = None, **settings: Any) -> Iterator[str]:
    """A server that answers, with a LocalHub of its own unless an application is given; gives its URL."""
    listener, local = listen("127.0.0.1", 0), socket.socket(socket.AF_UNIX)
    local.bind(str(folder / "hub.sock"))
    server = make_server(app or create_app(folder / "hub.sqlite", ADMIN, **settings))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener, local])))
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        local.close()


def make_repository(repo: Path) -> None:
    """A repository with two commits, a tag and a workflow."""
    (repo / ".github/workflows").mkdir(parents=True)
    git(repo, "init", "-q")
    (repo / ".github/workflows/deploy.yml").write_text(WORKFLOW)
    for text in ("one", "two"):
        (repo / "a.txt").write_text(text)
        git(repo, "add", ".")
        git(repo, "commit", "-qm", f"write {text}")
    git(repo, "tag", "v1")


def populate(url: str, repo: Path, admin: str = ADMIN, local: Path = Path()) -> Hub:
    """A hub with the repository and two users."""
    if not repo.exists():
        make_repository(repo)
    hub = Hub(url, repo, Caller(url, admin), Caller(url, None), Caller(url, None), {}, local)
    hub.admin.post("/_localhub/repos", {"owner": "acme", "name": "shop", "path": str(repo)})
    for login in ("alice", "bob"):
        made = hub.admin.post("/_localhub/users", {"login": login})
        hub.ids[login] = made["id"]
        getattr(hub, login).token = made["token"]
    return hub
