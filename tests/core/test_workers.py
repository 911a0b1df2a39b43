"""Workers by what a process may use: affinity, and the quotas of all groups around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.workers import Cpus, choose_workers, explain, quota, quota_files, quotas

V2_HOST = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_HOST = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:12 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
)
V1_CONTAINER = "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"


@pytest.mark.parametrize(
    ("affinity", "limits", "tests", "workers"),
    [
        (4, (), None, 4),
        (64, (2.0,), None, 2),
        (64, (1.5,), None, 2),
        (64, (0.1,), None, 1),
        (2, (8.0,), None, 2),
        (16, (8.0, 3.0, 12.0), None, 3),
        (512, (), None, 64),
        (8, (), 3, 3),
        (8, (), 0, 1),
        (1, (), 1000, 1),
    ],
)
def test_workers(affinity: int, limits: tuple[float, ...], tests: int | None, workers: int) -> None:
    assert choose_workers(Cpus(affinity=affinity, quotas=limits), tests=tests) == workers


@given(st.integers(0, 10_000), st.lists(st.floats(0, 1e6)), st.none() | st.integers(0, 10_000), st.integers(1, 100))
def test_there_is_always_one_and_never_more_than_may_be_used(
    affinity: int, limits: list[float], tests: int | None, most: int
) -> None:
    workers = choose_workers(Cpus(affinity=affinity, quotas=tuple(limits)), tests=tests, most=most)
    assert 1 <= workers <= most
    assert workers == 1 or workers < min([affinity, *limits]) + 1
    assert workers == 1 or tests is None or workers <= tests


def test_the_choice_in_words() -> None:
    assert explain(Cpus(affinity=4, quotas=(1.5, 9.0)), 2) == "2 workers: 4 CPUs may be used, 1.5 of their time"
    assert explain(Cpus(affinity=1, quotas=(9.0,)), 1) == "1 worker: 1 CPU may be used"


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("150000 100000", 1.5),
        ("max 100000", None),
        ("-1 100000", None),
        ("0 100000", None),
        ("100000 0", None),
        ("100000", None),
        ("", None),
        ("nan 1", None),
        ("inf 1", None),
        ("1e300 1e-300", None),
        ("1 2 3", None),
    ],
)
def test_a_quota(text: str, cpus: float | None) -> None:
    assert quota(text) == cpus


def v1(folder: str) -> tuple[str, str]:
    return (f"{folder}/cpu.cfs_quota_us", f"{folder}/cpu.cfs_period_us")


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "files"),
    [
        ("0::/\n", V2_HOST, [("/sys/fs/cgroup/cpu.max",)]),
        (
            "0::/system.slice/runner.service\n",
            V2_HOST,
            [
                ("/sys/fs/cgroup/system.slice/runner.service/cpu.max",),
                ("/sys/fs/cgroup/system.slice/cpu.max",),
                ("/sys/fs/cgroup/cpu.max",),
            ],
        ),
        ("0::/../../outside\n", V2_HOST, [("/sys/fs/cgroup/outside/cpu.max",), ("/sys/fs/cgroup/cpu.max",)]),
        (
            "5:cpuset:/other\n3:cpu,cpuacct:/job\n0::/\n",
            V1_HOST,
            [v1("/sys/fs/cgroup/cpu,cpuacct/job"), v1("/sys/fs/cgroup/cpu,cpuacct")],
        ),
        ("1:cpu:/docker/abc\n", V1_CONTAINER, [v1("/sys/fs/cgroup/cpu")]),
        ("1:cpu:/docker/abc/inner\n", V1_CONTAINER, [v1("/sys/fs/cgroup/cpu/inner"), v1("/sys/fs/cgroup/cpu")]),
        ("1:cpu:/elsewhere\n", V1_CONTAINER, [v1("/sys/fs/cgroup/cpu")]),
        ("0::/\n", V2_HOST.replace("/sys/fs/cgroup", r"/my\040groups"), [("/my groups/cpu.max",)]),
        ("", "", []),
        ("nonsense\n", "nonsense - cgroup2\n", []),
    ],
)
def test_where_the_limits_stand(cgroup: str, mountinfo: str, files: list[tuple[str, ...]]) -> None:
    assert quota_files(cgroup, mountinfo) == files


@given(st.text(), st.text())
def test_any_text_is_taken(cgroup: str, mountinfo: str) -> None:
    quota_files(cgroup, mountinfo)
    quota_files(f"0::{cgroup}", f"1 2 3 / {mountinfo} - cgroup2 x y")
    quota(cgroup)


def test_files_that_cannot_be_read_limit_nothing() -> None:
    texts = {"/a/cpu.max": "max 100000\n", "/b/cpu.max": "200000 100000\n", **dict.fromkeys(v1("/c"), "50000\n")}
    files = [("/a/cpu.max",), ("/b/cpu.max",), v1("/c"), v1("/d"), ("/e/cpu.max",)]
    assert quotas(files, texts) == (2.0, 1.0)
