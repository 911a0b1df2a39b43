"""What a run is about, by the runner's variables and the event's file, which GitHub writes."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from cicd.adapters.runner import Runner

LARGEST = 32 * 1024 * 1024  # bytes of an event; GitHub's have 25 MB at most


class _Repository(msgspec.Struct):
    full_name: str = ""


class _Head(msgspec.Struct):
    sha: str = ""
    repo: _Repository | None = None


class _Pull(msgspec.Struct):
    number: int = 0
    head: _Head = msgspec.field(default_factory=_Head)


class _Event(msgspec.Struct):
    pull_request: _Pull | None = None


@dataclass(frozen=True)
class Subject:
    """What a run has tested.

    Attributes:
        sha: the commit whose page shows it. A pull request's run tests a merge that no page shows: it is its head.
        pull: number of the pull request; 0: none that the event names.
        branch: that was pushed; empty: none was.
        of_a_fork: whether it comes from a fork, so that the token may write nothing.
        workflow: path of the workflow's file.
    """

    sha: str
    pull: int
    branch: str
    of_a_fork: bool
    workflow: str


def tested(runner: Runner) -> Subject | None:
    """What this run has tested; None where that is nobody's to tell.

    `pull_request_target` runs test the base, and are started by the head: what they show says nothing of it.
    """
    env = runner.env
    if runner.event == "pull_request_target" or not runner.sha:
        return None
    where = env.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].split("/", 2)
    workflow = where[2] if len(where) == 3 else env.get("GITHUB_WORKFLOW", "")
    if runner.event == "pull_request":
        pull = _event(env.get("GITHUB_EVENT_PATH", "")).pull_request or _Pull()
        home = pull.head.repo.full_name if pull.head.repo else ""
        of_a_fork = bool(pull.number) and home.lower() != runner.repository.lower()
        return Subject(pull.head.sha or runner.sha, pull.number, "", of_a_fork, workflow)
    pushed = runner.event == "push" and env.get("GITHUB_REF", "").startswith("refs/heads/")
    branch = env["GITHUB_REF"].removeprefix("refs/heads/") if pushed else ""
    return Subject(runner.sha, 0, branch, False, workflow)


def _event(path: str) -> _Event:
    """The event; an empty one where it cannot be read."""
    try:
        if Path(path).stat().st_size > LARGEST:
            return _Event()
        return msgspec.json.decode(Path(path).read_bytes(), type=_Event)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return _Event()
