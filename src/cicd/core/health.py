"""Whether a slot is healthy: a decision over probes."""

from collections.abc import Sequence

import msgspec

from cicd.core.config import Health

PROBE_AGENT = "cicd-probe"  # the user agent of our probes; by it a router's log tells them from users


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
