"""A server that is there already, in the place of a service container."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicd.adapters.process import find
from cicd.adapters.runner import Runner
from cicd.adapters.services.given import take_given
from cicd.adapters.services.job import Job, Server
from cicd.adapters.services.server import start
from cicd.core.config import Service
from cicd.core.given_services import Given
from cicd.core.services import Wanted
from cicd.errors import Interrupted, ServiceFailed
from tests.adapters.servers import job_of

pytestmark = pytest.mark.real


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return job_of(tmp_path)


@pytest.fixture
def redis(runner: Runner, job: Job) -> Iterator[Server]:
    server = start(Wanted("redis"), job, runner, threading.Event())
    yield server
    job.remove(server)


def take(wanted: Wanted, server: Server, runner: Runner, password: str = "", port: int = 0) -> Server | None:
    given = Given((("127.0.0.1", port or server.port),), ("", password, ""), "", "the variable REDIS_HOST")
    return take_given(wanted, given, Path("/"), runner, threading.Event())


def test_it_is_asked_and_not_ended(runner: Runner, redis: Server) -> None:
    there = take(Wanted("redis", str(redis.version[0])), redis, runner, redis.password)
    assert there
    assert (there.version, there.source, there.variables) == (redis.version, "service container", redis.variables)
    assert find(redis.process)


def test_another_version_or_settings_are_said_and_left_alone(runner: Runner, redis: Server) -> None:
    assert take(Wanted("redis", "99"), redis, runner, redis.password) is None
    assert take(Wanted("redis", "", {"maxmemory": "1mb"}), redis, runner, redis.password) is None
    said = runner.stream.getvalue()  # type: ignore[attr-defined]
    assert f"is left alone: it is {redis.version[0]}" in said
    assert "cannot be given the settings maxmemory" in said


def test_a_wrong_password_and_a_wrong_port(runner: Runner, redis: Server) -> None:
    short = Wanted("redis", about=Service(within=0.2))
    with pytest.raises(ServiceFailed, match="does not let `` in with the password"):
        take(short, redis, runner, "wrong")
    with pytest.raises(ServiceFailed, match="nothing listens there"):
        take(short, redis, runner, "wrong", 1)
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(Interrupted):
        take_given(short, Given((("127.0.0.1", 1),)), Path("/"), runner, stopping)


def test_a_database_by_its_user_and_password(runner: Runner, job: Job) -> None:
    server = start(Wanted("postgres", "18"), job, runner, threading.Event())
    try:
        there = take(Wanted("postgres", "18"), server, runner, server.password)
        assert there
        assert there.url == server.url
        with pytest.raises(ServiceFailed, match="does not let `postgres` in"):
            take(Wanted("postgres", about=Service(within=0.2)), server, runner, "wrong")
    finally:
        job.remove(server)
