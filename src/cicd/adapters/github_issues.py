"""Issues of a repository, for the fallback gate."""

from dataclasses import dataclass
from typing import Any

from cicd.adapters.github_calls import Calls
from cicd.adapters.github_lock import Request
from cicd.core.issue_gate import LABEL, Asked, Issue, body, read_asked, title


@dataclass(frozen=True)
class GitHubIssues:
    """Opens, finds and closes issues that ask for an approval."""

    calls: Calls
    request: Request

    def ask(self, asked: Asked, plan_text: str, approvers: list[str]) -> Issue:
        """The open issue that asks for this; made if there is none. Raises one of GitHub's errors."""

        def find() -> Issue | None:
            path = f"/issues?state=open&labels={LABEL}&per_page=100"
            _, data = self.calls.read(lambda: self.request("GET", path), "issues")
            same = (_issue(entry) for entry in data if read_asked(entry.get("body") or "") == asked)
            return next((issue for issue in same if issue.by_app), None)

        def post() -> Issue:
            text = {"title": title(asked), "body": body(asked, plan_text, approvers), "labels": [LABEL]}
            return _issue(self.request("POST", "/issues", text)[1])

        return self.calls.write(post, find, "an issue", unclear=True)

    def get(self, number: int) -> Issue:
        """One issue. Raises GitHubRefused if it is not there."""
        return _issue(self.calls.read(lambda: self.request("GET", f"/issues/{number}"), f"issue {number}")[1])

    def close(self, number: int, comment: str) -> None:
        """Say how it ended, and close it."""
        self.calls.read(lambda: self.request("PATCH", f"/issues/{number}", {"state": "closed"}), f"issue {number}")
        comments = f"/issues/{number}/comments"

        def find() -> bool | None:
            _, data = self.calls.read(lambda: self.request("GET", f"{comments}?per_page=100"), "comments")
            return True if any(entry["body"] == comment for entry in data) else None

        self.calls.write(lambda: bool(self.request("POST", comments, {"body": comment})), find, "a comment")


def _issue(data: Any) -> Issue:
    return Issue(
        number=int(data["number"]),
        body=data.get("body") or "",
        open=data["state"] == "open",
        by_app=data["user"]["type"] == "Bot",
        url=data["html_url"],
    )
