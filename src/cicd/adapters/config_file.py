"""The consumer's config, as text: a plain file of a plain size, whatever its path leads to."""

import os
import stat
from pathlib import Path

from cicd.core.reading import LARGEST
from cicd.errors import ConfigError


def read_text(path: Path) -> str:
    """The text of a config.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none. ConfigError: it cannot be read, or is no plain file.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise _refused(path, "cannot be read: it is no plain file")
            if about.st_size > LARGEST:
                raise _refused(path, f"is larger than {LARGEST} bytes")
            return file.read(LARGEST + 1).decode()
    except (FileNotFoundError, NotADirectoryError):
        raise
    except IsADirectoryError as error:
        raise _refused(path, "cannot be read: it is a folder") from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise _refused(path, f"cannot be read: {why}") from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # or a FIFO would hold us up until somebody writes


def _refused(path: Path, why: str) -> ConfigError:
    shown = str(path) if len(str(path)) <= 200 else f"{str(path)[:200]}…"
    return ConfigError(f"{shown} {why}", next_step="mend the file, or give its path with `config`")
