"""`cicd generate`: write the files that follow from the contract."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cicd.generate import files, write

CHECKOUT = Path(__file__).resolve().parents[3]


def main(arguments: Sequence[str]) -> int:
    """Write them; with --check only say which differ and exit 1 if any does."""
    options = argparse.ArgumentParser(prog="cicd generate", description=__doc__)
    options.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a file is not as it would be made"
    )
    if options.parse_args(arguments).check:
        differing = [
            path
            for path, text in files().items()
            if not (CHECKOUT / path).exists() or (CHECKOUT / path).read_text() != text
        ]
        print("\n".join(differing) if differing else "every generated file is as it would be made")
        return 1 if differing else 0
    print("\n".join(write(CHECKOUT)) or "nothing to write: every generated file is as it would be made")
    return 0
