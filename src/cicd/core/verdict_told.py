"""The verdicts of a plan as they are told: figures, and of lists so much that all of it has a bound."""

import bisect
import math
from collections.abc import Sequence

import msgspec

from cicd.core.flaky import rate
from cicd.core.history import History
from cicd.core.junit import Report, Timing
from cicd.core.page import within
from cicd.core.shards import seconds_of
from cicd.core.suite_verdict import SuiteVerdict
from cicd.core.verdict_report import (
    DURATIONS,
    LISTED,
    MOST_FAILURES,
    MOST_MARKS,
    MOST_SUITES,
    TEXT,
    TEXTS,
    Excused,
    FlakyTest,
    Mark,
    SuiteReport,
    VerdictReport,
)


def report_of(
    verdicts: Sequence[SuiteVerdict],
    history: History,
    asked: Sequence[str] = (),
    directory: str = "",
    marks: Sequence[Mark] = (),
    variant: str = "",
) -> VerdictReport:
    """The verdicts as they are told.

    Args:
        history: before this run.
        marks: remarks on lines that are no failed tests, the gravest first.
        variant: what this verdict is called among several of one run.
    """
    return VerdictReport(
        suites=_with_texts([_suite(one, history) for one in verdicts[:MOST_SUITES]]),
        asked=sorted(set(asked))[:MOST_SUITES],
        directory=directory[:1000],
        variant=variant[:1000],
        marked=len(marks),
        marks=list(marks[:MOST_MARKS]),
    )


def _with_texts(suites: Sequence[SuiteReport]) -> list[SuiteReport]:
    """The same with as much of the tracebacks as there is room for."""
    left, kept = TEXTS, list[SuiteReport]()
    for one in suites:
        failures = []
        for failure in one.failures:
            text = within(failure.text, min(TEXT, left)) if left > len("…\n".encode()) else ""
            left -= len(text.encode(errors="replace"))
            failures.append(msgspec.structs.replace(failure, text=text))
        kept.append(msgspec.structs.replace(one, failures=failures))
    return kept


def _suite(one: SuiteVerdict, history: History) -> SuiteReport:
    known, error = history.of(one.suite), one.error
    seen = one.outcome.seen if one.outcome else Report()
    found = one.outcome.coverage.found if one.outcome else None
    excused = one.sorted.excused if one.sorted else {}
    times = one.whole.times if one.whole else {}
    ran = [Timing(ran.seconds, test[:1000]) for test, ran in one.whole.ran.items()] if one.whole else []
    files = [Timing(seconds_of(at), file[:1000]) for file, at in times.items()]
    return SuiteReport(
        suite=one.suite[:1000],
        green=error is None,
        proof=one.proof[:1000],
        what=error.what[:20_000] if error else "",
        cause=error.cause[:20_000] if error else "",
        next_step=error.next_step[:20_000] if error else "",
        said=[sentence[:20_000] for sentence in one.said[:100]],
        ran=seen.ran,
        failed=seen.failed,
        skipped=seen.skipped,
        seconds=_bounded(one.seconds),
        work=_bounded(one.work),
        shards=[_bounded(seconds) for _, seconds in sorted(one.shards.items())][:1000],
        coverage=found.shown if found else "",
        before=known.figures,
        flaky=len(one.flaky),
        flaky_tests=[
            FlakyTest(test=test[:1000], percent=min(100.0, rate(known.rates, test))) for test in one.flaky[:LISTED]
        ],
        excused=len(excused),
        excused_tests=[
            Excused(test=test[:1000], owner=entry.owner[:1000], until=entry.until[:1000])
            for test, entry in list(excused.items())[:LISTED]
        ],
        slowest=_slowest(ran or seen.slowest),
        files=_slowest(files),
        durations=counts(ran) if ran else [],
        failures=list(seen.failures[:MOST_FAILURES]),
    )


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), 1e9) if math.isfinite(seconds) else 0.0


def _slowest(timings: Sequence[Timing]) -> list[Timing]:
    return sorted(timings, key=lambda one: (-one.seconds, one.test))[:LISTED]


def counts(timings: Sequence[Timing]) -> list[int]:
    """How many tests took up to each of DURATIONS seconds, and how many longer."""
    found = [0] * (len(DURATIONS) + 1)
    for one in timings:
        found[bisect.bisect_left(DURATIONS, one.seconds)] += 1
    return found
