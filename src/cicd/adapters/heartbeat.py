"""Holding a lock while something is done: a thread renews it, and tells when it was lost."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from cicd.adapters.github_lock import GitHubLocks, Held
from cicd.core.lock import Claimant, Seen, holder, lost, opening
from cicd.errors import CicdError, LockLost

GOODBYE = 5.0  # seconds that the end waits for a heartbeat that is under way; a cancelled job has ten in all


class Heartbeat:
    """Renews a lock three times in a lease. It raises nothing into the thread: check() tells.

    Attributes:
        held: the lock as it was last renewed.
    """

    def __init__(self, locks: GitHubLocks, held: Held, every: float | None = None) -> None:
        """`every`: seconds between two renewals; None: a third of the lease."""
        self.held = held
        self._locks = locks
        self._every = held.lease / 3 if every is None else every
        self._lost: LockLost | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat {held.environment}", daemon=True)

    @property
    def token(self) -> int:
        """The fencing token."""
        return self.held.token

    def check(self) -> None:
        """Go on only with the lock. Call it before what must not be done by two. Raises LockLost."""
        until, now = self.held.lock.until, self._locks.clock()
        if self._lost is None and until is not None and now >= until:
            self._lost = lost(self.held.environment, Seen(lock=self.held.lock), self.held.lock, now)
        if self._lost is not None:
            raise self._lost

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> bool:
        """End it; gives whether it has ended."""
        self._ending.set()
        self._thread.join(GOODBYE)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ending.wait(self._every):
            try:
                self.held = self._locks.renew(self.held)
            except LockLost as error:
                self._lost = error
                return
            except Exception:  # noqa: S112 - GitHub is away: the lease runs on, and check() knows its end
                continue


@contextlib.contextmanager
def holding(
    locks: GitHubLocks,
    environment: str,
    claimant: Claimant,
    seen: Seen | None = None,
    *,
    above: int = 0,
    wait: float = 0.0,
    say: Callable[[str], None] = print,
) -> Iterator[Heartbeat]:
    """Hold an environment's lock on GitHub. The arguments are those of GitHubLocks.claim.

    Raises:
        Locked: somebody else holds it. LockLost is raised by the heartbeat's check() alone.
    """
    held = locks.claim(environment, claimant, seen, above=above, wait=wait)
    if held.before and held.before.state == "held" and held.before.claim != claimant.key:
        why = opening(held.before, claimant, locks.clock())
        say(f"Took the lock over from {holder(held.before)}: {why}")
    heartbeat = Heartbeat(locks, held)
    heartbeat.start()
    try:
        yield heartbeat
    finally:
        _let_go(locks, heartbeat, say)


def _let_go(locks: GitHubLocks, heartbeat: Heartbeat, say: Callable[[str], None]) -> None:
    """What was done stands, whatever comes of this: a lock that cannot be let go ends with its lease."""
    name = heartbeat.held.environment
    if not heartbeat.stop():
        say(f"The lock of `{name}` is left to its lease: GitHub does not answer")
        return
    try:
        if not locks.release(heartbeat.held):
            say(f"The lock of `{name}` was not ours any more")
    except CicdError as error:
        say(f"The lock of `{name}` is left to its lease: {error}")
