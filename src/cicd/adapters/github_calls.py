"""How GitHub is called: for a bounded time, and no write twice.

Reads are repeated while GitHub is away. A write that got no answer is looked up before it is made again: it may have
taken effect. PyGithub's own retries and pauses are off: they repeat writes blindly, and sleep.

PyGithub's timeout is for each piece of an answer, and what is between us and GitHub may send pieces for ever. So each
attempt is made in a thread that is left behind when its time is over.
"""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import tenacity

from cicd.adapters.http import Endless
from cicd.errors import CicdError, GitHubRefused, GitHubUnavailable, RateLimited, TokenRefused

T = TypeVar("T")
PATIENCE = 30.0  # seconds that a call may take with all its repetitions; $CICD_GITHUB_PATIENCE is another


SHORTEST = 5.0  # seconds that one attempt may always take; the first one also imports PyGithub
# What reading raises on JSON of another shape, or on a page that a proxy has sent in place of an answer.
NOT_UNDERSTOOD = (TypeError, AttributeError, LookupError, ValueError, RecursionError)


class Unanswered(OSError):
    """GitHub, or what is between us and it, gave no answer that could be read."""


class NotGitHubs(Unanswered):
    """There was an answer, and GitHub does not answer so."""


class Within(Protocol):
    """Makes a request that is left behind after so many seconds. Raises what it raises, or Unanswered."""

    def __call__(self, seconds: float, request: Callable[[], T], /) -> T: ...


def in_thread(seconds: float, request: Callable[[], T]) -> T:
    """Make a request in a thread of its own. Raises what it raises, or Unanswered when its time is over."""
    done: Future[T] = Future()

    def attempt() -> None:
        try:
            done.set_result(request())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=attempt, name="a call of GitHub", daemon=True).start()
    if not wait([done], seconds).done:
        raise Unanswered(f"no whole answer within {seconds:g} s")
    return done.result()


class Calls:
    """Calls that are counted.

    Attributes:
        count: requests made so far, repetitions included.
    """

    def __init__(self, patience: float, within: Within = in_thread) -> None:
        """`patience`: seconds; `within`: how one attempt is made."""
        self.count = 0
        self._within = within
        self._patience = patience
        self._counting = threading.Lock()  # a heartbeat calls from a thread of its own

    def read(self, request: Callable[[], T], what: str, *, counted: bool = True) -> T:
        """Make a request that may be repeated. Raises one of our errors."""
        try:
            for attempt in self._retrying():
                with attempt:
                    self._add(counted)
                    return self._bounded(request)
        except Exception as error:
            if is_githubs(error):
                raise explain(error, what) from error
            raise
        raise AssertionError("tenacity either returns or raises")

    def write(self, post: Callable[[], T], find: Callable[[], T | None], what: str, *, unclear: bool = False) -> T:
        """Make a request that must take effect once: after an unclear answer it is looked up, then made again.

        Args:
            unclear: whether an earlier attempt may have taken effect, so that it is looked up first.
        """
        try:
            for attempt in self._retrying():
                with attempt:
                    if unclear and (found := find()) is not None:  # its reads are bounded themselves
                        return found
                    unclear = True
                    self._add(1)
                    return self._bounded(post)
        except Exception as error:
            if is_githubs(error):
                raise explain(error, what) from error
            raise
        raise AssertionError("tenacity either returns or raises")

    def _bounded(self, request: Callable[[], T]) -> T:
        """Make one attempt in half of our patience: the other half is to look it up. Raises Unanswered, NotGitHubs."""
        try:
            return self._within(max(self._patience / 2, SHORTEST), request)
        except Endless as error:
            raise NotGitHubs(str(error)) from error
        except NOT_UNDERSTOOD as error:
            raise NotGitHubs(f"{type(error).__name__}: {error}"[:300]) from error

    def _add(self, number: int) -> None:
        with self._counting:
            self.count += number

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_passing),
            wait=wait_as_told,
            stop=tenacity.stop_before_delay(self._patience),
            reraise=True,
        )


# GraphQL answers 200 with `errors`, of which PyGithub makes 400; what REST would have answered for their types.
# https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
OF_GRAPHQL = {"NOT_FOUND": 404, "FORBIDDEN": 403, "RATE_LIMITED": 429, "RATE_LIMIT": 429}


