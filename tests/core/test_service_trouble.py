import pytest

from cicd.core.service_trouble import FULL_NEXT_STEP, next_step, why


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (["FATAL: no pg_hba", "database system is shut down"], "FATAL: no pg_hba"),
        ([">>> 'maxmemory-policy nonsense'", "bye"], ">>> 'maxmemory-policy nonsense'"),
        (["could not write: No space left on device", "error: child ended"], "the disk is full: could not write: No"),
        (["all is well"], ""),
        ([], ""),
    ],
)
def test_the_line_that_tells(lines: list[str], cause: str) -> None:
    assert why(lines).startswith(cause)
    assert bool(why(lines)) == bool(cause)


def test_what_to_do() -> None:
    assert next_step(["x: No space left on device"], "read it") == FULL_NEXT_STEP
    assert next_step(["fatal"], "read it") == "read it"
