"""The servers of a job end with it, in each of the ways in which a job can end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cicd.adapters.folders import private_folder
from cicd.adapters.process import ProcessId, find
from cicd.adapters.runner import Runner
from cicd.adapters.services.job import Job, Server, State, end, read_state
from cicd.adapters.services.server import start
from cicd.core.services import Wanted
from cicd.errors import ServiceFailed

pytestmark = pytest.mark.real


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[bytes]]:
    """Stands for the runner's process."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


@pytest.fixture
def job(tmp_path: Path, owner: subprocess.Popen[bytes]) -> Iterator[Job]:
    job = Job(private_folder(tmp_path / "job"), owner.pid, {"PATH": os.environ["PATH"]})
    yield job
    end(job.folder, job.state)


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def gone(job: Job, server: Server, watcher: ProcessId) -> bool:
    return find(server.process) is None and find(watcher) is None and not job.folder.exists()


def brought_up(job: Job, runner: Runner) -> tuple[Server, ProcessId]:
    watcher = job.watch()
    return start(Wanted("redis"), job, runner, threading.Event()), watcher


def test_when_the_runner_ends(job: Job, runner: Runner, owner: subprocess.Popen[bytes]) -> None:
    server, watcher = brought_up(job, runner)
    owner.kill()  # and nobody has reaped it: a zombie has ended
    assert eventually(lambda: gone(job, server, watcher))


def test_when_the_temp_folder_is_removed(job: Job, runner: Runner) -> None:
    server, watcher = brought_up(job, runner)
    time.sleep(0.5)  # the watcher has to have seen the server
    job.folder.rename(job.folder.with_name("gone"))
    assert eventually(lambda: gone(job, server, watcher))


def test_when_somebody_ends_the_watcher(job: Job, runner: Runner) -> None:
    server, watcher = brought_up(job, runner)
    assert eventually(lambda: b"watcher" in Path(f"/proc/{watcher.pid}/cmdline").read_bytes())
    time.sleep(1)  # it has to have come as far as its handlers
    os.kill(watcher.pid, signal.SIGTERM)
    assert eventually(lambda: gone(job, server, watcher))


def test_there_is_one_watcher_and_the_state_is_ours_alone(job: Job, runner: Runner) -> None:
    server, watcher = brought_up(job, runner)
    assert job.watch() == watcher
    path = job.folder / "state.json"
    assert path.stat().st_mode & 0o777 == 0o600
    state = read_state(job.folder)
    assert state is not None
    assert [one.url for one in state.servers] == [server.url]
    job.remove(server)
    job.close_if_empty()
    assert gone(job, server, watcher)


def test_a_later_step_finds_the_servers(tmp_path: Path, runner: Runner) -> None:
    with Job.opened(runner, tmp_path) as job:
        server = start(Wanted("redis"), job, runner, threading.Event())
    with Job.opened(runner, tmp_path) as later:
        assert later.running() == {"redis": server}
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not later.running())
    end(job.folder, job.state)


def test_another_project_of_the_session_has_servers_of_its_own(tmp_path: Path, runner: Runner) -> None:
    with Job.opened(runner, tmp_path / "shop") as shop:
        first = start(Wanted("redis"), shop, runner, threading.Event())
    with Job.opened(runner, tmp_path / "blog") as blog:
        assert blog.running() == {}
        second = start(Wanted("redis"), blog, runner, threading.Event())
    try:
        assert find(first.process), "the second project takes nothing away"
        assert first.url != second.url
        with Job.opened(runner, tmp_path / "blog" / ".." / "shop") as again:
            assert again.running() == {"redis": first}
    finally:
        for job in (shop, blog):
            end(job.folder, job.state)


def test_a_state_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    (tmp_path / "state.json").write_text("{")
    assert read_state(tmp_path) is None
    assert State().servers == []


@pytest.mark.parametrize("spoil", ["file", "open", "link"])
def test_a_temp_folder_that_cannot_be_used(tmp_path: Path, runner: Runner, spoil: str) -> None:
    with Job.opened(runner, tmp_path) as job:
        folder = job.folder
    end(folder, State())
    if spoil == "file":
        folder.touch()
    elif spoil == "link":
        (tmp_path / "mine").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "mine")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(ServiceFailed, match="set RUNNER_TEMP to a folder of your own"), Job.opened(runner, tmp_path):
        pass
