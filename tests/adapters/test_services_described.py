"""Servers that only the config knows."""

import os
import threading
import urllib.request
from pathlib import Path

import psutil
import pytest

from cicd.adapters.process import find
from cicd.adapters.runner import Runner
from cicd.adapters.services import place
from cicd.adapters.services.job import MARK, Job, end
from cicd.adapters.services.server import start
from cicd.core.config import Service
from cicd.core.services import Wanted
from cicd.errors import PortInUse, ServiceFailed, ToolMissing
from tests.adapters.servers import job_of

pytestmark = pytest.mark.real
FILES = "python3 -m http.server {port} --bind {host} --directory {data}"
URL = "http://{host}:{port}/"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return job_of(tmp_path)


def described(**about: object) -> Wanted:
    return Wanted("files", about=Service(**{"command": FILES, "ready": URL, "within": 5, **about}))  # type: ignore[arg-type]


def left(folder: Path) -> list[int]:
    """Processes of servers of a job."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(str(folder)):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.parametrize("ready", ["tcp", URL, 'python3 -c \'import os,sys; sys.exit(os.environ["KEY"] != "k")\''])
def test_each_way_to_see_that_it_answers(runner: Runner, job: Job, ready: str) -> None:
    exports = {"FILES_URL": URL, "FILES_KEY": "{name}:{password}"}
    server = start(described(ready=ready, env={"KEY": "k"}, exports=exports), job, runner, threading.Event())
    try:
        assert server.variables["FILES_URL"] == f"http://127.0.0.1:{server.port}/"
        assert server.variables["FILES_KEY"] == f"files:{server.password}"
        (Path(server.folder) / "data" / "letter").write_text("hello")
        if ready != URL:
            return
        with urllib.request.urlopen(f"{server.variables['FILES_URL']}letter") as answer:
            assert answer.read() == b"hello"
        assert "RUNNER_TEMP" not in Path(f"/proc/{server.pid}/environ").read_text()
    finally:
        job.remove(server)
    assert find(server.process) is None
    assert not left(job.folder)


def test_it_runs_in_the_project_with_its_own_variables(runner: Runner, job: Job, tmp_path: Path) -> None:
    serve = FILES.format(host="$1", port="$2", data=".")
    (tmp_path / "serve.sh").write_text(f'#!/bin/sh\ntest "$SECRET" || exit 9\nexec {serve}\n')
    (tmp_path / "serve.sh").chmod(0o755)
    job.project = tmp_path
    wanted = described(command="./serve.sh {host} {port}", env={"SECRET": "{password}"}, ready=f"{URL}serve.sh")
    server = start(wanted, job, runner, threading.Event())
    try:
        assert server.password not in Path(f"/proc/{server.pid}/cmdline").read_text()
    finally:
        job.remove(server)


def test_what_it_puts_into_the_background_ends_with_it(runner: Runner, job: Job) -> None:
    """As RabbitMQ does with epmd: in a session of its own, no child of ours any more."""
    command = f"sh -c 'setsid sleep 300 & exec {FILES}'"
    server = start(described(command=command), job, runner, threading.Event())
    assert len(left(job.folder)) == 2
    end(job.folder, job.state)
    assert not left(job.folder)
    assert find(server.process) is None


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"ready": f"{URL}none", "within": 0.5}, r"it did not answer within 0\.5 s.*services\.files\.within"),
        ({"ready": "sh -c 'echo not yet; exit 1'", "within": 0.5}, "did not answer"),
        (
            {"command": "sh -c 'echo fatal: no license >&2; exit 3'"},
            "ended before it answered; its log says: fatal",
        ),
        ({"command": "sh -c 'sleep 300 & sleep 300'", "within": 0.3}, "did not answer"),
    ],
)
def test_one_that_never_gets_ready(runner: Runner, job: Job, about: dict[str, object], message: str) -> None:
    with pytest.raises(ServiceFailed, match=message):
        start(described(**about), job, runner, threading.Event())
    said = runner.stream.getvalue()  # type: ignore[attr-defined]
    assert "the last lines of" in said or about.get("within") == 0.3
    assert "not yet" in said or "not yet" not in str(about)
    assert not left(job.folder)
    assert not list(job.folder.glob("files-*"))


def test_programs_that_are_not_there(runner: Runner, job: Job) -> None:
    with pytest.raises(ToolMissing, match="no-such-server"):
        start(described(command="no-such-server {port}"), job, runner, threading.Event())
    with pytest.raises(ToolMissing, match="no-such-question"):
        start(described(ready="no-such-question"), job, runner, threading.Event())
    assert not left(job.folder)


def test_a_port_that_is_taken(runner: Runner, job: Job, listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PortInUse, match=r"leave `files\.port` out"):
        start(Wanted("files", "", {"port": str(listener)}, described().about), job, runner, threading.Event())
    free, offered = place.free_port, [listener]
    monkeypatch.setattr(place, "free_port", lambda: offered.pop() if offered else free())
    server = start(described(), job, runner, threading.Event())
    job.remove(server)
    assert server.port != listener


@pytest.mark.parametrize("name", ["docker", ""])
def test_an_image_without_docker(runner: Runner, job: Job, tmp_path: Path, name: str) -> None:
    if name:
        (tmp_path / name).write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2; exit 1\n")
        (tmp_path / name).chmod(0o755)
    alone = Runner({**runner.env, "PATH": str(tmp_path)}, runner.stream)
    with pytest.raises(ToolMissing, match=r"Cannot connect|no `docker` on PATH"):
        start(described(image="x", port=1), job, alone, threading.Event())
    with pytest.raises(ServiceFailed, match=r"rabbitmq 99 cannot be had\. .*as a container: (There is no|Docker's)"):
        start(Wanted("rabbitmq", "99"), job, alone, threading.Event())
    assert os.listdir(job.folder) in ([], ["state.json"])
