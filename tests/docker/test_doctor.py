"""`cicd doctor` for engine compose: what stands in the way on hosts and in the registry, each with its mend."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from cicd.adapters import docker
from cicd.core.results import Result
from tests.docker.engine import COMPOSE
from tests.docker.host import Host
from tests.docker.lab import Lab
from tests.docker.shop import Shop

pytestmark = pytest.mark.real

Hosts = Callable[[int], list[Host]]


def wrong(result: Result) -> list[tuple[str, str]]:
    """What is wrong: where, and the reason."""
    return [(one["what"], one["reason_code"]) for one in result.data["findings"] if not one["ok"]]


@pytest.mark.slow
def test_hosts_on_which_all_is_well(tmp_path: Path, lab: Lab, hosts: Hosts) -> None:
    shop = Shop(tmp_path, lab, hosts(2))
    before = shop.doctor()
    assert before.message == "all is well", before.answer
    assert "nothing runs here" in before.answer
    shop.promote(shop.release("v1"))
    after = shop.doctor()
    assert after.message == "all is well", after.answer
    assert "what runs is healthy" in after.answer
    for host in shop.hosts:
        for what in ("Docker on", "Docker Compose on", "room on", "asked from"):
            assert f"{what} {host.url}" in after.answer


def test_what_is_wrong_on_hosts_is_said_with_its_mend(
    tmp_path: Path, lab: Lab, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three hosts, three troubles, told at once."""
    well, old, dead = hosts(3)
    shop = Shop(tmp_path, lab, [well, old, dead])
    monkeypatch.setattr(docker, "RESTARTED_WITHIN", 1.0)
    dead.daemon.stop(signal.SIGKILL)
    plugin = old.path("root/.docker/cli-plugins") / COMPOSE
    plugin.unlink()
    plugin.write_text("#!/bin/sh\necho 2.1.0\n")
    plugin.chmod(0o755)
    result = shop.doctor()
    assert wrong(result) == [
        (f"Docker Compose on {old.url}", "tool-missing"),
        (f"Docker on {dead.url}", "host-refused"),
    ]
    assert f"`docker version` on {dead.url}" in result.answer
    assert "docker-compose-plugin" in result.answer
    assert (result.decision, result.reason_code) == ("failed", "tool-missing")


@pytest.mark.slow
def test_a_registry_that_is_away_and_a_host_that_cannot_be_reached(tmp_path: Path, lab: Lab, hosts: Hosts) -> None:
    one, two = hosts(2)
    shop = Shop(tmp_path, lab, [one, two])
    two.sshd_down()
    lab.registry.down()
    try:
        result = shop.doctor()
    finally:
        lab.registry.up()
    repository = f"{lab.registry.address}/acme/api"
    assert wrong(result) == [
        (f"{repository}, asked from this machine", "registry-unavailable"),
        (f"{repository}, asked from {one.url}", "registry-unavailable"),
        (f"Docker on {two.url}", "host-unreachable"),
    ]
    assert result.answer.count("Next:") == 3


def test_services_that_do_not_run_and_files_that_are_not_there(tmp_path: Path, lab: Lab, hosts: Hosts) -> None:
    shop = Shop(tmp_path, lab, hosts(1))
    shop.promote(shop.release("v1"))
    shop.engines[0].docker("stop", "shop-api-1")
    shop.write("docker-compose.yml", "services: {web: {image: x}}\n")
    result = shop.doctor()
    assert wrong(result) == [
        ("the compose files", "config-invalid"),
        ("what runs is healthy", "unhealthy"),
        ("the services that all slots use", "service-failed"),
    ]
    assert "no service `api`" in result.answer
