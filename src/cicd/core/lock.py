"""The lock of an environment: who holds it, who may take it, and under which fencing token.

A lock is the message of the newest commit of one git ref, and the commits before it are its history. Whoever changes it
says from which commit he goes on, and the ref takes only one of two such moves (adapters/github_lock.py). What may be
written next is decided here.
"""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from cicd.errors import Locked, LockLost

FORMAT = 1
LEASE = 600.0  # seconds that a run holds the lock unless it renews it
SKEW = 30.0  # seconds that the clocks of two runners may differ: a lease is taken over only this long after its end
LAST = 253_370_764_800.0  # the year 9999 begins: no calendar shows a later lease
LONGEST = 500  # characters of a text that are shown
Moment = Annotated[float, msgspec.Meta(ge=0, lt=LAST)]  # seconds since 1970


def ref_of(environment: str) -> str:
    """The ref of a lock. It is neither a branch nor a tag, so no workflow starts when it moves."""
    return f"refs/cicd/lock/{environment}"


class Lock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a commit of the ref says.

    Attributes:
        token: fencing token: each claim by another claimant has a higher one.
        claim: key of the claimant, by which a repeated call finds its own lock.
        by: login of who holds it, or who let it go.
        what: what is being done, such as `promote v3`.
        run: URL of the run.
        place: the target whose own lock the claimant holds as well; empty if there is none.
        since: when it was taken or let go, in seconds since 1970.
        until: when the lease ends, in seconds since 1970; None: when somebody ends it.
        human: whether a person has locked the environment, and no run holds it.
    """

    cicd: int
    state: Literal["held", "free"]
    token: int
    claim: str = ""
    by: str = ""
    what: str = ""
    run: str = ""
    place: str = ""
    since: Moment = 0.0
    until: Moment | None = None
    reason: str = ""
    human: bool = False


class Holder(msgspec.Struct, frozen=True, kw_only=True, rename={"by": "actor"}):
    """What the holder of a target's own lock has written into it; the attributes are those of Lock."""

    since: Moment
    by: str = ""
    what: str = ""
    run: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The lock as it was read.

    Attributes:
        oid: commit of the ref; empty if nobody has ever held the lock.
        lock: what it says; None if there is no commit, or its message is not ours.
    """

    oid: str = ""
    lock: Lock | None = None


class Claimant(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants a lock. The attributes are those of Lock.

    Attributes:
        key: `run/attempt/job/environment`, the same for a repeated call.
        lease: seconds; None for a lock that only somebody can end.
    """

    key: str
    by: str
    what: str
    run: str = ""
    place: str = ""
    lease: float | None = LEASE
    reason: str = ""
    human: bool = False


def read_lock(message: str) -> Lock | None:
    """The lock in a commit's message; None if it is none, or of a format that we do not know."""
    try:
        lock = msgspec.json.decode(message, type=Lock)
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return lock if lock.cicd == FORMAT and lock.token > 0 else None


def lock_message(lock: Lock) -> str:
    """The commit's message; read_lock understands it."""
    return msgspec.json.encode(lock).decode()


def claimed(environment: str, seen: Seen, claimant: Claimant, now: float, above: int = 0) -> Lock:
    """What a claim writes.

    Args:
        now: seconds since 1970.
        above: the highest token that the target knows; ours is not below it, even if the ref was deleted in between.

    Raises:
        Locked: somebody else holds it, or what stands there cannot be read.
    """
    old = _readable(environment, seen)
    own = old is not None and old.state == "held" and old.claim == claimant.key
    if old and not own and opening(old, claimant, now) is None:
        raise locked(environment, old, now)
    known = old.token if old else 0
    return Lock(
        cicd=FORMAT,
        state="held",
        token=known if own and known >= above else max(known, above) + 1,
        claim=claimant.key,
        by=claimant.by,
        what=claimant.what,
        run=claimant.run,
        place=claimant.place,
        since=old.since if old and own else now,
        until=None if claimant.lease is None else now + claimant.lease,
        reason=claimant.reason,
        human=claimant.human,
    )


def refusal(environment: str, seen: Seen, claimant: Claimant, now: float) -> Locked | None:
    """Why a claim would be refused now, for a look before anything is done; None if it would not."""
    try:
        claimed(environment, seen, claimant, now)
    except Locked as error:
        return error
    return None


def place_of(key: bytes, environment: str) -> str:
    """Names an environment on one target, by a key that lies there alone.

    Whoever claims with a place holds the target's own lock before, and lets it go after: then a lock from the same
    place belongs to a run that died, and its lease is not waited for.
    """
    return hashlib.sha256(b"place\0" + key + b"\0" + environment.encode()).hexdigest()[:16]


def opening(old: Lock, claimant: Claimant, now: float) -> str | None:
    """Why another's lock may be taken; None if it may not."""
    if old.state == "free":
        return "it is free"
    if old.human:
        return "its time has ended" if ended(old, now) else None
    if _is_next_attempt(claimant.key, old.claim):
        return "its job was started again"
    if old.place and old.place == claimant.place:
        return "its run died: the target's own lock was free"
    if ended(old, now):
        return f"its lease ended {clock_time(old.until or 0.0, now)}"
    return None


def ended(lock: Lock, now: float) -> bool:
    """Whether a lease has ended by everybody's clock."""
    return lock.until is not None and now >= lock.until + (0.0 if lock.human else SKEW)


