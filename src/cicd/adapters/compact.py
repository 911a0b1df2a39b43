"""A journal that has become long is made shorter: what nobody needs any more goes into a file beside it."""

import hashlib
from pathlib import Path

from cicd.adapters.target import Target
from cicd.core.compaction import LARGE, parted
from cicd.core.journal import decode


def compact(target: Target, token: int) -> Path | None:
    """Make a long journal shorter; gives the file beside it in which the rest is now, None where it is left alone.

    The rest is on the disk before the journal takes its new shape, which it does at once: a kill in between leaves
    lines in both. The lock is held; if another has it after all, nothing is changed.

    Args:
        token: of the lock.

    Raises:
        Fenced: another has the lock. OSError. HostUnreachable, HostRefused. ValueError: it cannot be read.
    """
    host, path = target.host, target.folder / "journal.jsonl"
    was = host.look(path)
    if was is None or was.size <= LARGE:
        return None
    text = host.read(path).decode()
    lines = [line for line in text.split("\n")[:-1] if line.strip()]
    parts = parted(lines, decode(text), target.releases())
    if parts is None:
        return None
    stays, goes = (part.encode() for part in parts)
    beside = path.with_name(f"journal-{hashlib.sha256(goes).hexdigest()[:12]}.jsonl")
    host.write(beside, goes)
    return beside if host.swap(path, stays, was, target.folder / "fence", token) else None
