"""The router for real: two small servers behind nginx."""

import http.client
import http.server
import itertools
import os
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cicd.adapters.routers import nginx
from cicd.adapters.routers.log import Log
from cicd.adapters.routers.nginx import Nginx, on_this_machine
from cicd.adapters.routers.nginx_conf import Manner
from cicd.adapters.routers.nginx_process import NginxProcess
from cicd.adapters.routers.share import Share
from cicd.adapters.runner import Runner
from cicd.adapters.target import Target
from cicd.core.health import PROBE_AGENT
from cicd.core.watch import Answer
from cicd.errors import RouterFailed
from tests.adapters.test_services_job import eventually
from tests.commands.site import Consumer, free_ports

pytestmark = pytest.mark.real


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with its slot and the path that it was asked for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = f"{self.server.slot} {self.path}".encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """A server that takes its threads with it."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, slot: str, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address, Echo)
        self.slot = slot
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()

    def end(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


@pytest.fixture
def shares() -> Iterator[dict[str, Share]]:
    """A server for each slot."""
    servers = [Server(slot) for slot in ("blue", "green")]
    yield {one.slot: Share(one.slot, (f"127.0.0.1:{one.server_port}",), f"{one.slot}-id") for one in servers}
    for server in servers:
        server.end()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Consumer(tmp_path).runner()


@pytest.fixture
def router(tmp_path: Path, runner: Runner, shares: dict[str, Share]) -> Iterator[Nginx]:
    """Ends before the servers: it holds connections to them."""
    made = on_this_machine(Target(tmp_path / "targets", "tiny", "staging"), runner)
    yield made
    made.stop()


def share(of: Share, percent: float) -> Share:
    return Share(of.slot, of.addresses, of.release_id, percent)


def ask(connection: http.client.HTTPConnection, path: str = "/", **headers: str) -> tuple[str, str]:
    """The release that the router names, and the answer."""
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.headers["X-Cicd-Release"], answer.read().decode()


def logged(log: Log, count: int) -> list[Answer]:
    """So many answers; nginx writes a line after its answer is with the client."""
    found: list[Answer] = []
    while len(found) < count:
        found += log.read()
    return found


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=5)


def test_shares_are_by_client_and_told_rightly(router: Nginx, shares: dict[str, Share]) -> None:
    [port] = free_ports(1)
    router.route([share(shares["green"], 25), share(shares["blue"], 75)], port)
    met: dict[str, set[str]] = {}
    with closing(connect(port)) as connection:
        for number in range(2000):
            client = f"10.1.{number % 1000 // 250}.{number % 250}"
            release, answer = ask(connection, X_Forwarded_For=client)
            assert release == f"{answer.split()[0]}-id"
            met.setdefault(client, set()).add(release)
    assert {len(releases) for releases in met.values()} == {1}
    count = Counter(release for releases in met.values() for release in releases)
    assert 200 <= count["green-id"] <= 300, count


def test_another_release_meets_other_users(router: Nginx, shares: dict[str, Share]) -> None:
    [port] = free_ports(1)
    clients, met = [f"10.2.0.{number}" for number in range(200)], []
    for name in ("r1", "r2"):
        router.route([Share("green", shares["green"].addresses, name, 50), share(shares["blue"], 50)], port)
        with closing(connect(port)) as connection:
            met.append({client for client in clients if ask(connection, X_Forwarded_For=client)[0] == name})
    assert met[0] != met[1]


def test_paths_arrive_as_they_were_sent(router: Nginx, shares: dict[str, Share]) -> None:
    [port] = free_ports(1)
    router.route([shares["blue"]], port)
    with closing(connect(port)) as connection:
        for path in ("/a%2Fb?x=%20y&z=+", "/%E2%82%AC", "/a/./b?c=/../d"):
            assert ask(connection, path)[1] == f"blue {path}"


def test_an_idle_connection_still_reaches_the_slot_that_was_left_until_it_is_drained(
    router: Nginx, shares: dict[str, Share]
) -> None:
    [port] = free_ports(1)
    router.route([shares["blue"]], port)
    with closing(connect(port)) as idle, closing(connect(port)) as late:
        ask(idle), ask(late)
        router.route([shares["green"]], port)
        with closing(connect(port)) as fresh:
            assert ask(fresh)[0] == "green-id", "in force when route returns"
        assert ask(idle)[0] == "blue-id"
        router.drain(shares["blue"].addresses, 10)
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(late)


def test_the_log_tells_slots_users_and_our_own_probes(router: Nginx, shares: dict[str, Share]) -> None:
    [port] = free_ports(1)
    mark = router.mark()
    router.route([shares["blue"]], port)
    with closing(connect(port)) as connection:
        ask(connection)
        ask(connection, User_Agent=PROBE_AGENT)
        router.route([shares["green"]], port)
        ask(connection, User_Agent='"}\\')
    log = router.log(mark)
    seen = [(answer.slot, answer.release, answer.status, answer.own) for answer in logged(log, 3)]
    assert seen[:2] == [("blue", "blue-id", 200, False), ("blue", "blue-id", 200, True)]
    assert len(router.recent("blue", "blue-id", 10)) == [slot for slot, _, _, own in seen if not own].count("blue")


def test_a_large_log_begins_anew_at_the_next_switch(
    router: Nginx, shares: dict[str, Share], monkeypatch: pytest.MonkeyPatch
) -> None:
    [port] = free_ports(1)
    monkeypatch.setattr(nginx, "LOG_LIMIT", 10)
    router.route([shares["blue"]], port)
    log = router.log(router.mark())
    with closing(connect(port)) as connection:
        ask(connection)
        assert [answer.slot for answer in logged(log, 1)] == ["blue"]
        mark = router.mark()
        router.route([shares["green"]], port)
        later = router.log(mark)
        with closing(connect(port)) as fresh:
            ask(fresh)
            assert [answer.slot for answer in logged(log, 1)] == ["green"], "it is followed"
            assert [answer.slot for answer in logged(later, 1)] == ["green"]
    assert (router.folder / "access.log.1").exists()
    assert [answer.slot for answer in router.recent("blue", "blue-id", 10)] == ["blue"], "the baseline is still known"


def test_a_configuration_that_nginx_refuses_changes_nothing(router: Nginx, shares: dict[str, Share]) -> None:
    [port] = free_ports(1)
    router.route([shares["blue"]], port)
    with pytest.raises(RouterFailed, match="refuses the configuration"):
        router.route([Share("green", ("no address at all",), "green-id")], port)
    with closing(connect(port)) as connection:
        assert ask(connection)[0] == "blue-id"


def test_closed_it_answers_502_and_names_nobody(router: Nginx, shares: dict[str, Share]) -> None:
    [port] = free_ports(1)
    router.route([shares["blue"]], port)
    router.close()
    with closing(connect(port)) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["X-Cicd-Release"]) == (502, "none")


def test_a_pid_file_that_names_the_nginx_of_another_environment(
    router: Nginx, shares: dict[str, Share], runner: Runner, tmp_path: Path
) -> None:
    """After a reboot its number may be another's, who must not be told to reload, let alone to end."""
    ports = free_ports(2)
    router.route([share(shares["blue"], 100)], ports[0])
    other = on_this_machine(Target(tmp_path / "targets", "tiny", "production"), runner)
    (other.folder / "tmp").mkdir(parents=True)
    (other.folder / "nginx.pid").write_text((router.folder / "nginx.pid").read_text())
    assert not other.runs()
    other.stop()
    assert router.runs()
    other.route([share(shares["green"], 100)], ports[1])
    for port, slot in zip(ports, ("blue", "green"), strict=True):
        with closing(connect(port)) as connection:
            assert ask(connection)[0] == f"{slot}-id"
    other.stop()


