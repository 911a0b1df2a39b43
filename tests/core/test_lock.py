"""Who may take a lock, and that no interleaving gives it to two."""

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cicd.core.lock import (
    LAST,
    LEASE,
    SKEW,
    Claimant,
    Lock,
    Seen,
    claimed,
    describe,
    is_still,
    lock_message,
    opening,
    place_of,
    read_lock,
    ref_of,
    refusal,
    released,
    renewed,
    unlocked,
)
from cicd.errors import Locked, LockLost

NOON = 1_795_348_920.0  # 2026-11-22 12:02 UTC
DANA = Claimant(key="7/1/deploy/production", by="dana", what="promote v3", run="https://hub/runs/7", place="p")
RITA = Claimant(key="8/1/deploy/production", by="rita", what="rollback")


def taken(claimant: Claimant = DANA, now: float = NOON) -> Seen:
    return Seen(oid="a", lock=claimed("production", Seen(), claimant, now))


def lock_of(seen: Seen) -> Lock:
    assert seen.lock is not None
    return seen.lock


def test_the_refusal_says_who_since_when_and_how_to_go_on() -> None:
    with pytest.raises(Locked) as caught:
        claimed("production", taken(), RITA, NOON + 60)
    assert str(caught.value) == (
        "`production` is held by dana (promote v3, https://hub/runs/7) since 12:02 UTC, its lease ends 12:12 UTC. "
        "Cause: one deployment at a time. "
        "Next: wait, or if its run is dead: `cicd unlock --environment production --force true`."
    )


def test_a_look_before_anything_is_done() -> None:
    assert refusal("production", Seen(), RITA, NOON) is None
    assert isinstance(refusal("production", taken(), RITA, NOON), Locked)


def test_a_place_is_one_environment_of_one_target() -> None:
    places = {place_of(key, name) for key in (b"a", b"b") for name in ("staging", "production")}
    assert len(places) == 4
    assert place_of(b"a", "staging") in places


def test_a_persons_lock_is_refused_to_everybody_until_its_end() -> None:
    person = Claimant(key="human:dana", by="dana", what="", lease=None, reason="year end", human=True)
    for_ever = taken(person)
    with pytest.raises(Locked, match=r"locked by dana since .* 12:02 UTC, until somebody unlocks it: year end"):
        claimed("production", for_ever, RITA, NOON + 1e6)
    two_hours = taken(msgspec.structs.replace(person, lease=7200.0))
    with pytest.raises(Locked, match="it ends 14:02 UTC"):
        claimed("production", two_hours, DANA, NOON + 7199)
    assert claimed("production", two_hours, DANA, NOON + 7200).token == 2


@pytest.mark.parametrize(
    ("key", "place", "after", "why"),
    [
        (RITA.key, "", 0, None),
        (RITA.key, "", LEASE + SKEW - 1, None),
        (RITA.key, "", LEASE + SKEW, "its lease ended 12:12 UTC"),
        (RITA.key, "p", 0, "its run died: the target's own lock was free"),
        (RITA.key, "q", 0, None),
        ("7/2/deploy/production", "", 0, "its job was started again"),
        ("7/0/deploy/production", "", 0, None),
        ("7/2/other/production", "", 0, None),
        ("8/2/deploy/production", "", 0, None),
        ("7/x/deploy/production", "", 0, None),
    ],
)
def test_when_anothers_lock_may_be_taken(key: str, place: str, after: float, why: str | None) -> None:
    claimant = msgspec.structs.replace(RITA, key=key, place=place)
    assert opening(lock_of(taken()), claimant, NOON + after) == why
    if why:
        assert claimed("production", taken(), claimant, NOON + after).token == 2
    else:
        with pytest.raises(Locked):
            claimed("production", taken(), claimant, NOON + after)


def test_the_same_claim_gets_its_own_lock_again() -> None:
    again = claimed("production", taken(), DANA, NOON + 5)
    assert (again.token, again.since, again.until) == (1, NOON, NOON + 5 + LEASE)


@pytest.mark.parametrize(("above", "token"), [(0, 1), (1, 2), (41, 42)])
def test_a_token_is_above_what_the_target_knows_even_when_the_ref_is_new(above: int, token: int) -> None:
    assert claimed("production", Seen(), DANA, NOON, above).token == token


def test_an_own_lock_is_no_answer_when_the_target_has_seen_a_higher_token() -> None:
    assert claimed("production", taken(), DANA, NOON, above=5).token == 6


def test_what_stands_there_and_cannot_be_read_is_nobodys() -> None:
    seen = Seen(oid="a")
    with pytest.raises(Locked, match="cannot be read"):
        claimed("production", seen, DANA, NOON)
    with pytest.raises(Locked, match="--force true"):
        unlocked("production", seen, "rita", "", NOON, force=False, above=0)
    freed = unlocked("production", seen, "rita", "", NOON, force=True, above=6)
    assert freed is not None
    assert (freed.state, freed.token) == ("free", 7)


def test_unlocking() -> None:
    def end(seen: Seen, force: bool = False, now: float = NOON) -> Lock | None:
        return unlocked("production", seen, "rita", "why", now, force, 0)

    assert end(Seen()) is None
    assert end(Seen(oid="a", lock=released(lock_of(taken()), NOON))) is None
    with pytest.raises(Locked):
        end(taken())
    for freed in (end(taken(), force=True), end(taken(), now=NOON + LEASE + SKEW)):
        assert freed is not None
        assert (freed.state, freed.token, freed.by, freed.reason) == ("free", 1, "rita", "why")
    assert end(taken(msgspec.structs.replace(DANA, human=True, lease=None))) is not None