def _status(error: BaseException) -> tuple[int, dict[str, str]]:
    """HTTP status and headers of PyGithub's error; 0 for no answer."""
    headers = getattr(error, "headers", None) or {}
    status = int(getattr(error, "status", 0) or 0)
    if status == 400:
        status = OF_GRAPHQL.get(str(_first_error(error).get("type")), status)
    return status, {name.lower(): str(value) for name, value in headers.items()}


def _first_error(error: BaseException) -> dict[str, Any]:
    """The first of GraphQL's `errors`; empty where there is none."""
    data = getattr(error, "data", None)
    errors = data.get("errors") if isinstance(data, dict) else None
    return errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}


def is_githubs(error: BaseException) -> bool:
    """Whether an error is an answer of GitHub, or that there was none; anything else is a bug, or an error of ours."""
    return isinstance(error, OSError) or type(error).__module__.startswith("github.")


def is_passing(error: BaseException) -> bool:
    """Whether an error may be gone the next time: no answer, 5xx, or a limit that says when it ends."""
    if not is_githubs(error):
        return False
    if isinstance(error, OSError):  # every error of requests is one
        return True
    status, headers = _status(error)
    return status >= 500 or (status in (403, 429) and "retry-after" in headers)


def wait_as_told(state: tenacity.RetryCallState) -> float:
    """Seconds until the next attempt: what GitHub says in `retry-after`, else 0.5, 1, 2, 4 … at most 8."""
    error = state.outcome.exception() if state.outcome else None
    if error is not None:
        with contextlib.suppress(KeyError, ValueError):
            return max(0.0, float(_status(error)[1]["retry-after"]))
    return min(8.0, 0.5 * 2.0 ** min(state.attempt_number - 1, 10))


def explain(error: Exception, what: str) -> CicdError:
    """Our error for one of PyGithub's: what, the likely cause, the next step."""
    status, headers = _status(error)
    said = _message(error)
    if status == 401:
        return TokenRefused(
            f"GitHub refuses the token: {said}", cause="it is wrong or has expired", next_step="give a valid `token`"
        )
    limited = "rate limit" in said.lower() or headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers
    if status == 429 or (status == 403 and limited):
        until = headers.get("retry-after") or "a while"
        return RateLimited(
            f"GitHub's rate limit is used up ({what}): {said}",
            cause="all runs of the repository share 1,000 requests an hour",
            next_step=f"run it again after {until}{' s' if until.isdigit() else ''}",
        )
    if status and status < 500:
        refused = GitHubRefused(
            f"GitHub answered {status} for {what}: {said}",
            cause="the token lacks the permission, or it is not there" if status in (403, 404) else "",
            next_step="check `permissions:` of the job; docs/reference.md lists what each command needs"
            + ("; and that GITHUB_REPOSITORY is the repository" if status == 404 else ""),
        )
        refused.status = status
        return refused
    if isinstance(error, NotGitHubs):
        return GitHubUnavailable(
            f"What answered for {what} is not GitHub: {error}",
            cause="a proxy has answered in its place, or GITHUB_API_URL names something else",
            next_step=f"check both, then run it again when {_whoever_answers(error)}",
        )
    told = str(error) if isinstance(error, Unanswered) else type(error).__name__
    return GitHubUnavailable(
        f"GitHub did not answer for {what}: {f'{status} {said}' if status else told}",
        cause="it is away, or the network is",
        next_step=f"run it again when {_whoever_answers(error)}; what runs was not touched",
    )


def _whoever_answers(error: Exception) -> str:
    """What to wait for: GitHub, or the server that was asked, which may be a LocalHub or a company's own."""
    asked = urlsplit(str(getattr(getattr(error, "request", None), "url", None) or ""))
    if asked.hostname == "api.github.com":
        return "https://www.githubstatus.com is green"
    if asked.hostname:
        return f"{asked.scheme}://{asked.netloc.rpartition('@')[2]} answers"
    return "the server of GITHUB_API_URL answers (https://www.githubstatus.com for github.com)"


def _message(error: Exception) -> str:
    data = getattr(error, "data", None)
    if not isinstance(data, dict):
        return str(error)[:300]
    return str(data.get("message") or _first_error(error).get("message") or error)[:300]
