"""`cicd alerts` between a real Alertmanager and LocalHub."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cicd.adapters.webhook import LARGEST, serving
from cicd.commands.alerts import Bridge, address, is_loopback, main
from cicd.errors import UsageError
from tests.commands.site import consumer, free_ports
from tests.core.test_alertmanager import alert, message
from tests.programs import needed
from tests.world import DEVELOPER, ENTRY, NAME, World, hub_of

pytestmark = pytest.mark.real

CALLER = """
on: {repository_dispatch: {types: [cicd-rollback]}}
jobs: {rollback: {runs-on: ubuntu-latest, steps: [{run: "true"}]}}
"""
RULES = """
groups:
- name: releases
  rules:
  - alert: HighErrorRate
    expr: vector(8) > 5
    labels: {environment: staging, release: RELEASE}
    annotations: {summary: "{{ $value }}% errors"}
"""
PROMETHEUS = """
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ["127.0.0.1:PORT"]}]}]}
"""
ALERTMANAGER = """
route: {receiver: rollback, group_wait: 0s, group_interval: 1s, repeat_interval: 1m}
receivers:
- name: rollback
  webhook_configs:
  - {url: 'http://127.0.0.1:PORT/', send_resolved: false, http_config: {authorization: {credentials: the-bearer-token}}}
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "repository").mkdir()
    for app in consumer(tmp_path):
        app.commit("v0")
        place = app.repository / ".github/workflows/rollback.yml"
        place.parent.mkdir()
        place.write_text(CALLER)
        app.commit("v1")
        with hub_of(app) as hub:
            yield World(app, hub)


@contextmanager
def program(argv: list[str], folder: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server of ours or of Debian's, until the block ends."""
    with (folder / f"{Path(argv[0]).name}.log").open("a") as log:
        given = {"PATH": os.environ["PATH"], "HOME": str(folder), **env}
        child = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log, env=given)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)


def queued(world: World) -> list[dict[str, Any]]:
    runs = world.hub.admin("GET", "/runs?status=queued")["runs"]
    return [run for run in runs if run["event"] == "repository_dispatch"]


