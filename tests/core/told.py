"""Verdicts as hypothesis makes them, hostile text and all."""

from typing import Any

from hypothesis import strategies as st

from cicd.core.history import Figures
from cicd.core.junit import Failure, Timing
from cicd.core.verdict_report import Excused, FlakyTest, Mark, SuiteReport, VerdictReport

HOSTILE = st.sampled_from(
    [
        "</pre></details><script>alert(1)</script>",
        "```\n| a | b |\n```",
        "<!-- cicd verdict 0123456789abcdef 1.1 -->",
        "![x](https://evil.example/x.png) @everyone #1",
        "right\u202eto left\x00\x1b[31m",
        "../../etc/passwd",
        "ü😀" * 200,
        "a\nb\nc\n" * 100,
        '" onload="alert(1)',
    ]
)
TEXT = st.one_of(st.text(max_size=60), HOSTILE)
NAME = TEXT.map(lambda text: text[:1000])


@st.composite
def failures(draw: st.DrawFn) -> Failure:
    file = draw(st.one_of(st.just("tests/test_a.py"), NAME, st.just("")))
    given: dict[str, Any] = {"message": draw(TEXT), "text": draw(TEXT), "line": draw(st.integers(0, 10**7))}
    return Failure(test=draw(TEXT), file=file, **given)


@st.composite
def suites(draw: st.DrawFn) -> SuiteReport:
    shown = draw(st.lists(failures(), max_size=4)) * draw(st.sampled_from([1, 1, 1, 40]))
    failed = len(shown[:1000]) + draw(st.integers(0, 5))
    timings = st.lists(st.builds(Timing, st.floats(0, 1e8), NAME), max_size=4)
    return SuiteReport(
        suite=draw(NAME),
        green=draw(st.booleans()),
        what=draw(TEXT)[:20_000],
        cause=draw(TEXT)[:20_000],
        ran=failed + draw(st.integers(0, 10**6)),
        failed=failed,
        seconds=draw(st.floats(0, 1e9)),
        shards=draw(st.lists(st.floats(0, 1e9), max_size=20)),
        coverage=draw(st.sampled_from(["", "0.00", "85.31", "100.00"])),
        before=Figures(tests=draw(st.integers(0, 100)), seconds=1.0, coverage=draw(st.sampled_from(["", "90.00"]))),
        flaky=draw(st.integers(0, 5)),
        flaky_tests=draw(st.lists(st.builds(FlakyTest, test=NAME), max_size=3)),
        excused=draw(st.integers(0, 5)),
        excused_tests=draw(st.lists(st.builds(Excused, test=NAME, owner=NAME, until=NAME), max_size=3)),
        slowest=draw(timings),
        files=draw(timings),
        durations=draw(st.one_of(st.just([]), st.lists(st.integers(0, 10**6), min_size=10, max_size=10))),
        failures=shown[:1000],
    )


@st.composite
def reports(draw: st.DrawFn) -> VerdictReport:
    made = draw(st.lists(suites(), min_size=1, max_size=3)) * draw(st.sampled_from([1, 1, 1, 20]))
    paths = st.one_of(st.just("a.py"), NAME)
    levels = st.sampled_from(["notice", "warning", "failure"])
    mark = st.builds(Mark, path=paths, line=st.integers(0, 10**9), level=levels, title=NAME, message=TEXT)
    marks = draw(st.lists(mark, max_size=3)) * draw(st.sampled_from([1, 1, 60]))
    given: dict[str, Any] = {"marks": marks, "marked": len(marks) + draw(st.integers(0, 5))}
    return VerdictReport(suites=made, asked=draw(st.lists(NAME, max_size=2)), directory=draw(NAME), **given)


def small(**given: Any) -> VerdictReport:
    """One suite, `unit`, of 120 tests."""
    about: dict[str, Any] = {"suite": "unit", "green": True, "ran": 120, "seconds": 3.0, "shards": [3.0]}
    return VerdictReport(suites=[SuiteReport(**{**about, **given})])


def failed(number: int, **given: Any) -> VerdictReport:
    """The same with failures, each on a line of its own."""
    found = [
        Failure(test=f"test_{n}", file="tests/test_a.py", line=n + 1, message="assert 0", text="E assert 0")
        for n in range(min(number, 1000))
    ]
    about: dict[str, Any] = {"green": False, "what": "red", "ran": max(number, 120), "failed": number, **given}
    return small(failures=found, **about)