def _is_next_attempt(ours: str, theirs: str) -> bool:
    """Whether our key is of a later attempt of the same job: GitHub starts none before the earlier one has ended."""
    run, _, rest = ours.partition("/")
    their_run, _, their_rest = theirs.partition("/")
    attempt, _, job = rest.partition("/")
    their_attempt, _, their_job = their_rest.partition("/")
    numbers = attempt.isdecimal() and their_attempt.isdecimal()
    return run == their_run and job == their_job and numbers and int(attempt) > int(their_attempt)


def renewed(environment: str, seen: Seen, held: Lock, now: float, lease: float) -> Lock:
    """What a heartbeat writes. Raises LockLost when the lock is no longer this one."""
    if not is_still(seen, held):
        raise lost(environment, seen, held, now)
    return msgspec.structs.replace(held, until=now + lease)


def is_still(seen: Seen, held: Lock) -> bool:
    """Whether what was read is the lock that was taken: same claim, same token, not let go."""
    lock = seen.lock
    return lock is not None and lock.state == "held" and (lock.claim, lock.token) == (held.claim, held.token)


def released(held: Lock, now: float, by: str = "", reason: str = "") -> Lock:
    """What letting go writes: free, and the token stays, so that the next one is higher."""
    return Lock(
        cicd=FORMAT,
        state="free",
        token=held.token,
        claim=held.claim,
        by=by or held.by,
        what=held.what,
        run=held.run,
        since=now,
        reason=reason,
    )


def unlocked(environment: str, seen: Seen, by: str, reason: str, now: float, force: bool, above: int) -> Lock | None:
    """What `cicd unlock` writes; None if nobody holds the lock.

    Args:
        force: whether a lock that a run holds is ended, too, or one that cannot be read.
        above: the highest token in the history, for a lock that cannot be read.

    Raises:
        Locked: a run holds it, and force is not given.
    """
    if seen.oid and seen.lock is None and force:
        return Lock(cicd=FORMAT, state="free", token=above + 1, by=by, since=now, reason=reason)
    old = _readable(environment, seen)
    if old is None or old.state == "free":
        return None
    if not old.human and not ended(old, now) and not force:
        raise locked(environment, old, now)
    return released(old, now, by, reason)


def _readable(environment: str, seen: Seen) -> Lock | None:
    if seen.oid and seen.lock is None:
        raise Locked(
            f"The lock of `{environment}` cannot be read: commit {seen.oid[:12]} of {ref_of(environment)}",
            cause="a newer cicd has written it, or something else has",
            next_step=f"use the newer cicd, or end the lock: `cicd unlock --environment {environment} --force true`",
        )
    return seen.lock


def holder(lock: Lock | Holder) -> str:
    """Who holds a lock: `dana (promote v3, https://…)`."""
    about = ", ".join(_shown(part) for part in (lock.what, lock.run) if part)
    who = _shown(lock.by) or "somebody"
    return f"{who} ({about})" if about else who


def describe(lock: Lock, now: float) -> str:
    """Who holds a lock, since when and until when."""
    since = f"since {clock_time(lock.since, now)}"
    if lock.until is None:
        end = "until somebody unlocks it"
    else:
        what = "it ends" if lock.human else "its lease ends" if now < lock.until else "its lease ended"
        end = f"{what} {clock_time(lock.until, now)}"
    return f"{holder(lock)} {since}, {end}" + (f": {_shown(lock.reason)}" if lock.reason else "")


def _shown(text: str) -> str:
    """One line of bounded length, for a terminal: whoever may write a ref has chosen this text."""
    return "".join(character if character.isprintable() else " " for character in text[:LONGEST])


def locked(environment: str, lock: Lock, now: float) -> Locked:
    """The refusal for everybody but the holder."""
    unlock = f"cicd unlock --environment {environment}"
    if lock.human:
        return Locked(
            f"`{environment}` is locked by {describe(lock, now)}",
            cause="a person has locked it",
            next_step=f"ask {_shown(lock.by) or 'them'}, or end it: `{unlock}`",
        )
    return Locked(
        f"`{environment}` is held by {describe(lock, now)}",
        cause="one deployment at a time",
        next_step=f"wait, or if its run is dead: `{unlock} --force true`",
    )


def lost(environment: str, seen: Seen, held: Lock, now: float) -> LockLost:
    """What a run is told whose lock has gone, by what was seen last."""
    lock = seen.lock
    if lock is None:
        how = "its ref cannot be read, or was deleted"
    elif is_still(seen, held):
        how = f"its lease ended {clock_time(lock.until or now, now)} and could not be renewed"
    elif lock.state == "free":
        how = f"{_shown(lock.by) or 'somebody'} unlocked it at {clock_time(lock.since, now)}"
    else:
        how = f"it is held by {describe(lock, now)}"
    return LockLost(
        f"The lock of `{environment}` is no longer ours: {how}",
        cause="it was ended by hand, or its lease was not renewed in time",
        next_step=f"see who has it: `cicd status`; then run this again, or undo it: `cicd rollback` of `{environment}`",
    )


def clock_time(at: float, now: float) -> str:
    """`14:02 UTC`, with the date if it is not today."""
    then, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    return then.strftime("%H:%M UTC" if then.date() == today.date() else "%Y-%m-%d %H:%M UTC")
