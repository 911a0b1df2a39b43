"""RabbitMQ: the handshake with a broker that is played, and the real one where the machine has it."""

import socket
import struct
import threading
from pathlib import Path

import pytest

from cicd.adapters.process import find
from cicd.adapters.runner import Runner
from cicd.adapters.services import rabbitmq
from cicd.adapters.services.amqp import HEADER, version_of
from cicd.adapters.services.place import Address
from cicd.adapters.services.server import start
from cicd.adapters.services.sources import _programs
from cicd.core.services import Wanted
from cicd.errors import ServiceFailed
from tests.adapters.servers import job_of
from tests.adapters.test_services_described import left

pytestmark = pytest.mark.real


def frame(method: tuple[int, int], arguments: bytes) -> bytes:
    payload = struct.pack(">HH", *method) + arguments
    return struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce"


def table(version: bytes) -> bytes:
    text = b"\x07versionS" + struct.pack(">I", len(version)) + version
    return b"\x00\x09" + struct.pack(">I", len(text)) + text + b"\x00\x00\x00\x05PLAIN\x00\x00\x00\x05en_US"


START = frame((10, 10), table(b"4.1.0"))
TUNE, OPEN_OK = frame((10, 30), b"\x07\xff\x00\x02\x00\x00\x00\x3c"), frame((10, 41), b"\x00")


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (START + TUNE + OPEN_OK, (4, 1, 0)),
        (frame((10, 10), b"\x00\x09") + TUNE + OPEN_OK, ()),
        (START + frame((10, 50), b"\x01\x93\x00"), None),  # ACCESS_REFUSED
        (START, None),  # it hangs up, as RabbitMQ does after a wrong password
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", None),
        (b"AMQP\x00\x01\x00\x00", None),
        (b"\x01\x00\x00\xff\xff\xff\xff", None),
        (b"", None),
    ],
)
def test_the_handshake(said: bytes, version: tuple[int, ...] | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def play() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(said)
                connection.shutdown(socket.SHUT_WR)
                while got := connection.recv(4096):
                    heard.append(got)

        broker = threading.Thread(target=play)
        broker.start()
        address = Address("127.0.0.1", listener.getsockname()[1], "ann", "pw", "/")
        assert version_of(address) == version
        broker.join()
    assert b"".join(heard).startswith(HEADER)
    if version:
        assert b"\0ann\0pw" in b"".join(heard)


@pytest.mark.slow
def test_a_real_one(runner: Runner, tmp_path: Path) -> None:
    here = next(_programs(rabbitmq, runner), None)
    if here is None:
        pytest.skip("no RabbitMQ on this machine")
    job = job_of(tmp_path)
    server = start(Wanted("rabbitmq", str(here.version[0])), job, runner, threading.Event())
    try:
        assert (server.version, server.source) == (here.version, "path")
        address = Address("127.0.0.1", server.port, rabbitmq.USER, server.password, "/")
        assert version_of(address) == here.version
        assert version_of(Address("127.0.0.1", server.port, rabbitmq.USER, "wrong", "/")) is None
        assert version_of(Address("127.0.0.1", server.port, rabbitmq.USER, server.password, "/none")) is None
        assert server.url == f"amqp://cicd:{server.password}@127.0.0.1:{server.port}/%2F"
        assert any("epmd" in Path(f"/proc/{pid}/cmdline").read_text() for pid in left(job.folder))
        with pytest.raises(ServiceFailed, match="did not get ready"):
            start(Wanted("rabbitmq", "", {"no_such_setting": "1"}), job, runner, threading.Event())
    finally:
        job.remove(server)
    assert find(server.process) is None
    assert not left(job.folder)
