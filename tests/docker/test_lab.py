"""The lab is what tests take it for."""

import hashlib
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPMessage
from pathlib import Path

import pytest

from tests.docker.engine import Engine
from tests.docker.host import PORT, Host
from tests.docker.lab import Lab, remove_left_over

Hosts = Callable[[int], list[Host]]
PATIENCE = 30.0  # seconds

COMPOSE = """
name: lab
services:
  api:
    image: {api}
    environment: {{CICD_RELEASE: v1}}
    ports: ["127.0.0.1::8000"]
    depends_on: {{database: {{condition: service_healthy}}, cache: {{condition: service_started}}}}
  database:
    image: {database}
    environment: {{POSTGRES_PASSWORD: secret, POSTGRES_DB: shop}}
    healthcheck: {{test: [CMD, pg_isready, -U, postgres, -d, shop], interval: 1s, retries: 30}}
  cache:
    image: {cache}
"""


def ask(url: str, body: bytes | None = None) -> tuple[bytes, HTTPMessage]:
    """What it answers, as soon as it listens."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=PATIENCE) as answer:
                return answer.read(), answer.headers
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def published(engine: Engine, container: str) -> str:
    return f"http://{engine.docker('port', container, '8000').splitlines()[0]}"


def run(engine: Engine, image: str, *options: str) -> str:
    return engine.docker("run", "--detach", "--publish=127.0.0.1::8000", *options, image)


def test_an_image_comes_from_the_registry_by_digest(lab: Lab, engine: Engine) -> None:
    image = lab.image("v1", revision="c0ffee", env={"CICD_RELEASE": "v1"})
    engine.docker("pull", image)
    about = json.loads(engine.docker("image", "inspect", image))[0]
    assert about["RepoDigests"] == [image]
    assert about["Config"]["Labels"] == {"org.opencontainers.image.revision": "c0ffee"}
    body, headers = ask(published(engine, run(engine, image)))
    assert (json.loads(body)["release"], headers["X-Release"]) == ("v1", "v1")


def test_a_version_has_a_digest_of_its_own_and_always_the_same(lab: Lab) -> None:
    assert lab.image("v1") == lab.image("v1") != lab.image("v2")


def test_what_the_registry_has_forgotten_cannot_be_pulled(lab: Lab, engine: Engine) -> None:
    image = lab.image("gone", "acme/gone")
    lab.registry.forget(image)
    with pytest.raises(RuntimeError, match=r"not found|unknown"):
        engine.docker("pull", image)


def test_the_registry_comes_back_with_what_it_had(lab: Lab, engine: Engine) -> None:
    image = lab.image("kept", "acme/kept")
    lab.registry.down()
    try:
        with pytest.raises(RuntimeError, match="refused"):
            engine.docker("pull", image)
    finally:
        lab.registry.up()
    engine.docker("pull", image)


def test_the_service_finishes_what_is_under_way(lab: Lab, engine: Engine) -> None:
    container = run(engine, lab.image("v1"))
    url = published(engine, container)
    ask(f"{url}/health")
    asked = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    asked.request("GET", "/?seconds=2")
    time.sleep(0.5)  # it is sent, and the service begins with it
    engine.docker("stop", container)
    assert asked.getresponse().status == 200
    assert engine.docker("inspect", "--format={{.State.ExitCode}}", container) == "0"


def test_the_service_misbehaves_as_told(lab: Lab, engine: Engine) -> None:
    sick = run(engine, lab.image("sick", env={"UNHEALTHY": "1"}))
    eats = run(engine, lab.image("eats", env={"EAT_MEMORY": "100"}), "--memory=50m")
    crashes = run(engine, lab.image("crashes", env={"CRASH_AFTER": "0"}))
    # 137: ended for its memory. State.OOMKilled does not always say so: Docker 20.10 may hear of the end first.
    assert engine.docker("wait", eats, crashes).split() == ["137", "1"]
    wait_until(lambda: engine.docker("inspect", "--format={{.State.Health.Status}}", sick) == "unhealthy")


def test_the_service_takes_uploads(lab: Lab, engine: Engine) -> None:
    body = os.urandom(300_000)
    answer, _ = ask(f"{published(engine, run(engine, lab.image('v1')))}/upload", body)
    assert json.loads(answer) == {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}


@pytest.mark.parametrize("size", [5, 300, 70_000])
def test_the_service_talks_by_websocket(lab: Lab, engine: Engine, size: int) -> None:
    url = published(engine, run(engine, lab.image("v1")))
    ask(f"{url}/health")
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as talk, talk.makefile("rb") as heard:
        talk.sendall(b"GET /ws HTTP/1.1\r\nHost: api\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        head = list(iter(heard.readline, b"\r\n"))
        assert head[0].startswith(b"HTTP/1.1 101")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head  # the example of RFC 6455, 1.3
        body, mask = os.urandom(size), b"mask"
        talk.sendall(frame(0x82, len(body), 0x80) + mask + bytes(one ^ mask[at % 4] for at, one in enumerate(body)))
        assert heard.read(len(frame(0x82, size)) + size) == frame(0x82, size) + body


def frame(first: int, size: int, masked: int = 0) -> bytes:
    """The head of a frame of a WebSocket (RFC 6455, 5.2)."""
    if size < 126:
        return bytes([first, masked | size])
    return bytes([first]) + struct.pack(">BH" if size < 65536 else ">BQ", masked | 126 + (size >= 65536), size)


@pytest.mark.parametrize("mode", ["worker", "cron"])
def test_the_same_image_works_in_other_modes(lab: Lab, engine: Engine, mode: str) -> None:
    container = engine.docker("run", "--detach", lab.image("v1"), mode)
    wait_until(lambda: "did a round" in engine.docker("logs", container))
    wait_until(lambda: engine.docker("inspect", "--format={{.State.Health.Status}}", container) == "healthy")
    engine.docker("stop", container)
    assert engine.docker("inspect", "--format={{.State.ExitCode}}", container) == "0"


def test_compose_waits_for_a_service_and_its_database(lab: Lab, engine: Engine, tmp_path: Path) -> None:
    parts = {"database": lab.part("postgres"), "cache": lab.part("redis")}
    (tmp_path / "compose.yml").write_text(COMPOSE.format(api=lab.image("v1"), **parts))
    compose = ["compose", f"--file={tmp_path}/compose.yml"]
    engine.docker(*compose, "up", "--wait", "--wait-timeout=60")
    _, headers = ask(f"http://{engine.docker(*compose, 'port', 'api', '8000')}")
    assert headers["X-Release"] == "v1"
    told = engine.docker(*compose, "exec", "-T", "database", "psql", "-U", "postgres", "-Atc", "select 6 * 7", "shop")
    assert told == "42"
    assert engine.docker(*compose, "exec", "-T", "cache", "redis-cli", "ping") == "PONG"


def test_nginx_runs_as_the_official_image_does(lab: Lab, engine: Engine, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "site.conf").write_text("server { listen 8000; location / { return 200 here; } }")
    volume = f"--volume={tmp_path}:/etc/nginx/conf.d:ro"
    container = run(engine, lab.part("nginx"), volume)
    assert ask(published(engine, container))[0] == b"here"
    (tmp_path / "site.conf").write_text("server { listen 8000; location / { return 200 there; } }")
    engine.docker("exec", container, "nginx", "-s", "reload")
    wait_until(lambda: ask(published(engine, container))[0] == b"there")


def test_hosts_are_apart_and_reach_each_other(lab: Lab, hosts: Hosts) -> None:
    one, two = hosts(2)
    image = lab.image("v1")
    one.ssh("echo mine > /srv/file; echo mine > /tmp/file; echo mine > ~/file")
    assert two.ssh("ls /srv /tmp ~ | grep file || true") == ""
    assert one.path("/srv/file").read_text() == "mine\n"
    one.ssh(f"docker run --detach --publish 8000:8000 --env CICD_RELEASE=v1 {image}")
    assert two.ssh("docker ps --quiet") == ""
    _, headers = ask(f"http://{one.address}:8000/")
    assert headers["X-Release"] == "v1"
    assert '"release": "v1"' in two.ssh(f"busybox wget -q -O - http://{one.address}:8000/")
    assert two.ssh("docker compose version --short").startswith(("2", "5"))


def test_the_key_of_a_host_is_checked(hosts: Hosts) -> None:
    one, two = hosts(2)
    public = two.path("/run/ssh/host.pub").read_text()
    one.known_hosts.write_text(f"[{one.address}]:{PORT} {public}")
    with pytest.raises(RuntimeError, match="verification failed"):
        one.ssh("true")


def test_a_lost_host_is_found_again(hosts: Hosts) -> None:
    one, two = hosts(2)
    one.lose()
    asked = ["ssh", *one.ssh_options, "-oConnectTimeout=1", f"-p{PORT}", f"root@{one.address}", "true"]
    assert subprocess.run(asked, capture_output=True, check=False).returncode == 255
    assert two.ssh("hostname") == f"{two.name}\n"
    one.find()
    wait_until(lambda: one.ssh("hostname", check=False) == f"{one.name}\n")


@pytest.mark.slow  # Docker 20.10 gives a container that it finds running 10 s, and does not see it end before
def test_an_engine_that_crashed_comes_back_with_its_containers(lab: Lab, hosts: Hosts) -> None:
    (host,) = hosts(1)
    host.engine.docker("run", "--detach", "--name=api", "--restart=always", "--publish=8000:8000", lab.image("v1"))
    host.daemon.stop(signal.SIGKILL)
    assert not host.engine.answers()
    host.daemon.start()
    host.daemon.wait()
    ask(f"http://{host.address}:8000/health")


def test_a_swarm_of_two_nodes_forms(lab: Lab, hosts: Hosts) -> None:
    manager, worker = hosts(2)
    manager.ssh(f"docker swarm init --advertise-addr {manager.address}")
    token = manager.ssh("docker swarm join-token --quiet worker").strip()
    worker.ssh(f"docker swarm join --token {token} --advertise-addr {worker.address} {manager.address}:2377")
    assert len(manager.ssh("docker node ls --format '{{.Hostname}} {{.Status}}'").splitlines()) == 2
    published = "--publish published=8000,target=8000,mode=host"
    manager.ssh(f"docker service create --quiet --name api --mode global {published} {lab.image('v1')}")
    for host in (manager, worker):
        ask(f"http://{host.address}:8000/health")


def test_a_lab_that_was_killed_leaves_nothing(lab: Lab, engine: Engine, hosts: Hosts) -> None:
    hosts(1)  # else skipped
    program = (
        "from tests.docker.lab import Lab; lab = Lab(); lab.engine.docker('network', 'create', 'left');"
        "lab.more_hosts(1); print(lab.folder, flush=True); input()"
    )
    nowhere = {"DOCKER_HOST": f"unix://{lab.folder}/none"}  # so it starts an engine of its own
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **nowhere}
    with subprocess.Popen([sys.executable, "-c", program], env=env, stdin=-1, stdout=-1, text=True) as killed:
        assert killed.stdout
        folder = killed.stdout.readline().strip()
        networks = bridges_of(Path(folder))
        assert running(folder)
        assert networks
        killed.kill()
    wait_until(lambda: not running(folder))
    remove_left_over()
    assert not Path(folder).exists()
    left = set(os.listdir("/sys/class/net"))
    assert not {name for name in left if name in networks or name.startswith(f"lab{killed.pid}")}
    assert not [rule for rule in firewall() if any(network in rule for network in networks)]


def bridges_of(folder: Path) -> set[str]:
    """The bridges that its engine has made for networks."""
    engine = Engine(folder / "e" / "run" / "docker.sock", folder / "client")
    return {f"br-{one}" for one in engine.docker("network", "ls", "--quiet", "--filter=type=custom").split()}


def firewall() -> list[str]:
    tables = [["iptables", "-w", "-t", table, "-S"] for table in ("nat", "filter")]
    said = [subprocess.run(argv, capture_output=True, text=True, check=True).stdout for argv in tables]
    return "".join(said).splitlines()


def running(folder: str) -> list[str]:
    return subprocess.run(
        ["pgrep", "-f", f"dockerd.*{folder}"], capture_output=True, text=True, check=False
    ).stdout.split()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.1)
