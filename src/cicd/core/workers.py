"""How many of pytest-xdist's workers a machine feeds: by what this process may use of it, not by what it has.

A container of 2 CPUs on a machine of 64 has `nproc` 64; xdist's `-n auto` starts 64 workers there, which take turns.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import msgspec

MOST = 64  # workers; beyond it the one process that gives them their tests is what they wait for
SANE = 1e6  # CPUs


class Cpus(msgspec.Struct, frozen=True, kw_only=True):
    """What this process may use.

    Attributes:
        affinity: CPUs that it may run on: sched_getaffinity(2).
        quotas: CPUs' time per time that its control groups allow, each of them; none: no limit.
    """

    affinity: int
    quotas: tuple[float, ...] = ()


def choose_workers(cpus: Cpus, *, tests: int | None = None, most: int = MOST) -> int:
    """The number of workers, at least 1. 1 means: run without xdist, for a single worker only adds its own start.

    A quota of 1.5 CPUs gives 2 workers, since with 1 a third of it would be left.

    Args:
        tests: how many there are to run, where that is known: there are never more workers.
    """
    limit = min([float(cpus.affinity), *cpus.quotas])
    wanted = max(1, min(math.ceil(limit), most))
    return wanted if tests is None else max(1, min(wanted, tests))


def explain(cpus: Cpus, workers: int) -> str:
    """The choice in words: `2 workers: 4 CPUs may be used, 1.5 of their time`."""
    parts = [f"{cpus.affinity} CPU{'s' * (cpus.affinity != 1)} may be used"]
    if cpus.quotas and min(cpus.quotas) < cpus.affinity:
        parts.append(f"{min(cpus.quotas):g} of their time")
    return f"{workers} worker{'s' * (workers != 1)}: {', '.join(parts)}"


def quota_files(cgroup: str, mountinfo: str) -> list[tuple[str, ...]]:
    """The files that may limit this process: its own group's, then those around it. `(cpu.max,)` or `(quota, period)`.

    Args:
        cgroup: /proc/self/cgroup, `hierarchy:controllers:path`: cgroups(7).
        mountinfo: /proc/self/mountinfo: proc_pid_mountinfo(5).
    """
    found: list[tuple[str, ...]] = []
    for root, point, kind in _mounts(mountinfo):
        names = V2 if kind == "cgroup2" else V1
        group = _group(cgroup, "" if kind == "cgroup2" else "cpu")
        found += [tuple(f"{folder}/{name}" for name in names) for folder in _folders(group, root, point)]
    return list(dict.fromkeys(found))


V2 = ("cpu.max",)
V1 = ("cpu.cfs_quota_us", "cpu.cfs_period_us")


def _mounts(mountinfo: str) -> Iterable[tuple[str, str, str]]:
    """Root and mount point of the hierarchies that limit CPUs: the unified one, and `cpu` of the old ones."""
    for line in mountinfo.splitlines():
        about, _, filesystem = line.partition(" - ")
        fields, kinds = about.split(" "), filesystem.split(" ")
        if len(fields) < 5 or len(kinds) < 3:
            continue
        if kinds[0] == "cgroup2" or (kinds[0] == "cgroup" and "cpu" in kinds[2].split(",")):
            yield _unescaped(fields[3]), _unescaped(fields[4]), kinds[0]


def _unescaped(path: str) -> str:
    r"""A path of mountinfo, which writes a space as `\040`."""
    for code in ("040", "011", "012", "134"):
        path = path.replace(f"\\{code}", chr(int(code, 8)))
    return path


def _group(cgroup: str, controller: str) -> str:
    """The group of this process in a hierarchy; `/` where it is not said."""
    for line in cgroup.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3 and controller in parts[1].split(","):
            return parts[2]
    return "/"


def _folders(group: str, root: str, point: str) -> Iterable[str]:
    """The folders of a group and of those around it, as far as the mount shows them.

    A container may see its own group as the root of the mount, and none the less be told its path from the host's root.
    """
    path = PurePosixPath(group)
    below = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath()
    parts = [part for part in below.parts if part not in ("/", "..")]
    for length in range(len(parts), -1, -1):
        yield str(PurePosixPath(point, *parts[:length]))


def quotas(files: Iterable[Sequence[str]], texts: Mapping[str, str]) -> tuple[float, ...]:
    """The limits that the files have, in CPUs.

    Args:
        files: as quota_files() gives them.
        texts: file → its text; those that cannot be read are not in it.
    """
    found = (
        quota(" ".join(texts[name].strip() for name in names)) for names in files if all(n in texts for n in names)
    )
    return tuple(limit for limit in found if limit is not None)


def quota(text: str) -> float | None:
    """CPUs of `150000 100000` (microseconds of quota and of period); None: no limit, or nothing that can be one."""
    try:
        allowed, period = (float(part) for part in text.split())
    except ValueError:
        return None  # `max 100000` among them
    if not (math.isfinite(allowed) and math.isfinite(period)) or allowed <= 0 or period <= 0:
        return None  # -1 is version 1's `max`
    return allowed / period if allowed / period < SANE else None
