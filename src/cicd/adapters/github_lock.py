"""The locks of environments, as git refs: read, claimed, renewed, let go.

Each change is a new commit on top of the one that was seen, and the ref moves to it only if it still is there: GitHub
makes a ref once (https://docs.github.com/en/rest/git/refs#create-a-reference) and, without force, moves it only
forward (#update-a-reference). Of two who go on from the same commit, one gets his way.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from cicd.adapters.github_answers import Commit, Listed, messages, read_answer
from cicd.adapters.github_calls import Calls
from cicd.core.lock import (
    LEASE,
    Claimant,
    Lock,
    Seen,
    claimed,
    is_still,
    lock_message,
    lost,
    read_lock,
    ref_of,
    released,
    renewed,
    unlocked,
)
from cicd.errors import GitHubRefused, Locked

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git knows it in every repository
TRIES = 5  # of moves that another was faster with
PAUSE = 5.0  # seconds between two looks at a lock that is waited for


class Request(Protocol):
    """A call below /repos/owner/name; gives headers and the answer, raises PyGithub's errors."""

    def __call__(self, verb: str, path: str, body: dict[str, Any] | None = None) -> tuple[dict[str, Any], Any]: ...


@dataclass(frozen=True)
class Held:
    """A lock that is ours.

    Attributes:
        oid: the commit that says so.
        lease: seconds for which it is renewed.
        before: the lock as it was seen before the claim, for messages.
    """

    environment: str
    lock: Lock
    oid: str
    lease: float
    before: Lock | None = None

    @property
    def token(self) -> int:
        """The fencing token, which the target holds against older ones."""
        return self.lock.token


class GitHubLocks:
    """The locks of one repository's environments."""

    def __init__(
        self,
        calls: Calls,
        request: Request,
        read: Callable[[str], Seen],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`read` gives the lock of an environment in one call; `clock` seconds since 1970."""
        self.read = read
        self.clock = clock
        self._calls = calls
        self._request = request
        self._sleep = sleep

    def claim(
        self, environment: str, claimant: Claimant, seen: Seen | None = None, *, above: int = 0, wait: float = 0.0
    ) -> Held:
        """Take the lock: two calls, or three when it was not seen before.

        Args:
            seen: the lock as GitHub.standing() gave it; an old look does no harm, it costs a call.
            above: the highest token that the target knows.
            wait: seconds to wait for another holder to let go.

        Raises:
            Locked: somebody else holds it. GitHubRefused: the token may not write it.
        """
        seen = self.read(environment) if seen is None else seen
        deadline, tries = self.clock() + wait, TRIES
        while tries:
            now = self.clock()
            try:
                lock = claimed(environment, seen, claimant, now, above)
            except Locked:
                if now >= deadline:
                    raise
                self._sleep(min(PAUSE, deadline - now))
            else:
                if oid := self._move(environment, seen, lock):
                    return Held(environment, lock, oid, claimant.lease or LEASE, seen.lock)
                tries -= 1
            seen = self.read(environment)
        raise Locked(
            f"The lock of `{environment}` could not be had: {TRIES} times another was faster",
            cause="many runs want it at once",
            next_step="run this again",
        )

    def renew(self, held: Held) -> Held:
        """Hold it for another lease. Raises LockLost."""
        seen = Seen(oid=held.oid, lock=held.lock)
        for _ in range(TRIES):
            lock = renewed(held.environment, seen, held.lock, self.clock(), held.lease)
            if oid := self._move(held.environment, seen, lock):
                return Held(held.environment, lock, oid, held.lease, held.before)
            seen = self.read(held.environment)  # an earlier call of ours may have taken effect
        raise lost(held.environment, seen, held.lock, self.clock())

    def release(self, held: Held) -> bool:
        """Let go of it, if it still is ours: two calls. Gives whether it was."""
        seen = Seen(oid=held.oid, lock=held.lock)
        for _ in range(TRIES):
            if not is_still(seen, held.lock):
                return False
            if self._move(held.environment, seen, released(held.lock, self.clock())):
                return True
            seen = self.read(held.environment)
        return False

    def unlock(
        self, environment: str, by: str, reason: str, *, force: bool = False, seen: Seen | None = None
    ) -> Lock | None:
        """End a lock that somebody else holds; gives it as it was, None if nobody held it.

        One that cannot be read is given as it is now: free.

        Raises:
            Locked: a run holds it, and force is not given.
        """
        seen = self.read(environment) if seen is None else seen
        for _ in range(TRIES):
            unreadable = bool(seen.oid) and seen.lock is None
            above = self._last_token(seen.oid) if unreadable and force else 0
            lock = unlocked(environment, seen, by, reason, self.clock(), force, above)
            if lock is None:
                return None
            if self._move(environment, seen, lock):
                return seen.lock or lock
            seen = self.read(environment)
        raise Locked(f"The lock of `{environment}` changed {TRIES} times meanwhile", next_step="run this again")

    def _move(self, environment: str, seen: Seen, lock: Lock) -> str | None:
        """Go on from what was seen; gives the new commit, None if another was faster."""
        ref, parents = ref_of(environment), [seen.oid] if seen.oid else []
        what = f"the lock of `{environment}`"
        commit = {"message": lock_message(lock), "tree": EMPTY_TREE, "parents": parents}

        def post() -> bool:
            if seen.oid:
                path = ref.removeprefix("refs/")
                self._request("PATCH", f"/git/refs/{path}", {"sha": oid, "force": False})
            else:
                self._request("POST", "/git/refs", {"ref": ref, "sha": oid})
            return True

        def find() -> bool | None:
            now = self.read(environment).oid
            return None if now == seen.oid else now == oid

        oid = ""
        try:
            # Made twice it does no harm: a commit that no ref leads to says nothing.
            oid = self._calls.read(
                lambda: read_answer(self._request("POST", "/git/commits", commit)[1], Commit).sha, what
            )
            won = self._calls.write(post, find, what)
        except GitHubRefused as error:
            if error.status in (403, 404):
                raise _without_right(environment, error) from error
            if not oid or error.status not in (409, 422):
                raise
            after = self.read(environment).oid
            if after == seen.oid and error.status == 422:  # it was refused for another reason
                raise
            won = after == oid
        return oid if won else None

    def _last_token(self, oid: str) -> int:
        """The highest token in the newest hundred commits of a lock."""
        path = f"/commits?sha={oid}&per_page=100"
        commits = self._calls.read(
            lambda: read_answer(self._request("GET", path)[1], list[Listed]), "the lock's history"
        )
        return max((lock.token for message in messages(commits) if (lock := read_lock(message))), default=0)


def _without_right(environment: str, error: GitHubRefused) -> GitHubRefused:
    refused = GitHubRefused(
        f"The token may not write the lock of `{environment}`: {error.what}",
        cause="the lock is a git ref, and the token has no `contents: write`",
        next_step="add `contents: write` to the `permissions:` of the job, and of the workflow that calls it",
    )
    refused.status = error.status
    return refused
