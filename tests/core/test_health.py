import pytest

from cicd.core.config import Health
from cicd.core.health import Probe, healthy, why_not

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
