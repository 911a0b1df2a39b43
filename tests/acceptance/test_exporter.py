"""`cicd exporter` between LocalHub and a real Prometheus."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands.site import free_ports
from tests.programs import needed
from tests.world import ENTRY, NAME, World

pytestmark = pytest.mark.real

CONFIG = """
global: {{scrape_interval: 500ms}}
scrape_configs:
- {{job_name: cicd, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
"""


@contextmanager
def program(argv: list[str], folder: Path, env: dict[str, str]) -> Iterator[None]:
    with (folder / f"{Path(argv[0]).name}.log").open("w") as log:
        child = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log, env=env)
    try:
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) in (0, -signal.SIGTERM)


def get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def until(known: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not known():
        assert time.monotonic() < deadline, [path.read_text()[-2000:] for path in folder.glob("*.log")]
        time.sleep(0.1)


def test_a_release_is_seen_by_prometheus(world: World, tmp_path: Path) -> None:
    first = world.promote()["outputs"]["release"]
    port, server = free_ports(2)
    job = {**world.job(), "CICD_HOME": str(tmp_path / "home"), "CICD_GITHUB_PATIENCE": "5"}
    argv = [sys.executable, "-I", str(ENTRY), "exporter", "--listen", f"127.0.0.1:{port}", "--every", "1"]
    (tmp_path / "prometheus.yml").write_text(CONFIG.format(port=port))
    prometheus = [needed("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"]
    prometheus += [f"--web.listen-address=127.0.0.1:{server}"]

    def scraped() -> str:
        return get(f"http://127.0.0.1:{port}/metrics")

    def found(query: str) -> list[dict[str, str]]:
        asked = urllib.parse.urlencode({"query": query})
        answer = get(f"http://127.0.0.1:{server}/api/v1/query?{asked}")
        return [one["metric"] for one in json.loads(answer)["data"]["result"]] if answer else []

    with program([*argv, "--environments", "staging"], tmp_path, job), program(prometheus, tmp_path, dict(os.environ)):
        until(lambda: first in scraped(), tmp_path)
        promtool = [needed("promtool", "prometheus"), "check", "metrics"]
        checked = subprocess.run(promtool, input=scraped(), capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert 'verdict="stable"' in scraped()
        world.app.commit("v2")
        second = world.promote()["outputs"]["release"]
        until(lambda: bool(found(f'cicd_release_info{{environment="staging",release="{second}"}}')), tmp_path)
        assert found(f'cicd_deployments_total{{kind="promote",verdict="stable",repository="{NAME}"}} == 2')
        assert found("cicd_dora_deployments_per_week > 0")
        assert found("cicd_lock_held_seconds == 0")
        world.hub.stop()
        until(lambda: "cicd_exporter_failures_total 0.0" not in scraped(), tmp_path)
        assert second in scraped(), "what was known stays"


@pytest.mark.parametrize(
    ("given", "why"),
    [(["--every", "0"], "a second at least"), (["--listen", "x"], "ADDRESS:PORT"), (["--repositories", " "], "")],
)
def test_bad_input(given: list[str], why: str, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GITHUB_REPOSITORY": NAME if why else ""}
    argv = [sys.executable, "-I", str(ENTRY), "exporter", *given]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env, timeout=60)
    assert done.returncode == (2 if why else 20), done
    assert why in done.stderr
