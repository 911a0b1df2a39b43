import pytest

from cicd.core.config import Health, Watch
from cicd.core.health import Probe, Traffic, healthy, judge, why_not

POLICY = Health(successes=3)
OK, BAD, NONE = Probe(200, "r1"), Probe(500, "r1"), Probe(0, error="the connection was refused")


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ([OK, OK, OK], True),
        ([BAD, OK, OK, OK], True),
        ([OK, OK], False),
        ([OK, OK, BAD], False),
        ([OK, BAD, OK, OK], False),
        ([], False),
        ([Probe(204, "r1")] * 3, False),
        ([OK, OK, Probe(200, "r2")], False),
    ],
)
def test_healthy_is_a_row_of_right_answers(probes: list[Probe], expected: bool) -> None:
    assert healthy(probes, POLICY, "r1") is expected


def test_an_application_that_does_not_tell_its_release_is_not_asked() -> None:
    assert healthy([Probe(200)] * 3, POLICY, "")


@pytest.mark.parametrize(
    ("probes", "words"),
    [
        ([NONE], "the connection was refused"),
        ([OK, BAD], "answered 500, not 200"),
        ([Probe(200, "r2")], "answered by release r2, not r1"),
        ([OK], "fewer than 3 times"),
    ],
)
def test_why_not(probes: list[Probe], words: str) -> None:
    assert words in why_not(probes, POLICY, "r1")


WATCH = Watch(seconds=10, error_rate=1, samples=20)


@pytest.mark.parametrize(
    ("requests", "errors", "elapsed", "expected"),
    [
        (100, 0, 5, "go-on"),
        (100, 1, 10, "stable"),
        (100, 2, 1, "failed"),
        (19, 19, 5, "go-on"),
        (19, 19, 10, "inconclusive"),
        (20, 1, 5, "failed"),
        (0, 0, 10, "inconclusive"),
        (20, 0, 10, "stable"),
    ],
)
def test_judge(requests: int, errors: int, elapsed: float, expected: str) -> None:
    judgement, why = judge(Traffic(requests, errors), WATCH, elapsed)
    assert judgement == expected
    assert why