def test_a_rule_of_prometheus_starts_one_rollback(world: World, tmp_path: Path) -> None:
    first = world.promote()["outputs"]["release"]
    world.app.commit("v2")
    second = world.promote()["outputs"]["release"]
    bridge, manager, server = free_ports(3)
    (tmp_path / "rules.yml").write_text(RULES.replace("RELEASE", f'"{second}"'))
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS.replace("PORT", str(manager)))
    (tmp_path / "alertmanager.yml").write_text(ALERTMANAGER.replace("PORT", str(bridge)))
    ours = [sys.executable, "-I", str(ENTRY), "alerts", "--listen", f"127.0.0.1:{bridge}", "--repository", NAME]
    hub = {"GITHUB_API_URL": world.hub.url, "GITHUB_TOKEN": DEVELOPER, "CICD_ALERTS_TOKEN": "the-bearer-token"}
    alertmanager = [needed("prometheus-alertmanager"), "--config.file=alertmanager.yml", "--storage.path=am"]
    alertmanager += [f"--web.listen-address=127.0.0.1:{manager}", "--cluster.listen-address="]
    prometheus = [needed("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"]
    # An alert that fires before Prometheus has found its Alertmanager is only sent again after this.
    prometheus += [f"--web.listen-address=127.0.0.1:{server}", "--rules.alert.resend-delay=1s"]
    with program(ours, tmp_path, **hub), program(alertmanager, tmp_path), program(prometheus, tmp_path):
        deadline = time.monotonic() + 60
        while not queued(world):
            assert time.monotonic() < deadline, [path.read_text()[-2000:] for path in tmp_path.glob("*.log")]
            time.sleep(0.1)
        time.sleep(2.5)  # two more groups
    runs = queued(world)
    assert len(runs) == 1, "the alert goes on, and is sent once"
    told = runs[0]["inputs"]["client_payload"] if "client_payload" in runs[0]["inputs"] else runs[0]["inputs"]
    payload = json.loads(told) if isinstance(told, str) else told
    assert (payload["environment"], payload["release"], payload["reason"]) == ("staging", second, "8% errors")
    given = ["--if-release", payload["release"], "--alert", payload["alert"], "--reason", payload["reason"]]
    back = world.run("rollback", "--environment", "staging", *given, env={"GITHUB_EVENT_NAME": "repository_dispatch"})
    assert back["outputs"]["release"] == first, back


class Hub:
    """GitHub's answers to a dispatch."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.asked: list[bytes] = []

    def handle(self, body: bytes) -> tuple[int, Any]:
        self.asked.append(body)
        return self.statuses.pop(0), {}


def bridge(hub_port: int) -> Bridge:
    # Its repositories are below `/`, which is the one place that the test's server has.
    return Bridge("acme/shop", f"http://127.0.0.1:{hub_port}/?", "token-of-the-bridge", lambda line: None)


def test_github_that_refuses_is_asked_again_by_alertmanager_and_then_no_more() -> None:
    hub = Hub(503, 401, 204)
    with serving("127.0.0.1", 0, "", hub.handle) as port:
        ours = bridge(port)
        assert [ours.handle(message(alert()))[0] for _ in range(4)] == [502, 502, 200, 200]
        assert len(hub.asked) == 3
    status, told = ours.handle(message(alert(alertname="Other")))
    assert status == 502
    assert "GitHub did not answer" in told["errors"][0]


def test_what_asks_for_nothing_is_told() -> None:
    status, told = bridge(9).handle(message(alert(release="")))
    assert (status, told["asked"]) == (200, 0)
    assert "no label `release`" in told["ignored"][0]
    assert bridge(9).handle(b"hello")[0] == 400


def ask(port: int, method: str = "POST", path: str = "/", body: bytes = b"", **headers: Any) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    return connection.getresponse().status


def test_the_server_takes_what_it_should() -> None:
    with serving("127.0.0.1", 0, "secret", lambda body: (200, len(body))) as port:
        good: dict[str, Any] = {"Authorization": "Bearer secret"}
        assert ask(port, body=b"{}", **good) == 200
        assert ask(port, body=b"{}") == 401
        assert ask(port, body=b"{}", Authorization="Bearer other") == 401
        assert ask(port, path="/other", body=b"{}", **good) == 404
        assert ask(port, Content_Length=str(LARGEST + 1), **good) == 413
        assert ask(port, Content_Length="-1", **good) == 413
        assert ask(port, "GET", "/healthz") == 200
        assert ask(port, "GET", "/") == 404


@pytest.mark.parametrize(
    ("arguments", "env", "why"),
    [
        (["--listen", "9095"], {}, "no ADDRESS:PORT"),
        (["--listen", "127.0.0.1:99999"], {}, "no ADDRESS:PORT"),
        (["--repository", "acme"], {}, "no OWNER/NAME"),
        ([], {"GITHUB_TOKEN": ""}, "no GITHUB_TOKEN"),
        (["--listen", "0.0.0.0:0"], {}, "could roll back"),
    ],
)
def test_what_would_be_useless_or_open_is_refused(
    arguments: list[str],
    env: dict[str, str],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {"GITHUB_TOKEN": "token-of-the-bridge", "CICD_ALERTS_TOKEN": "", **env}.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == UsageError.code
    said = capsys.readouterr()
    assert why in said.err + said.out


def test_a_port_that_is_taken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "token-of-the-bridge")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--listen", f"127.0.0.1:{taken.getsockname()[1]}"]) == UsageError.code
    said = capsys.readouterr()
    assert "Cannot listen" in said.err + said.out


def test_addresses() -> None:
    assert address("[::1]:80") == ("::1", 80)
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1", "evil")] == (
        [True, True, True, False, False, False]
    )
