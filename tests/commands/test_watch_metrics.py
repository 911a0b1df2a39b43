"""A watch that asks Prometheus: a real one, which scrapes both slots."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicd.adapters.prometheus import Prometheus
from tests.commands.site import Consumer, consumer, free_ports
from tests.commands.users import Users
from tests.programs import needed

pytestmark = pytest.mark.real

SCRAPE = """
global: {{scrape_interval: 500ms}}
scrape_configs:
- job_name: tiny
  static_configs:
  - {{targets: ["127.0.0.1:{blue}"], labels: {{slot: blue}}}}
  - {{targets: ["127.0.0.1:{green}"], labels: {{slot: green}}}}
"""
FAILED = 'sum(increase(orders_total{slot="$slot",result="failed"}[$window]))'
ALL = 'sum(increase(orders_total{slot="$slot"}[$window]))'


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Consumer]:
    (tmp_path / "repository").mkdir()
    for made in consumer(tmp_path):
        made.samples, made.watch = 20, "20s"
        yield made


@pytest.fixture
def prometheus(app: Consumer) -> Iterator[str]:
    """Its URL, for as long as the test lasts."""
    program = needed("prometheus")
    config, port = app.folder / "prometheus.yml", free_ports(1)[0]
    config.write_text(SCRAPE.format(blue=app.ports[1], green=app.ports[2]))
    argv = [program, f"--config.file={config}", f"--storage.tsdb.path={app.folder / 'tsdb'}"]
    with (app.folder / "prometheus.log").open("w") as log:
        server = subprocess.Popen([*argv, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    while Prometheus(url, 5.0).ask("vector(1)")[0] is None:
        assert server.poll() is None, (app.folder / "prometheus.log").read_text()
        time.sleep(0.05)
    yield url
    server.send_signal(signal.SIGTERM)
    server.wait(20)


def limits(url: str, condition: str) -> str:
    return f", metrics: {{url: '{url}', within: 2s, conditions: {{orders: {condition}}}}}"


def share(url: str) -> str:
    return limits(url, f"{{bad: '{FAILED}', of: '{ALL}', share: 1%}}")


def first(app: Consumer) -> None:
    app.samples, app.watch = 2, "400ms"
    result = app.promote(app.commit("v1"))
    assert result.outputs["verdict"] == "stable", result.message
    app.samples, app.watch = 20, "20s"


def test_what_only_prometheus_sees_takes_a_release_back(app: Consumer, prometheus: str) -> None:
    first(app)
    app.limits = share(prometheus)
    with Users(app.ports[0]).running() as people:
        result = app.promote(app.commit("v2", "unhappy"))
    assert result.outputs["verdict"] == "rolled-back", result.message
    assert "orders failed" in result.message
    assert people.lost == []
    assert app.version() == "v1"


def test_a_good_release_is_stable_with_its_figures(app: Consumer, prometheus: str) -> None:
    first(app)
    app.limits, app.watch = share(prometheus), "8s"
    with Users(app.ports[0]).running():
        result = app.promote(app.commit("v2"))
    assert result.outputs["verdict"] == "stable", result.message
    assert "orders failed (0%)" in app.said.getvalue()


def test_a_prometheus_that_is_away_is_told(app: Consumer) -> None:
    first(app)
    app.limits, app.watch = share(f"http://127.0.0.1:{free_ports(1)[0]}"), "1s"
    with Users(app.ports[0]).running():
        result = app.promote(app.commit("v2"))
    assert result.outputs["verdict"] == "stable", result.message
    assert "orders was not judged: Prometheus did not answer" in app.said.getvalue()


def test_a_query_that_prometheus_does_not_understand(prometheus: str) -> None:
    server = Prometheus(prometheus, 5.0)
    for query, number, problem in (
        ("vector(3)", 3.0, ""),
        ("sum(nothing_of_that_name)", None, ""),
        ("0 / 0", None, ""),
        ("sum(", None, "parse error"),
        ("up[1m]", None, "gives a matrix"),
    ):
        told = server.ask(query)
        assert told[0] == number
        assert problem in told[1]
