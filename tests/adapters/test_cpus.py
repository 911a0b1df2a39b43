"""CPUs are read from the kernel's own files."""

import os
from pathlib import Path

from cicd.adapters.cpus import read_cpus


def test_this_machine_has_some() -> None:
    cpus = read_cpus()
    assert cpus.affinity == len(os.sched_getaffinity(0))
    assert all(limit > 0 for limit in cpus.quotas)


def test_the_groups_of_a_container(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/pod/job\n",
        "proc/self/mountinfo": "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "sys/fs/cgroup/pod/job/cpu.max": "max 100000\n",
        "sys/fs/cgroup/pod/cpu.max": "250000 100000\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert read_cpus(tmp_path).quotas == (2.5,)


def test_where_there_is_no_proc(tmp_path: Path) -> None:
    assert read_cpus(tmp_path).quotas == ()
