"""setup-env's servers in containers: from an image, ended with the job, and those that are there already."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicd.adapters.folders import private_folder
from cicd.adapters.runner import Runner
from cicd.adapters.services.container import docker_env
from cicd.adapters.services.given import take_given
from cicd.adapters.services.job import Job, Server, end
from cicd.adapters.services.server import start
from cicd.core.config import Service
from cicd.core.given_services import Given
from cicd.core.services import Wanted
from cicd.errors import ServiceFailed
from tests.docker.engine import Engine
from tests.docker.lab import Lab
from tests.fakes import runner as fake_runner

HEALTH = "http://{host}:{port}/health"


@pytest.fixture
def here(engine: Engine, tmp_path: Path) -> Runner:
    return fake_runner({**os.environ, **engine.environment, "RUNNER_TEMP": str(tmp_path)})


@pytest.fixture
def job(here: Runner, tmp_path: Path) -> Iterator[Job]:
    job = Job(private_folder(tmp_path / "job"), os.getpid(), docker_env(here.env))
    yield job
    end(job.folder, job.state)


def up(wanted: Wanted, job: Job, runner: Runner) -> Server:
    return start(wanted, job, runner, threading.Event())


def running(engine: Engine) -> str:
    return engine.docker("ps", "--all", "--quiet", "--filter", "name=cicd-")


def test_known_ones_and_one_of_the_config(here: Runner, job: Job, engine: Engine, lab: Lab) -> None:
    database = up(Wanted("postgres", "", {"max_connections": "7"}, Service(image=lab.part("postgres"))), job, here)
    redis = up(Wanted("redis", "", {"maxmemory": "64mb"}, Service(image=lab.part("redis"))), job, here)
    web = Service(image=lab.image("v1"), port=8000, ready=HEALTH, exports={"WEB": "http://{host}:{port}"})
    service = up(Wanted("web", about=web), job, here)
    assert {one.source for one in (database, redis, service)} == {"container"}
    assert (database.version[0], redis.version[0], service.version) == (18, 6, ())
    assert service.variables == {"WEB": f"http://127.0.0.1:{service.port}"}
    for one in (database, redis):
        assert one.password in one.url
        assert one.password not in Path(f"/proc/{one.pid}/cmdline").read_text()
        assert one.password not in engine.docker("ps", "--no-trunc")
    job.remove(redis)
    assert running(engine).count("\n") == 2 - (not running(engine).endswith("\n"))
    end(job.folder, job.state)
    assert not running(engine)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (
            {"command": "sh -c 'echo fatal: no license >&2; exit 3'"},
            "ended before it answered; its log says: fatal: no",
        ),
        ({"command": "sleep 100", "within": 1.5}, "did not answer within 1"),
    ],
)
def test_one_that_never_gets_ready(
    here: Runner, job: Job, engine: Engine, lab: Lab, about: dict[str, object], message: str
) -> None:
    wanted = Service(image=lab.part("busybox"), port=80, ready="tcp", **about)  # type: ignore[arg-type]
    with pytest.raises(ServiceFailed, match=message):
        up(Wanted("web", about=wanted), job, here)
    assert not running(engine)


def test_an_image_that_cannot_be_had(here: Runner, job: Job) -> None:
    with pytest.raises(ServiceFailed, match=r"The image .* cannot be pulled"):
        up(Wanted("web", "7", {}, Service(image="127.0.0.1:1/none:{version}", port=80, ready="tcp")), job, here)


def test_when_the_job_ends(here: Runner, job: Job, engine: Engine, lab: Lab) -> None:
    """Killed as GitHub's runner kills what carries its tracking id: the container is not one of its processes."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as owner:
        job.owner = owner.pid
        watcher = job.watch()
        server = up(Wanted("redis", about=Service(image=lab.part("redis"))), job, here)
        os.kill(server.pid, signal.SIGKILL)
        owner.kill()
    deadline = time.monotonic() + 10
    while running(engine) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(engine)
    assert watcher.pid


def test_a_service_container_of_the_job(here: Runner, engine: Engine, lab: Lab) -> None:
    """As GitHub's runner starts it: its password is known to nobody but the container."""
    secret = ("--env", "POSTGRES_PASSWORD=pw", "--env", "POSTGRES_USER=ann", "--publish", "127.0.0.1::5432")
    container = engine.docker("run", "--detach", *secret, lab.part("postgres")).strip()
    port = int(engine.docker("port", container, "5432").rpartition(":")[2])
    given = Given((("127.0.0.1", port), ("postgres", 5432)), ("", "", ""), container, "the job's `services:`")
    there = take_given(Wanted("postgres", "18"), given, Path("/"), here, threading.Event())
    assert there
    assert there.variables == {"DATABASE_URL": f"postgresql://ann:pw@127.0.0.1:{port}/ann"}
    assert there.version[0] == 18
