"""What is published of a verdict: a check run and a comment; and what a finished run of a fork has left for it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cicd.adapters.github_answers import (
    ArtifactAnswer,
    ArtifactAnswers,
    CommentAnswer,
    OwnCheck,
    OwnChecks,
    PullAnswer,
    RunAnswer,
    read_answer,
)
from cicd.adapters.github_calls import Calls
from cicd.adapters.github_lock import Request
from cicd.core.pr_comment import Comment, choose, may_be_ours
from cicd.errors import GitHubRefused

PAGES = 10  # of a hundred comments, or artifacts, that are looked through


@dataclass(frozen=True)
class GitHubReports:
    """Makes check runs and comments, each once.

    Attributes:
        viewer: gives the login of the token's owner.
    """

    calls: Calls
    request: Request
    viewer: Callable[[], str]

    def check(self, bodies: Iterable[dict[str, Any]]) -> str:
        """Make a check run from the bodies of its requests; gives its page. Raises one of GitHub's errors."""
        first, *others = bodies
        made = self._first(first)
        marks = len(first["output"].get("annotations", []))
        for body in others:
            marks += len(body["output"]["annotations"])
            self._more(made.id, body, marks)
        return made.html_url or ""

    def _first(self, body: dict[str, Any]) -> OwnCheck:
        def post() -> OwnCheck:
            return read_answer(self.request("POST", "/check-runs", body)[1], OwnCheck)

        def find() -> OwnCheck | None:
            asked = f"?check_name={quote(body['name'], safe='')}&filter=all&per_page=100"
            path = f"/commits/{body['head_sha']}/check-runs{asked}"
            found = self.calls.read(lambda: read_answer(self.request("GET", path)[1], OwnChecks), "check runs")
            return next((one for one in found.check_runs if one.external_id == body["external_id"]), None)

        return self.calls.write(post, find, "a check run")

    def _more(self, check: int, body: dict[str, Any], marks: int) -> None:
        """Add annotations, once. `marks`: how many there are then."""
        path = f"/check-runs/{check}"

        def find() -> bool | None:
            there = self.calls.read(lambda: read_answer(self.request("GET", path)[1], OwnCheck), "a check run")
            return True if there.output.annotations_count >= marks else None

        self.calls.write(lambda: bool(self.request("PATCH", path, body)), find, "annotations of a check run")

    def comment(self, number: int, key: str, body: str, run: int, attempt: int) -> bool:
        """Write the one comment of a pull request; False: a newer run has spoken already.

        Two runs at the same time may make two: the newest is kept, and older ones of ours are deleted.

        Raises one of GitHub's errors.
        """
        choice = choose(self._ours(number, key), key, run, attempt)
        if choice.update is None:
            text = {"body": body}

            def find() -> bool | None:
                return True if any(one.body == body for one in self._ours(number, key)) else None

            path = f"/issues/{number}/comments"
            self.calls.write(lambda: bool(self.request("POST", path, text)), find, "a comment")
        elif not choice.stale:
            path = f"/issues/comments/{choice.update}"
            self.calls.read(lambda: self.request("PATCH", path, {"body": body}), "a comment")
        for older in choice.delete:
            self._delete(older)
        return not choice.stale

    def _ours(self, number: int, key: str) -> list[Comment]:
        """Our comments that begin with the mark. Who we are is asked only where there is one."""
        marked = [one for one in self._listed(number) if may_be_ours(one.body or "", key)]
        me = self.viewer() if marked else ""
        return [Comment(id=one.id, body=one.body or "") for one in marked if one.is_by(me)]

    def _listed(self, number: int) -> Iterable[CommentAnswer]:
        for page in range(1, PAGES + 1):
            path = f"/issues/{number}/comments?per_page=100&page={page}"
            found = self._read(path, list[CommentAnswer], "comments")
            yield from found
            if len(found) < 100:
                return

    def _read(self, path: str, kind: Any, what: str) -> Any:
        return self.calls.read(lambda: read_answer(self.request("GET", path)[1], kind), what)

    def _delete(self, comment: int) -> None:
        """It may be gone already."""
        try:
            self.calls.read(lambda: self.request("DELETE", f"/issues/comments/{comment}"), "a comment")
        except GitHubRefused as error:
            if error.status != 404:
                raise

    def pulls(self, owner: str, branch: str, sha: str) -> list[int]:
        """Open pull requests of a branch, also of a fork's, whose newest commit is this one."""
        path = f"/pulls?state=open&head={quote(f'{owner}:{branch}', safe='')}&per_page=100"
        found: list[PullAnswer] = self._read(path, list[PullAnswer], "pull requests")
        return [one.number for one in found if one.head.sha == sha]

    def run(self, run: int) -> RunAnswer:
        """A run."""
        found: RunAnswer = self._read(f"/actions/runs/{run}", RunAnswer, f"run {run}")
        return found

    def artifacts(self, run: int, prefix: str) -> list[ArtifactAnswer]:
        """The run's artifacts whose names begin so."""
        chosen: list[ArtifactAnswer] = []
        for page in range(1, PAGES + 1):
            path = f"/actions/runs/{run}/artifacts?per_page=100&page={page}"
            found = self._read(path, ArtifactAnswers, "artifacts").artifacts
            chosen += [one for one in found if one.name.startswith(prefix) and not one.expired]
            if len(found) < 100:
                break
        return chosen