def test_what_a_run_is_told_that_lost_its_lock() -> None:
    held = lock_of(taken())
    freed = Seen(oid="b", lock=released(held, NOON, "rita"))
    with pytest.raises(LockLost, match="rita unlocked it at 12:02 UTC"):
        renewed("production", freed, held, NOON, LEASE)
    with pytest.raises(LockLost, match="it is held by rita"):
        renewed("production", taken(RITA), held, NOON, LEASE)
    with pytest.raises(LockLost, match="was deleted"):
        renewed("production", Seen(), held, NOON, LEASE)


def test_a_message_is_read_back() -> None:
    lock = lock_of(taken())
    assert read_lock(lock_message(lock)) == lock
    assert ref_of("production") == "refs/cicd/lock/production"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Merge branch main",
        "[]",
        '{"cicd":2,"state":"held","token":1}',
        '{"cicd":1,"state":"held","token":0}',
        *(f'{{"cicd":1,"state":"held","token":1,"since":{moment}}}' for moment in (-1, 1e18, "1e300", '"1"')),
        *(f'{{"cicd":1,"state":"held","token":1,"until":{moment}}}' for moment in (-1, 1e18, "1e300", '"1"')),
    ],
)
def test_other_messages_are_no_lock(text: str) -> None:
    assert read_lock(text) is None


def test_every_moment_of_a_lock_that_is_read_can_be_told() -> None:
    for until in (0.0, LAST - 1):
        lock = read_lock(lock_message(msgspec.structs.replace(lock_of(taken()), until=until)))
        assert lock is not None
        assert describe(lock, NOON)


def test_what_others_wrote_is_shown_as_one_line() -> None:
    texts = {name: "\x1b[31mroot\n::error::x" + "y" * 70_000 for name in ("by", "what", "run", "reason")}
    for human in (False, True):
        lock = msgspec.structs.replace(lock_of(taken()), human=human, **texts)
        with pytest.raises(Locked) as caught:
            claimed("staging", Seen(oid="a", lock=lock), RITA, NOON)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 4000


def test_a_lock_of_another_day_is_told_with_its_date() -> None:
    assert "since 2026-11-22 12:02 UTC" in describe(lock_of(taken()), NOON + 86400)


NAMES = st.sampled_from(["a", "b", "c"])


class Claimants(RuleBasedStateMachine):
    """Three claimants and a ref that takes only a child of its newest commit. Each acts on what it saw last, however
    old; clocks differ by less than SKEW; a claimant may stop for any time between two of its calls."""

    @initialize(offsets=st.lists(st.floats(0, SKEW - 1), min_size=3, max_size=3))
    def begin(self, offsets: list[float]) -> None:
        self.offsets = dict(zip("abc", offsets, strict=True))
        self.now = NOON
        self.history: list[Lock] = []
        self.seen = {name: Seen() for name in "abc"}
        self.held: dict[str, Seen] = {}
        self.forced: set[int] = set()  # tokens that a person ended by force

    def clock(self, name: str) -> float:
        return self.now + self.offsets[name]

    def ref(self) -> Seen:
        return Seen(oid=str(len(self.history)), lock=self.history[-1]) if self.history else Seen()

    def move(self, seen: Seen, lock: Lock) -> bool:
        """What PATCH without force does, and POST for the first one."""
        if seen.oid != self.ref().oid:
            return False
        self.history.append(lock)
        return True

    @rule(name=NAMES)
    def look(self, name: str) -> None:
        self.seen[name] = self.ref()

    @rule(name=NAMES)
    def claim(self, name: str) -> None:
        claimant = Claimant(key=name, by=name, what="promote")
        try:
            lock = claimed("production", self.seen[name], claimant, self.clock(name))
        except Locked:
            return
        if self.move(self.seen[name], lock):
            self.held[name] = self.ref()

    @rule(name=NAMES)
    def beat(self, name: str) -> None:
        if name in self.held:
            before, held = self.ref(), self.held[name]
            lock = renewed("production", held, lock_of(held), self.clock(name), LEASE)
            if self.move(held, lock):
                self.held[name] = self.ref()
                assert is_still(before, lock), "only one's own lock is renewed"
            elif not is_still(before, lock_of(held)):
                del self.held[name]

    @rule(name=NAMES)
    def release(self, name: str) -> None:
        if name in self.held:
            before, held = self.ref(), self.held.pop(name)
            if self.move(held, released(lock_of(held), self.clock(name))):
                assert is_still(before, lock_of(held)), "only one's own lock is let go"
                claimed("production", self.ref(), Claimant(key="d", by="d", what=""), self.now)

    @rule(name=NAMES, force=st.booleans())
    def unlock(self, name: str, force: bool) -> None:
        seen = self.seen[name]
        try:
            lock = unlocked("production", seen, name, "", self.clock(name), force, 0)
        except Locked:
            return
        if lock and self.move(seen, lock) and force:
            self.forced.add(lock.token)

    @rule(seconds=st.sampled_from([1.0, SKEW, LEASE / 3, LEASE, LEASE + 2 * SKEW]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def tokens_grow(self) -> None:
        for old, new in zip(self.history, self.history[1:], strict=False):
            assert new.token >= old.token
            if new.state == "held" and (old.state == "free" or old.claim != new.claim):
                assert new.token == old.token + 1

    @invariant()
    def no_two_hold_it(self) -> None:
        tokens = [lock_of(seen).token for seen in self.held.values()]
        assert len(tokens) == len(set(tokens))
        working = [
            name
            for name, seen in self.held.items()
            if self.clock(name) < (lock_of(seen).until or 0) and lock_of(seen).token not in self.forced
        ]
        assert len(working) <= 1, f"{working} both work"


TestClaimants = Claimants.TestCase
TestClaimants.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
