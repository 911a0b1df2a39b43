"""What this process may use of the machine's CPUs."""

import os
from collections.abc import Iterable
from pathlib import Path

from cicd.core.workers import Cpus, quota_files, quotas

LARGEST = 1024 * 1024  # bytes; a machine with thousands of mounts has some hundred thousand


def read_cpus(root: Path = Path("/")) -> Cpus:
    """Affinity and quotas as they are now; only the number of CPUs where the rest cannot be read (macOS, a jail).

    Args:
        root: where /proc and /sys/fs/cgroup are.
    """
    about = _texts(root, ("/proc/self/cgroup", "/proc/self/mountinfo"))
    files = quota_files(about.get("/proc/self/cgroup", ""), about.get("/proc/self/mountinfo", ""))
    texts = _texts(root, {name for names in files for name in names})
    return Cpus(affinity=_affinity(), quotas=quotas(files, texts))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _texts(root: Path, names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            with (root / name.lstrip("/")).open(encoding="utf-8", errors="replace") as file:
                found[name] = file.read(LARGEST)
        except OSError:
            continue
    return found
