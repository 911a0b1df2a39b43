"""The judgement of a watch: tables, and what holds whatever is counted."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.config import Watch
from cicd.core.watch import GRAIN, Answer, Judgement, Seen, Traffic, judge, most_by_chance

WATCH = Watch(seconds=10, error_rate=1, samples=20)
WORSE: dict[Judgement, int] = {"stable": 0, "go-on": 0, "inconclusive": 1, "failed": 2}


def traffic(requests: int, errors: int = 0, milliseconds: int = 5) -> Traffic:
    return Traffic(requests, errors, {milliseconds: requests - errors} if requests > errors else {})


def users(requests: int, errors: int = 0, milliseconds: int = 5) -> Seen:
    return Seen(traffic(requests, errors, milliseconds))


def verdict(new: Seen, old: Seen = Seen(), policy: Watch = WATCH, elapsed: float = 10) -> Judgement:  # noqa: B008
    judgement, why = judge(new, old, policy, elapsed, 10)
    assert why
    return judgement


@pytest.mark.parametrize(
    ("requests", "errors", "elapsed", "expected"),
    [
        (100, 0, 5, "go-on"),
        (100, 1, 10, "stable"),
        (100, 2, 5, "go-on"),
        (100, 2, 10, "inconclusive"),  # up to 4 of 100 can be chance at 1%
        (100, 4, 10, "inconclusive"),
        (100, 5, 1, "failed"),
        (19, 19, 5, "go-on"),  # too few for anything
        (19, 19, 10, "inconclusive"),
        (20, 1, 5, "go-on"),
        (20, 2, 5, "failed"),
        (0, 0, 10, "inconclusive"),
        (20, 0, 10, "stable"),
        (10_000, 100, 10, "stable"),
        (10_000, 131, 1, "failed"),
    ],
)
def test_errors_without_a_baseline(requests: int, errors: int, elapsed: float, expected: Judgement) -> None:
    assert verdict(users(requests, errors), elapsed=elapsed) == expected


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (users(100, 20), users(1000, 200), "inconclusive"),  # both fail a fifth: not its fault, and not proven
        (users(100, 20), users(1000, 0), "failed"),
        (users(100, 20), users(19, 19), "failed"),  # no baseline
        (users(100, 60), users(1000, 200), "failed"),  # worse than even that
        (users(100, 0), users(1000, 200), "stable"),  # it mends what was broken
        (users(100, 1), users(1000, 0), "stable"),  # within the limit, though the old one was spotless
    ],
)
def test_errors_next_to_the_release_before(new: Seen, old: Seen, expected: Judgement) -> None:
    assert verdict(new, old) == expected


def test_both_fail_is_said_with_its_counts() -> None:
    _, why = judge(users(100, 20), users(1000, 200), WATCH, 10, 10)
    assert "20 of 100 requests failed (20%)" in why
    assert "not the release's alone" in why
    assert "the release before: 200 of 1000" in why


@pytest.mark.parametrize(
    ("new", "old", "policy", "expected"),
    [
        (users(100, 0, 300), users(1000), Watch(slower=50), "failed"),
        (users(100, 0, 6), users(1000), Watch(slower=10), "stable"),  # a millisecond is no difference
        (users(100, 0, 300), users(1000, 0, 290), Watch(slower=10), "stable"),
        (users(100, 0, 300), users(10), Watch(slower=50), "stable"),  # nothing to compare with
        (users(100, 0, 300), Seen(), Watch(p95=0.2), "failed"),
        (users(100, 0, 200), Seen(), Watch(p95=0.2), "stable"),
        (users(100, 0, 300), users(1000, 0, 300), Watch(p95=0.2), "inconclusive"),  # the old one was as slow
        (users(19, 0, 300), users(1000), Watch(slower=50, p95=0.2), "inconclusive"),  # too few
    ],
)
def test_latency(new: Seen, old: Seen, policy: Watch, expected: Judgement) -> None:
    assert verdict(new, old, policy) == expected


def test_a_few_slow_ones_can_be_chance() -> None:
    def seen(slow: int) -> Seen:
        return Seen(Traffic(100, 0, {5: 100 - slow, 900: slow}))

    policy = Watch(p95=0.2)
    assert most_by_chance(100, 0.05) == 11
    assert [verdict(seen(slow), policy=policy) for slow in (5, 6, 11, 12)] == [
        "stable",
        "inconclusive",
        "inconclusive",
        "failed",
    ]


def own(users: Traffic, probes: int, wrong: int) -> Seen:
    return Seen(users, Traffic(probes, wrong))


def test_our_probes_neither_drown_the_users_nor_are_forgotten() -> None:
    assert verdict(own(traffic(30, 3), 300, 0)) == "failed", "3 of 330 would be within 1%"
    assert verdict(own(traffic(1000), 300, 30)) == "failed"
    assert verdict(own(traffic(1000), 300, 30), own(traffic(1000), 300, 30)) == "inconclusive"


def test_nobody_there_but_us() -> None:
    assert verdict(own(Traffic(), 50, 0)) == "stable"
    assert verdict(own(traffic(3), 50, 0)) == "stable"
    assert verdict(own(traffic(3, 1), 50, 0)) == "inconclusive", "too few to blame it, too bad to praise it"
    assert verdict(own(Traffic(), 19, 0)) == "inconclusive"


def answers(*told: tuple[int, float]) -> list[Answer]:
    return [Answer(status=status, seconds=seconds) for status, seconds in told]


def test_counting() -> None:
    seen = Traffic().plus(answers((200, 0.01), (404, 0.02), (500, 9), (101, 600))).plus(answers((200, 0.01)))
    assert seen == Traffic(5, 1, {10: 2, 20: 1}), "what failed and what was upgraded has no time"
    assert seen.rate == 20


@pytest.mark.parametrize(
    ("times", "p95"), [([], 0), ([7], 0.007), ([1, 9], 0.009), ([*range(1, 21)], 0.019), ([*range(1, 101)], 0.095)]
)
def test_p95_is_by_nearest_rank(times: Sequence[int], p95: float) -> None:
    assert Traffic(len(times), 0, dict.fromkeys(times, 1)).p95 == p95


# Whatever is counted.

COUNTS = st.integers(0, 5000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
TIMES = st.dictionaries(st.integers(0, 5000), st.integers(1, 500), max_size=12)
POLICIES = st.builds(
    Watch,
    error_rate=st.floats(0, 100).map(lambda rate: round(rate, 2)),
    p95=st.none() | st.floats(0.001, 5).map(lambda seconds: round(seconds, 3)),
    slower=st.none() | st.floats(0, 100).map(lambda percent: round(percent, 1)),
    samples=st.integers(1, 100),
)
ELAPSED = st.sampled_from([1.0, 10.0])


@st.composite
def traffics(draw: st.DrawFn) -> Traffic:
    times = draw(TIMES)
    errors = draw(st.integers(0, 2000))
    return Traffic(sum(times.values()) + errors, errors, times)


@st.composite
def seens(draw: st.DrawFn) -> Seen:
    return Seen(draw(traffics()), Traffic(*draw(COUNTS)))


@given(COUNTS, st.integers(0, 100), seens(), POLICIES, ELAPSED)
def test_more_errors_are_never_better(
    counts: tuple[int, int], more: int, old: Seen, policy: Watch, elapsed: float
) -> None:
    requests, errors = counts
    few, many = Seen(Traffic(requests, errors)), Seen(Traffic(requests, min(requests, errors + more)))
    assert WORSE[verdict(few, old, policy, elapsed)] <= WORSE[verdict(many, old, policy, elapsed)]


@given(seens(), seens(), st.integers(0, 100), POLICIES, ELAPSED)
def test_longer_times_are_never_better(new: Seen, old: Seen, more: int, policy: Watch, elapsed: float) -> None:
    slower = {time + more: count for time, count in new.users.times.items()}
    late = Seen(Traffic(new.users.requests, new.users.errors, slower), new.own)
    assert WORSE[verdict(new, old, policy, elapsed)] <= WORSE[verdict(late, old, policy, elapsed)]


@given(seens(), POLICIES, ELAPSED)
def test_a_release_is_never_failed_for_what_the_one_before_did_as_well(
    seen: Seen, policy: Watch, elapsed: float
) -> None:
    assert verdict(seen, seen, policy, elapsed) != "failed"


@given(seens(), seens(), POLICIES, ELAPSED)
def test_within_all_limits_nothing_is_held_against_it(new: Seen, old: Seen, policy: Watch, elapsed: float) -> None:
    rate = math.ceil(max(new.users.rate, new.own.rate) * 100) / 100
    fits = Watch(error_rate=rate, p95=new.users.p95, slower=None, samples=policy.samples)
    assert (
        verdict(new, old, fits, elapsed) in ("go-on", "stable")
        or max(new.users.requests, new.own.requests) < policy.samples
    )


@given(seens(), seens(), POLICIES, ELAPSED)
def test_nothing_is_failed_on_too_few(new: Seen, old: Seen, policy: Watch, elapsed: float) -> None:
    strict = Watch(error_rate=0, p95=0.001, slower=0, samples=max(new.users.requests, new.own.requests) + 1)
    assert verdict(new, old, strict, elapsed) == ("go-on" if elapsed < 10 else "inconclusive")


@given(traffics(), st.integers(0, 6000))
def test_p95_says_what_at_least_95_percent_do_not_exceed(seen: Traffic, milliseconds: int) -> None:
    within = seen.timed - seen.slower_than(milliseconds / 1000)
    assert (100 * within >= 95 * seen.timed) == (seen.p95 <= milliseconds / 1000)


@given(seens(), seens(), st.floats(0, 100))
def test_slower_allows_the_grain(new: Seen, old: Seen, slower: float) -> None:
    if new.users.p95 <= old.users.p95 + GRAIN - 0.001:
        policy = Watch(error_rate=100, slower=slower, samples=1)
        assert verdict(new, old, policy) != "failed"


@pytest.mark.parametrize(
    ("requests", "errors", "shown"),
    [(3, 3, "100%"), (200, 199, "100%"), (100, 12, "12%"), (56, 4, "7.1%"), (9, 0, "0%")],
)
def test_a_rate_is_shown_as_people_write_it(requests: int, errors: int, shown: str) -> None:
    assert str(traffic(requests, errors)).startswith(f"{errors} of {requests} requests failed ({shown})")
