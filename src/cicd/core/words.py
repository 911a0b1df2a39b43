"""Words of sentences that all parts of cicd say alike."""


def counted(number: int, noun: str) -> str:
    """`1 test`, `1,200 tests`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
