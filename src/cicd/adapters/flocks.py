"""Who holds a file's lock, seen without asking for it: whoever asks could be in the way of a run that begins."""

from pathlib import Path

LOCKS = Path("/proc/locks")  # `1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF`: proc_locks(5)


def is_held(path: Path) -> bool:
    """Whether some process of this machine holds a `flock` on the file. False where that cannot be seen."""
    try:
        number, lines = str(path.stat().st_ino), LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    held = (line.split() for line in lines)
    return any(entry[1] == "FLOCK" and entry[-3].rpartition(":")[2] == number for entry in held if len(entry) > 5)
