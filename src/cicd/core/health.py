"""Whether a slot is healthy, and whether a release holds under traffic: decisions over samples."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from cicd.core.config import Health, Watch


class Probe(msgspec.Struct, frozen=True):
    """One question and its answer.

    Attributes:
        status: HTTP status, 0 for no answer.
        release: release id that the router put on the answer, or the application by `health.release-header`.
        seconds: how long it took.
        error: why there was no answer.
    """

    status: int
    release: str = ""
    seconds: float = 0.0
    error: str = ""


def healthy(probes: Sequence[Probe], policy: Health, release: str) -> bool:
    """Whether the last `policy.successes` probes in a row are right: exact status, and the release if it is told."""
    last = probes[-policy.successes :]
    return len(last) == policy.successes and all(good(probe, policy, release) for probe in last)


def good(probe: Probe, policy: Health, release: str) -> bool:
    """Whether one probe is right. An empty `release` is not asked for."""
    return probe.status == policy.status and (not release or probe.release == release)


def why_not(probes: Sequence[Probe], policy: Health, release: str) -> str:
    """The last probe that was not right, in words."""
    for probe in reversed(probes):
        if probe.status == 0:
            return f"no answer from {policy.path}: {probe.error}"
        if probe.status != policy.status:
            return f"{policy.path} answered {probe.status}, not {policy.status}"
        if release and probe.release != release:
            return f"{policy.path} was answered by release {probe.release or 'unknown'}, not {release}"
    return f"{policy.path} was right fewer than {policy.successes} times in a row"


class Traffic(msgspec.Struct, frozen=True):
    """What one release answered through the router.

    Attributes:
        requests: all of them, probes of the watch included.
        errors: those with 5xx, whoever made it.
        probes: how many of the requests were the watch's own.
    """

    requests: int = 0
    errors: int = 0
    probes: int = 0

    @property
    def error_rate(self) -> float:
        """Percent."""
        return 100 * self.errors / self.requests if self.requests else 0.0


Judgement = Literal["go-on", "stable", "failed", "inconclusive"]


def judge(traffic: Traffic, policy: Watch, elapsed: float) -> tuple[Judgement, str]:
    """The verdict of the watch so far, and why.

    Fails as soon as enough requests show too many errors; is stable only at the end, and only on enough requests.
    """
    seen = f"{traffic.errors} of {traffic.requests} requests failed ({traffic.error_rate:.2g}%)"
    if traffic.requests >= policy.samples and traffic.error_rate > policy.error_rate:
        return "failed", f"{seen}, more than {policy.error_rate:g}%"
    if elapsed < policy.seconds:
        return "go-on", seen
    if traffic.requests < policy.samples:
        return "inconclusive", f"only {traffic.requests} requests in {elapsed:.0f} s, {policy.samples} are needed"
    return "stable", f"{seen} in {elapsed:.0f} s, {traffic.probes} of them our own"
