"""Files that tests may have written, read whole: ordinary ones, of a size that fits into memory."""

import os
import stat
from pathlib import Path


def read_bounded(path: Path, largest: int) -> bytes:
    """The bytes of a file. Raises OSError, also when it is no ordinary file, such as a pipe, or too large.

    Args:
        largest: bytes.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # a pipe would wait for ever
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path.name} is no ordinary file")
        found = file.read(largest + 1)
    if len(found) > largest:
        raise OSError(f"{path.name} has more than {largest:,} bytes")
    return found
