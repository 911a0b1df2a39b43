"""Whether a release holds under traffic: counts held against limits.

One rule for errors and latency. Of n requests, E = n × the share that is allowed may be bad. Up to E + 3·√E can be
chance (the upper control limit of a c-chart, https://www.itl.nist.gov/div898/handbook/pmc/section3/pmc331.htm); more
is the release. Where the share is the baseline's, counted over n₀ requests, its own chance comes on top:
E + 3·√(E·(1 + n/n₀)). Seen with a true share of half of the limit, under looks all the time: 1 in 100 fails.

- failed: more than chance explains, over the limit and over what the release before did. At any time.
- stable: at the end, everything within the limits.
- inconclusive: at the end, anything between the two, or too little seen.

Latency is a share, too: p95 ≤ limit says that at most 5% take longer. Percentiles are by nearest rank: the smallest
time that at least 95% of the requests do not exceed. Failed requests are not timed: a fast error is no fast answer
(https://sre.google/sre-book/monitoring-distributed-systems/#xref_monitoring_golden-signals).
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from cicd.core.config import Watch

SLOW = 0.05  # the share of requests that may take longer than the p95
GRAIN = 0.01  # seconds; p95s that are nearer are the same: a router's log has whole milliseconds
GAVE_UP = 499  # nginx: the client went away before it had an answer
PATIENT = 1.0  # seconds after which that is the release's fault; a quicker one has clicked on
UPGRADED = 101  # its time is that of the whole connection


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a router's log.

    Attributes:
        slot: that was asked.
        release: in that slot, by the router.
        status: HTTP status that the client got.
        seconds: from the request's first byte to the answer's last.
        own: whether a probe of ours asked.
    """

    slot: str = ""
    release: str = ""
    status: int = 0
    seconds: float = 0.0
    own: bool = False


