"""Issues of a repository, for the fallback gate."""

from dataclasses import dataclass

from cicd.adapters.github_answers import Comment, IssueAnswer, read_answer
from cicd.adapters.github_calls import Calls
from cicd.adapters.github_lock import Request
from cicd.core.issue_gate import LABEL, Asked, Issue, asks_for, body, is_ours, place, title


@dataclass(frozen=True)
class GitHubIssues:
    """Opens, finds and closes issues that ask for an approval."""

    calls: Calls
    request: Request

    def ask(self, asked: Asked, plan_text: str, approvers: list[str], key: bytes, repository: str) -> Issue:
        """The open issue that asks for this; made if there is none. Raises one of GitHub's errors.

        It gets its number when it is made, and is signed for that then. One that a killed run has left without, or that
        somebody has changed, is written anew.

        Args:
            key: of the target, by which it is signed.
            repository: that it is in.
        """

        def find() -> Issue | None:
            path = f"/issues?state=open&labels={LABEL}&per_page=100"
            listed = self.calls.read(lambda: read_answer(self.request("GET", path)[1], list[IssueAnswer]), "issues")
            return next((issue for issue in (entry.issue() for entry in listed) if asks_for(issue, asked)), None)

        def post() -> Issue:
            text = {"title": title(asked), "body": body(asked, plan_text, approvers, key), "labels": [LABEL]}
            return read_answer(self.request("POST", "/issues", text)[1], IssueAnswer).issue()

        issue = self.calls.write(post, find, "an issue", unclear=True)
        if not is_ours(issue, key, repository):
            text = body(asked, plan_text, approvers, key, place(repository, issue.number))
            self._change(issue.number, {"title": title(asked), "body": text})
        return issue

    def _change(self, number: int, values: dict[str, str]) -> None:
        """Made twice it does no harm."""
        self.calls.read(lambda: self.request("PATCH", f"/issues/{number}", values), f"issue {number}")

    def get(self, number: int) -> Issue:
        """One issue. Raises GitHubRefused if it is not there."""
        path, what = f"/issues/{number}", f"issue {number}"
        return self.calls.read(lambda: read_answer(self.request("GET", path)[1], IssueAnswer), what).issue()

    def close(self, number: int, comment: str) -> None:
        """Say how it ended, and close it."""
        self._change(number, {"state": "closed"})
        comments = f"/issues/{number}/comments"

        def find() -> bool | None:
            path = f"{comments}?per_page=100"
            there = self.calls.read(lambda: read_answer(self.request("GET", path)[1], list[Comment]), "comments")
            return True if any(entry.body == comment for entry in there) else None

        self.calls.write(lambda: bool(self.request("POST", comments, {"body": comment})), find, "a comment")
