"""Real Redis."""

import shutil
import socket
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cicd.adapters.process import find
from cicd.adapters.runner import Runner
from cicd.adapters.services import place
from cicd.adapters.services import server as driver
from cicd.adapters.services.job import Server
from cicd.adapters.services.server import start
from cicd.adapters.tools import from_wheel
from cicd.core.services import Wanted
from cicd.errors import PortInUse, ServiceFailed
from tests.adapters.servers import job_of

pytestmark = pytest.mark.real


def ask(server: Server, *commands: str) -> list[str]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall("".join(f"{command}\r\n" for command in commands).encode())
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("r") as lines:
            return lines.read().splitlines()


def test_with_settings_a_password_and_a_folder_with_odd_signs(runner: Runner, tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" \\ ü'
    folder.mkdir()
    job = job_of(folder)
    wanted = Wanted("redis", "", {"maxmemory": "64mb", "save": "900 1", "notify-keyspace-events": ""})
    server = start(wanted, job, runner, threading.Event())
    try:
        assert ask(server, "PING")[0].startswith("-NOAUTH")
        asked = ask(server, f"AUTH {server.password}", "CONFIG GET maxmemory", "CONFIG GET save", "PING")
        told = ("67108864", "900 1", "+PONG")
        assert tuple(line for line in asked if line in told) == told
        config = Path(server.folder) / "redis.conf"
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert server.password not in Path(f"/proc/{server.pid}/cmdline").read_text()
        assert b"RUNNER_TEMP" not in Path(f"/proc/{server.pid}/environ").read_bytes()
    finally:
        job.remove(server)
    assert find(server.process) is None
    assert not Path(server.folder).exists()


def test_debians_server_is_a_link_and_goes_by_its_name(runner: Runner, tmp_path: Path) -> None:
    shutil.copy2(from_wheel("redis-server", runner.env), tmp_path / "redis-check-rdb")
    (tmp_path / "redis-server").symlink_to("redis-check-rdb")
    here = replace(runner, env={**runner.env, "PATH": f"{tmp_path}:{runner.env['PATH']}"})
    job = job_of(tmp_path)
    server = start(Wanted("redis"), job, here, threading.Event())
    try:
        assert server.source == "path"
        assert ask(server, f"AUTH {server.password}", "PING") == ["+OK", "+PONG"]
    finally:
        job.remove(server)


def test_a_bad_setting_and_a_version_that_cannot_be_had(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match="maxmemory-policy nonsense"):
        start(Wanted("redis", "", {"maxmemory-policy": "nonsense"}), job_of(tmp_path), runner, threading.Event())
    with pytest.raises(ServiceFailed, match=r"redis 99 cannot be had. Cause: there is .*\d \((wheel|path)\)"):
        start(Wanted("redis", "99"), job_of(tmp_path), runner, threading.Event())


def test_a_port_that_is_taken(runner: Runner, tmp_path: Path, listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(tmp_path)
    with pytest.raises(PortInUse):
        start(Wanted("redis", "", {"port": str(listener)}), job, runner, threading.Event())
    free, offered = place.free_port, [listener]
    monkeypatch.setattr(place, "free_port", lambda: offered.pop() if offered else free())
    server = start(Wanted("redis"), job, runner, threading.Event())
    assert server.port != listener
    job.remove(server)


def test_every_try_finds_the_port_taken(
    runner: Runner, tmp_path: Path, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "free_port", lambda: listener)
    with pytest.raises(ServiceFailed, match="did not get ready"):
        start(Wanted("redis"), job_of(tmp_path), runner, threading.Event())
    assert runner.stream.getvalue().count("already in use") == driver.ATTEMPTS  # type: ignore[attr-defined]


def test_giving_up_when_the_others_have_failed(runner: Runner, tmp_path: Path) -> None:
    stopping, job = threading.Event(), job_of(tmp_path)
    stopping.set()
    with pytest.raises(Exception, match="ended before it was ready"):
        start(Wanted("redis"), job, runner, stopping)
    assert not list(job.folder.glob("redis-*"))