def test_slots_that_are_known_by_a_name(tmp_path: Path, shares: dict[str, Share], runner: Runner) -> None:
    """They stay over a switch, and the machine itself may ask each of their tasks by its address."""
    port, look = free_ports(2)
    named = {"blue": "api-blue.invalid:8000", "green": "api-green.invalid:8000"}
    manner = Manner(
        f"127.0.0.1:{port}", user="root" if os.geteuid() == 0 else "", named=named, look=f"127.0.0.1:{look}"
    )
    target = Target(tmp_path / "named", "shop", "production")
    router = Nginx(target, NginxProcess(target.folder / "router", runner), lambda _: manner)
    try:
        router.route([Share("blue", (named["blue"],), "blue-id")], port)
        router.route([Share("green", (named["green"],), "green-id")], port)
        assert "upstream" not in (router.folder / "active.conf").read_text()
        for slot, share in shares.items():
            with closing(http.client.HTTPConnection("127.0.0.1", look)) as connection:
                connection.request("GET", f"/{share.addresses[0]}/health?of=it")
                assert connection.getresponse().read().decode() == f"{slot} /health?of=it"
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            connection.request("GET", "/")
            answer = connection.getresponse()  # nobody is behind the name
            assert (answer.status, answer.headers["X-Cicd-Release"]) == (502, "green-id")
    finally:
        router.stop()


