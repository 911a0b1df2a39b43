"""What earlier runs have shown: how long each test takes, what is proven, what is flaky, and the last figures.

It is a file that a branch's runs hand on, and that pull requests read. Losing it costs time and nothing else, so one
that cannot be read is an empty one, which is said.
"""

from collections.abc import Iterator, Mapping

import msgspec

from cicd.core.completeness import FileTimes
from cicd.core.flaky import Rates, counted_in
from cicd.core.proof import Proof, with_proof
from cicd.core.shards import seconds_of
from cicd.core.suite import Outcome
from cicd.core.suite_verdict import SuiteVerdict

SCHEMA = 1
READS_ONLY = ("pull_request", "pull_request_target")  # events whose runs keep nothing for others
LARGEST = 128 * 1024 * 1024  # bytes
LONGEST = 1e8  # seconds of a test, as in a receipt
JOB = 20.0  # seconds of a job before its suite starts, where nobody has measured it: queue, machine, checkout


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A suite's last green run on the branch, for changes against it."""

    tests: int = 0
    seconds: float = 0.0
    coverage: str = ""


class SuiteHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one suite.

    Attributes:
        times: file → seconds of its tests and fixtures.
        fixed: seconds of a shard besides those.
    """

    times: dict[str, FileTimes] = {}
    fixed: float = 0.0
    rates: Rates = Rates()
    figures: Figures = Figures()


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of all suites. `proofs`: newest first."""

    schema: int = SCHEMA
    suites: dict[str, SuiteHistory] = {}
    proofs: list[Proof] = []

    def of(self, suite: str) -> SuiteHistory:
        return self.suites.get(suite, SuiteHistory())


def read_history(text: bytes) -> History | str:
    """The history of a file, or why it cannot be read."""
    try:
        if len(text) > LARGEST:
            return f"it has {len(text):,} bytes"
        found = msgspec.json.decode(text, type=History)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return str(error)[:200]
    if found.schema != SCHEMA:
        return f"its format is {found.schema}, and {SCHEMA} is read here"
    if not all(0 <= seconds <= LONGEST for one in found.suites.values() for seconds in _seconds(one)):
        return "it has times that cannot be"
    return found


def _seconds(suite: SuiteHistory) -> Iterator[float]:
    yield suite.fixed
    for file in suite.times.values():
        yield from (file.fixtures, file.collect, *file.tests.values())


def with_figures(history: History, suite: str, outcome: Outcome) -> History:
    """The history with the last figures of a suite that is green."""
    found = outcome.coverage.found
    figures = Figures(tests=outcome.seen.ran, seconds=outcome.seconds, coverage=found.shown if found else "")
    known = msgspec.structs.replace(history.of(suite), figures=figures)
    return msgspec.structs.replace(history, suites={**history.suites, suite: known})


def learned(
    history: History, verdict: SuiteVerdict, inputs: Mapping[str, str] | None, run: str, sha: str, at: float
) -> History:
    """The history after a suite's verdict.

    Args:
        inputs: that a proof would be about; None: none is kept.
        run: URL or id of this run.
        at: seconds since 1970.
    """
    known, whole, outcome = history.of(verdict.suite), verdict.whole, verdict.outcome
    if verdict.proof or outcome is None:
        return history
    suite = known
    if whole:
        kept = {file: times for file, times in known.times.items() if file in whole.times or verdict.error}
        tests = sum(seconds_of(times) for times in whole.times.values())
        fixed = max(0.0, (verdict.work - tests) / max(1, len(verdict.shards)))
        suite = msgspec.structs.replace(
            suite, times={**kept, **whole.times}, fixed=fixed, rates=counted_in(known.rates, verdict.flaky)
        )
    proofs = history.proofs
    if verdict.error is None:
        seen, found = outcome.seen, outcome.coverage.found
        figures = Figures(tests=seen.ran, seconds=verdict.seconds, coverage=found.shown if found else "")
        suite = msgspec.structs.replace(suite, figures=figures)
        # What rests on an excuse is proven only as long as that holds.
        if inputs is not None and not (verdict.sorted and verdict.sorted.excused):
            proof = Proof(
                suite=verdict.suite, inputs=dict(inputs), run=run, sha=sha, at=at, tests=seen.ran, seconds=verdict.work
            )
            proofs = with_proof(proofs, proof)
    return msgspec.structs.replace(history, suites={**history.suites, verdict.suite: suite}, proofs=proofs)