class Traffic(msgspec.Struct, frozen=True):
    """What a release answered.

    Attributes:
        requests: all of them.
        errors: those with 5xx, whoever made it, and those whose client gave up waiting; of our own probes, those that
            were not right.
        times: milliseconds → how many requests took so long, of those that did not fail.
    """

    requests: int = 0
    errors: int = 0
    times: dict[int, int] = {}

    def plus(self, answers: Iterable[Answer]) -> "Traffic":
        """This and more answers."""
        requests, errors, times = self.requests, self.errors, Counter(self.times)
        for answer in answers:
            requests += 1
            if answer.status >= 500 or (answer.status == GAVE_UP and answer.seconds >= PATIENT):
                errors += 1
            elif answer.status != UPGRADED:
                times[round(answer.seconds * 1000)] += 1
        return Traffic(requests, errors, dict(times))

    def plus_own(self, right: bool) -> "Traffic":
        """This and one probe of ours."""
        return Traffic(self.requests + 1, self.errors + (not right))

    @property
    def rate(self) -> float:
        """Percent that failed."""
        return 100 * self.errors / self.requests if self.requests else 0.0

    @property
    def timed(self) -> int:
        """Requests with a time."""
        return sum(self.times.values())

    @property
    def p95(self) -> float:
        """Seconds, by nearest rank; 0 for no request."""
        rank = -(-95 * self.timed // 100)
        for time in sorted(self.times):
            rank -= self.times[time]
            if rank <= 0:
                return time / 1000
        return 0.0

    def slower_than(self, seconds: float) -> int:
        """How many took longer."""
        return sum(count for time, count in self.times.items() if time > seconds * 1000 + 1e-6)

    def __str__(self) -> str:
        latency = f", p95 {self.p95:g} s" if self.times else ""
        return f"{self.errors} of {self.requests} requests failed ({percent(self.rate)}){latency}"


class Seen(msgspec.Struct, frozen=True):
    """What was seen of one slot: of its users, and of our own probes. Apart, so that these do not drown those."""

    users: Traffic = Traffic()
    own: Traffic = Traffic()


class Check(msgspec.Struct, frozen=True):
    """One measure, held against its limit.

    Attributes:
        over: more than the policy allows.
        failed: more than chance explains, and more than the release before; on enough requests.
        why: what was counted, in words.
    """

    over: bool
    failed: bool
    why: str


Judgement = Literal["go-on", "stable", "failed", "inconclusive"]


def judge(
    new: Seen, old: Seen, policy: Watch, elapsed: float, seconds: float, more: Sequence[Check] = ()
) -> tuple[Judgement, str]:
    """The verdict so far, and the counts that led to it.

    An environment that nobody uses is judged by our own probes.

    Args:
        old: the baseline; what was seen less than `policy.samples` times in it is none.
        elapsed: seconds that it was watched.
        seconds: that it is to be watched.
        more: what others have measured.
    """
    checks = [_errors("requests", new.users, old.users, policy), _errors("probes", new.own, old.own, policy)]
    checks += [*_latency(new.users, old.users, policy), *more]
    if failed := [check for check in checks if check.failed]:
        return "failed", "; ".join(check.why for check in failed)
    if elapsed < seconds:
        return "go-on", str(new.users)
    if max(new.users.requests, new.own.requests) < policy.samples:
        few = f"only {new.users.requests} requests and {new.own.requests} probes of our own in {elapsed:.0f} s"
        return "inconclusive", f"{few}, {policy.samples} of either are needed"
    if doubts := [check for check in checks if check.over]:
        return "inconclusive", "; ".join(check.why for check in doubts)
    return "stable", "; ".join([_told(new, old, elapsed), *(check.why for check in more)])


def most_by_chance(requests: int, share: float, baseline: int = 0) -> int:
    """How many of the requests can be bad by chance where this share is to be expected.

    Args:
        share: 0 to 1.
        baseline: of how many requests the share was counted; 0 if it is given.
    """
    expected = requests * share
    spread = 1 + requests / baseline if baseline else 1.0
    return math.floor(expected + 3 * math.sqrt(expected * spread) + 1e-9)


def _errors(what: str, new: Traffic, old: Traffic, policy: Watch) -> Check:
    return hold_share(what, new, old, policy.error_rate, policy.samples)


def hold_share(what: str, new: Traffic, old: Traffic, allowed: float, samples: int) -> Check:
    """At most so many failed (`allowed`: percent), or no more than with the release before."""
    baseline = old.requests if old.requests >= samples and old.rate > allowed else 0
    rate = old.rate if baseline else allowed
    most = most_by_chance(new.requests, rate / 100, baseline)
    over = 100 * new.errors > new.requests * allowed + 1e-9
    failed = new.requests >= samples and new.errors > most
    return Check(
        over, failed, f"{_counted(what, new)}; {_explained(rate, most, failed, _counted('', old) if baseline else '')}"
    )


def _latency(new: Traffic, old: Traffic, policy: Watch) -> list[Check]:
    """A p95 within `p95`, or no longer than the release before; and within `slower` of the release before."""
    checks = []
    known = old.timed >= policy.samples
    if policy.p95 is not None:
        worse = known and old.p95 > policy.p95
        checks.append(_slow(new, policy.p95, old if worse else None, old.p95 if worse else policy.p95, policy))
    if policy.slower is not None and known:
        limit = max(old.p95 * (1 + policy.slower / 100), old.p95 + GRAIN)
        checks.append(_slow(new, limit, old, limit, policy))
    return checks


def _slow(new: Traffic, allowed: float, old: Traffic | None, limit: float, policy: Watch) -> Check:
    """At most 5% longer than `allowed`; failed by `limit`, which the baseline may have made longer. Seconds."""
    slow, count = new.slower_than(limit), new.timed
    most = most_by_chance(count, SLOW, old.timed if old else 0)
    enough = count >= policy.samples
    failed = enough and slow > most
    over = enough and new.slower_than(allowed) > count * SLOW + 1e-9
    said = f"p95 {new.p95:g} s, {slow} of {count} requests took longer than {limit:g} s"
    return Check(over, failed, f"{said}; {_explained(100 * SLOW, most, failed, f'p95 {old.p95:g} s' if old else '')}")


def _counted(what: str, traffic: Traffic) -> str:
    return f"{traffic.errors} of {traffic.requests} {what} failed ({percent(traffic.rate)})".replace("  ", " ")


def _explained(rate: float, most: int, failed: bool, before: str) -> str:
    """Why it is, or is not, the release's fault."""
    chance = f"up to {most} can be chance at {rate:.3g}%"
    if before:
        chance += f"; the release before: {before}"
    return chance if failed else f"not within the limit, and not the release's alone: {chance}"


def _told(new: Seen, old: Seen, elapsed: float) -> str:
    before = f"; the release before: {old.users}" if old.users.requests else ""
    own = f"{new.own.requests} probes of our own, {new.own.errors} not right"
    return f"{new.users} in {elapsed:.0f} s{before}; {own}"


def percent(rate: float) -> str:
    """A rate as people write it: two digits, and never `1e+02%`."""
    return f"{rate:.2g}%" if rate < 10 else f"{rate:.0f}%"