class Names(socketserver.ThreadingUDPServer):
    """A name server: every name stands for `addresses`, and with every other question for one less."""

    def __init__(self, addresses: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.lists = itertools.cycle([addresses, addresses[:-1]])


class Answering(socketserver.BaseRequestHandler):
    """An answer of DNS to a question for the addresses of a name (RFC 1035, 4.1)."""

    server: Names

    def handle(self) -> None:
        asked, way = self.request
        answers = [b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(one) for one in next(self.server.lists)]
        head = asked[:2] + b"\x81\x80\0\1" + len(answers).to_bytes(2, "big") + bytes(4)
        way.sendto(head + asked[12:] + b"".join(answers), self.client_address)


@pytest.fixture
def named(tmp_path: Path, runner: Runner) -> Iterator[tuple[Nginx, int]]:
    """A router to a slot with three tasks, of which one has just come or gone whenever it looks; and its port."""
    port, look, slot = free_ports(3)
    names = Names(["127.0.0.2", "127.0.0.3", "127.0.0.4"])
    thread = threading.Thread(target=names.serve_forever)
    thread.start()
    manner = Manner(
        f"127.0.0.1:{port}",
        user="root" if os.geteuid() == 0 else "",
        named={"blue": f"api-blue:{slot}"},
        look=f"127.0.0.1:{look}",
        resolver=f"127.0.0.1:{names.server_address[1]}",
    )
    target = Target(tmp_path / "named", "shop", "production")
    router = Nginx(target, NginxProcess(target.folder / "router", runner), lambda _: manner)
    router.route([Share("blue", (manner.named["blue"],), "blue-id")], port)
    yield router, slot
    router.stop()
    names.shutdown()
    thread.join()
    names.server_close()


def test_nobody_is_lost_when_tasks_change_while_one_takes_no_connection(named: tuple[Nginx, int]) -> None:
    """As when a node is lost: its task lets everybody wait, and others come up in its place."""
    router, slot = named
    listen, log = router.manner(0).listen, router.folder / "access.log"
    servers = [Server("blue", (address, slot)) for address in ("127.0.0.2", "127.0.0.4")]
    answered, over = Counter[int](), threading.Event()

    def ask_all_the_time() -> None:
        while not over.wait(0.01):
            with closing(http.client.HTTPConnection(listen)) as connection:
                connection.request("GET", "/")
                answered[connection.getresponse().status] += 1

    with socket.create_server(("127.0.0.3", slot), backlog=0) as full, socket.socket() as first:
        first.connect(full.getsockname())  # the queue is full: the kernel leaves the next ones without an answer
        assert eventually(lambda: ask_once(listen) == 200, 60)
        threads = [threading.Thread(target=ask_all_the_time) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            assert eventually(lambda: '"upstream":"504, 502 : 200"' in log.read_text(), 60)
        finally:
            over.set()
            for thread in threads:
                thread.join()
            for server in servers:
                server.end()
    assert set(answered) == {200}, answered


def test_tasks_that_were_all_away_for_a_moment_are_asked_at_once(named: tuple[Nginx, int]) -> None:
    """nginx itself would ask none of them for two seconds."""
    router, slot = named
    listen = router.manner(0).listen
    with three_servers(slot):
        assert eventually(lambda: ask_once(listen) == 200, 60)
    assert ask_once(listen) == 502
    with three_servers(slot):
        assert ask_once(listen) == 200


@contextmanager
def three_servers(port: int) -> Iterator[None]:
    servers = [Server("blue", (f"127.0.0.{last}", port)) for last in (2, 3, 4)]
    try:
        yield
    finally:
        for server in servers:
            server.end()


def ask_once(listen: str) -> int:
    with closing(http.client.HTTPConnection(listen, timeout=30)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().status
