"""Flaky tests: what passes when run again is shown as what it is; what is in quarantine has an owner and a day."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

WINDOW = 200  # runs of a suite that rates are about
MOST_TESTS = 2000  # flaky tests that are remembered of a suite


class Quarantined(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """A test that may fail until a day, because somebody mends it.

    `test` is its node id, or the id without the parameters in brackets, for all of them; `until` the last day on which
    it may fail, such as `2026-12-31`.
    """

    test: str
    owner: str
    until: str
    reason: str


class Sorted(msgspec.Struct, frozen=True, kw_only=True):
    """Failed tests, as quarantine sorts them.

    Attributes:
        failed: those that count.
        excused: those that are in quarantine, by node id.
        expired: entries whose day is over, and whose tests failed.
        unused: entries whose tests have passed: they can come out.
    """

    failed: list[str]
    excused: dict[str, Quarantined]
    expired: list[Quarantined]
    unused: list[Quarantined]


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """How often the tests of a suite were flaky.

    Attributes:
        runs: counted, no more than WINDOW; older ones fade out.
        tests: node id → runs in which it passed only when it was run again.
    """

    runs: int = 0
    tests: dict[str, float] = {}


def sort_failures(
    failed: Iterable[str], passed: Iterable[str], quarantine: Sequence[Quarantined], today: date
) -> Sorted:
    """Which failed tests count.

    Args:
        failed: node ids.
        passed: node ids of those that passed.
    """
    entries = {entry.test: entry for entry in quarantine}
    counts, excused, expired = list[str](), dict[str, Quarantined](), list[Quarantined]()
    for test in failed:
        entry = entry_of(test, entries)
        if entry is None:
            counts.append(test)
        elif _over(entry, today):
            counts.append(test)
            expired.append(entry)
        else:
            excused[test] = entry
    hit = {entry.test for entry in [*excused.values(), *expired]}
    well = {entry.test for test in passed if (entry := entry_of(test, entries))} - hit
    return Sorted(
        failed=counts,
        excused=excused,
        expired=list({entry.test: entry for entry in expired}.values()),
        unused=[entry for entry in quarantine if entry.test in well],
    )


def entry_of(test: str, entries: Mapping[str, Quarantined]) -> Quarantined | None:
    """The entry that a test is under: by its whole id, or by that without parameters."""
    return entries.get(test) or entries.get(test.partition("[")[0])


def _over(entry: Quarantined, today: date) -> bool:
    try:
        return date.fromisoformat(entry.until) < today
    except ValueError:
        return True  # a day that nobody can read excuses nothing; the config's rules refuse it


def counted_in(rates: Rates, flaky: Iterable[str]) -> Rates:
    """The rates after one more run. Beyond WINDOW each run weighs as much less as the window holds more of them."""
    fade = 1.0 if rates.runs < WINDOW else (WINDOW - 1) / WINDOW
    tests = {test: times * fade for test, times in rates.tests.items() if times * fade > 0.05}
    for test in flaky:
        tests[test] = tests.get(test, 0.0) + 1.0
    kept = sorted(tests.items(), key=lambda item: (-item[1], item[0]))[:MOST_TESTS]
    return Rates(runs=min(WINDOW, rates.runs + 1), tests=dict(kept))


def rate(rates: Rates, test: str) -> float:
    """Percent of the runs in which a test was flaky."""
    return 100 * rates.tests.get(test, 0.0) / rates.runs if rates.runs else 0.0
