"""Locks over commits and refs in memory; acceptance runs them against LocalHub."""

import threading
from collections.abc import Callable

import github
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.adapters.github_calls import Calls
from cicd.adapters.github_lock import GitHubLocks, Held
from cicd.adapters.heartbeat import Heartbeat, holding
from cicd.core.lock import LEASE, SKEW, Claimant, Seen, read_lock, ref_of
from cicd.errors import GitHubRefused, Locked, LockLost
from tests.fakes import FakeRefs

NOON = 1_795_348_920.0
DANA = Claimant(key="7/1/deploy/production", by="dana", what="promote v3")
RITA = Claimant(key="8/1/deploy/production", by="rita", what="rollback")
REF = ref_of("production")


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def refs() -> FakeRefs:
    return FakeRefs()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def locks(refs: FakeRefs, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> GitHubLocks:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    return GitHubLocks(Calls(5), refs.request, refs.read, clock, clock.sleep)


def holder(refs: FakeRefs) -> str:
    """`state by token` of the newest commit."""
    lock = read_lock(refs.commits[refs.refs[REF]][0])
    assert lock is not None
    return f"{lock.state} {lock.by} {lock.token}"


def test_claim_renew_and_release_are_two_calls_each(locks: GitHubLocks, refs: FakeRefs) -> None:
    seen = locks.read("production")
    refs.made.clear()
    held = locks.claim("production", DANA, seen)
    assert refs.made == ["POST /git/commits", "POST /git/refs"]
    held = locks.renew(held)
    assert refs.made[2:] == ["POST /git/commits", "PATCH /git/refs/cicd/lock/production"]
    assert locks.release(held)
    assert refs.made[4:] == ["POST /git/commits", "PATCH /git/refs/cicd/lock/production"]
    assert holder(refs) == "free dana 1"
    assert locks.claim("production", RITA).token == 2
    assert len(refs.history(refs.refs[REF])) == 4, "the commits are the history"


def test_of_two_who_saw_the_same_one_is_first(locks: GitHubLocks, refs: FakeRefs) -> None:
    for held in (None, locks.claim("production", DANA)):
        if held:
            locks.release(held)
        seen = locks.read("production")
        first = locks.claim("production", DANA, seen)
        with pytest.raises(Locked, match="held by dana"):
            locks.claim("production", RITA, seen)
        assert holder(refs) == f"held dana {first.token}"
        locks.release(first)


def test_a_repeated_claim_gets_its_own_lock(locks: GitHubLocks) -> None:
    first = locks.claim("production", DANA)
    assert locks.claim("production", DANA).token == first.token


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("error", [ConnectionError("gone"), github.GithubException(502, {"message": "bad"}, {})])
@pytest.mark.parametrize("what", ["claim", "renew", "release"])
def test_an_answer_that_was_lost_is_looked_up(
    locks: GitHubLocks, refs: FakeRefs, call: int, error: Exception, what: str
) -> None:
    held = None if what == "claim" else locks.claim("production", DANA)
    refs.faults = [error if number == call else None for number in (1, 2)]
    refs.made.clear()
    if held is None:
        assert locks.claim("production", DANA).token == 1
    elif what == "renew":
        assert locks.renew(held).token == 1
    else:
        assert locks.release(held)
    assert holder(refs) == ("free dana 1" if what == "release" else "held dana 1")
    assert len(refs.history(refs.refs[REF])) == (1 if what == "claim" else 2), "nothing was written twice"
    if call == 2:
        assert [made.partition("/refs")[0] for made in refs.made][-2:] in (
            ["POST /git", "POST /graphql"],
            ["PATCH /git", "POST /graphql"],
        ), "looked up, not made again"


def test_a_look_that_is_too_old_does_no_harm(
    locks: GitHubLocks, refs: FakeRefs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub's replicas may show what was before our own write."""
    old = [Seen(), Seen()]
    monkeypatch.setattr(locks, "read", lambda name: old.pop() if old else refs.read(name))
    refs.faults = [None, ConnectionError("gone")]
    assert locks.claim("production", DANA).token == 1
    assert len(refs.history(refs.refs[REF])) == 1


def test_a_renewal_that_took_effect_after_all_is_found(locks: GitHubLocks, refs: FakeRefs, clock: Clock) -> None:
    held = locks.claim("production", DANA)
    clock.now += 60
    locks.renew(held)  # and its answer never came
    again = locks.renew(held)
    assert (again.token, again.lock.until) == (1, clock.now + LEASE)
    assert locks.release(held), "the newest commit is found, too"


def test_a_stale_holder_takes_nothing_away(locks: GitHubLocks, refs: FakeRefs, clock: Clock) -> None:
    held = locks.claim("production", DANA)
    clock.now += LEASE + SKEW
    taken = locks.claim("production", RITA)
    assert taken.before is not None
    assert (taken.before.by, taken.token) == ("dana", 2)
    with pytest.raises(LockLost, match="it is held by rita"):
        locks.renew(held)
    assert not locks.release(held)
    assert holder(refs) == "held rita 2"


def test_a_lock_is_waited_for(locks: GitHubLocks, refs: FakeRefs, clock: Clock) -> None:
    held = locks.claim("production", DANA)
    looks = iter(range(100))
    refs.between = lambda: release_at(next(looks))

    def release_at(look: int) -> None:
        if look == 3:
            refs.between = lambda: None
            locks.release(held)

    assert locks.claim("production", RITA, wait=120).token == 2
    with pytest.raises(Locked):
        locks.claim("production", DANA, wait=20)
    assert clock.now < NOON + 60


@pytest.mark.parametrize("status", [403, 404])
def test_a_token_without_the_right_is_told_which_one(locks: GitHubLocks, refs: FakeRefs, status: int) -> None:
    refs.faults = [github.GithubException(status, {"message": "Resource not accessible by integration"}, {})]
    with pytest.raises(GitHubRefused, match="contents: write") as caught:
        locks.claim("production", DANA)
    assert caught.value.status == status
    assert "permissions:" in caught.value.next_step


def test_a_refusal_for_another_reason_is_told(locks: GitHubLocks, refs: FakeRefs) -> None:
    def refuse() -> None:
        refs.refs.pop(REF, None)
        refs.faults = [github.GithubException(422, {"message": "a rule forbids it"}, {})]

    locks.claim("production", DANA)
    refs.refs.clear()
    refs.between = refuse
    with pytest.raises(GitHubRefused, match="a rule forbids it"):
        locks.claim("production", DANA)


def test_unlocking_names_who_held_it(locks: GitHubLocks, refs: FakeRefs) -> None:
    assert locks.unlock("production", "rita", "") is None
    held = locks.claim("production", DANA)
    with pytest.raises(Locked, match="held by dana"):
        locks.unlock("production", "rita", "")
    ended = locks.unlock("production", "rita", "it hangs", force=True)
    assert ended is not None
    assert ended.by == "dana"
    assert holder(refs) == "free rita 1"
    with pytest.raises(LockLost, match="rita unlocked it"):
        locks.renew(held)


def test_a_ref_with_something_else_in_it_is_ended_by_force_and_the_tokens_go_on(
    locks: GitHubLocks, refs: FakeRefs
) -> None:
    held = locks.claim("production", DANA, above=8)
    refs.commits["f" * 40] = ("what is this", [held.oid])
    refs.refs[REF] = "f" * 40
    with pytest.raises(Locked, match="cannot be read"):
        locks.claim("production", RITA)
    locks.unlock("production", "rita", "", force=True)
    assert locks.claim("production", RITA).token == 11


def test_holding_renews_and_lets_go(locks: GitHubLocks, refs: FakeRefs) -> None:
    said: list[str] = []
    with holding(locks, "production", DANA, say=said.append) as heartbeat:
        heartbeat.check()
        assert heartbeat.token == 1
        assert holder(refs) == "held dana 1"
    assert holder(refs) == "free dana 1"
    assert said == []


def test_a_take_over_is_said(locks: GitHubLocks, clock: Clock) -> None:
    said: list[str] = []
    locks.claim("production", DANA)
    clock.now += LEASE + SKEW
    with holding(locks, "production", RITA, say=said.append):
        pass
    assert said == ["Took the lock over from dana (promote v3): its lease ended 12:12 UTC"]


def beating(locks: GitHubLocks, held: Held, until: Callable[[], bool]) -> Heartbeat:
    """A heartbeat that beats at once, and has done so until something holds."""
    heartbeat = Heartbeat(locks, held, every=0.001)
    heartbeat.start()
    waiting = threading.Event()
    for _ in range(10_000):
        if until():
            break
        waiting.wait(0.001)
    assert heartbeat.stop()
    return heartbeat


def test_a_heartbeat_renews(locks: GitHubLocks, refs: FakeRefs) -> None:
    heartbeat = beating(locks, locks.claim("production", DANA), lambda: len(refs.commits) > 3)
    heartbeat.check()
    assert heartbeat.held.oid == refs.refs[REF]
    assert locks.release(heartbeat.held)


def test_a_heartbeat_tells_that_the_lock_was_lost(locks: GitHubLocks, refs: FakeRefs, clock: Clock) -> None:
    held = locks.claim("production", DANA)
    locks.unlock("production", "rita", "", force=True)
    made = len(refs.made)
    heartbeat = beating(locks, held, lambda: len(refs.made) >= made + 3)
    with pytest.raises(LockLost, match="rita unlocked it"):
        heartbeat.check()


def test_a_lease_that_nobody_could_renew_is_lost_at_its_end(locks: GitHubLocks, refs: FakeRefs, clock: Clock) -> None:
    held = locks.claim("production", DANA)
    refs.between = broken = Broken()
    heartbeat = beating(locks, held, lambda: broken.calls > 2)
    heartbeat.check()
    clock.now = NOON + LEASE
    with pytest.raises(LockLost, match="could not be renewed"):
        heartbeat.check()


class Broken:
    calls = 0

    def __call__(self) -> None:
        self.calls += 1
        raise github.GithubException(403, {"message": "no"}, {})


def test_a_release_that_fails_leaves_the_lock_to_its_lease(locks: GitHubLocks, refs: FakeRefs) -> None:
    said: list[str] = []
    with holding(locks, "production", DANA, say=said.append):
        refs.between = Broken()
    assert "is left to its lease" in said[0]


@given(st.data())
def test_whatever_happens_between_two_calls_one_holds_it(data: st.DataObject) -> None:
    """Before each call of one claimant others do whole things of theirs, and theirs are disturbed as well."""
    refs, clock = FakeRefs(), Clock()
    calls = Calls(5, lambda seconds, request: request())  # hypothesis draws in its own thread alone
    locks = GitHubLocks(calls, refs.request, refs.read, clock, clock.sleep)
    held: dict[str, Held] = {}
    busy: list[str] = []

    def act(name: str) -> None:
        busy.append(name)
        try:
            if name not in held:
                held[name] = locks.claim("production", Claimant(key=name, by=name, what=""))
            elif data.draw(st.booleans()):
                held[name] = locks.renew(held[name])
            else:
                assert locks.release(held.pop(name)), "nobody has taken it: no lease has ended"
        except Locked:
            assert name not in held
        finally:
            busy.remove(name)
        assert len(held) <= 1
        assert len({each.token for each in held.values()}) == len(held)

    def others() -> None:
        idle = [name for name in "abc" if name not in busy]
        if idle and data.draw(st.integers(0, 3)) == 0:
            act(data.draw(st.sampled_from(idle)))

    refs.between = others
    for _ in range(data.draw(st.integers(1, 8))):
        act(data.draw(st.sampled_from("abc")))
    tokens = [lock.token for text in refs.history(refs.refs.get(REF, "")) if (lock := read_lock(text))]
    assert tokens == sorted(tokens, reverse=True)
