"""Which files a suite's command is about, as far as its words tell: only for their weights, never for what runs."""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from posixpath import normpath

NAMES = ("test_*.py", "*_test.py")  # pytest's own python_files


def files_of(files: Iterable[str], words: Sequence[str], known: Iterable[str]) -> list[str]:
    """The files that probably have the suite's tests.

    Args:
        files: of the checkout, from the project's folder on.
        words: the options and arguments of pytest.
        known: files that earlier runs of the suite have had.
    """
    there = set(files)
    named = [normpath(word.partition("::")[0]) for word in words if not word.startswith("-")]
    below = [path for path in named if path in there or any(file.startswith(f"{path}/") for file in there)]
    found = {
        file
        for file in there
        if any(fnmatch(re.sub(r".*/", "", file), name) for name in NAMES)
        and (not below or any(file == path or file.startswith(f"{path}/") for path in below))
    }
    return sorted(found | (set(known) & there))
