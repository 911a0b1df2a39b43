"""Whether a lock is held, as the kernel tells it."""

import fcntl
from pathlib import Path

from cicd.adapters.flocks import is_held


def test_a_lock_is_seen_while_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    with path.open("w") as file:
        assert not is_held(path)
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_held(path)
        assert not is_held(tmp_path)
    assert not is_held(path)
