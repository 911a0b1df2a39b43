"""The file for `docker stack deploy`: in its own older form, with nothing lost that it knows."""

import json
import subprocess
from pathlib import Path

import pytest

from cicd.core.stack_file import KNOWN, replicas_of, stack_file

FILE = {
    "name": "shop-blue",
    "services": {
        "api-blue": {
            "image": "cicd/shop:1",
            "pull_policy": "never",
            "restart": "unless-stopped",
            "environment": {"A": "1", "B": None, "C": None, "N": 5},
            "labels": {"cicd.role": "service", "cicd.slot": "shop/production/blue", "team": "x"},
            "networks": {"default": None, "cicd": None, "edge": {"aliases": ["other"], "priority": 3}},
            "mem_limit": "67108864",
            "cpus": 0.5,
            "deploy": {"replicas": 3, "placement": {"constraints": ["node.role==worker"]}},
            "healthcheck": {"test": ["CMD", "true"], "interval": "1s", "start_interval": "1s"},
            "volumes": [
                {"type": "volume", "source": "data", "target": "/data", "volume": {}},
                {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": 1000}},
            ],
            "extra_hosts": ["db=10.0.0.1"],
            "command": None,
        },
        "worker-blue": {
            "image": "cicd/shop:1",
            "labels": {"cicd.role": "companion", "cicd.slot": "shop/production/blue"},
            "networks": {"default": None},
            "scale": 2,
        },
    },
    "networks": {
        "cicd": {"name": "shop-cicd", "external": True},
        "default": {"name": "shop_default", "external": True},
    },
    "volumes": {"data": {"name": "shop_data", "external": True}, "unused": {"name": "x", "external": True}},
    "configs": {"conf": {"file": "/srv/conf", "name": "shop_conf", "x-own": 1}},
}
REFERENCE = f"ghcr.io/acme/api@sha256:{'1' * 64}"
IMAGES = {"api-blue": REFERENCE, "worker-blue": REFERENCE}


def test_what_becomes_of_a_service() -> None:
    made = stack_file(FILE, IMAGES, {"B": "two"})
    api = made["services"]["api-blue"]
    assert api["image"] == REFERENCE
    assert api["environment"] == {"A": "1", "B": "two", "N": "5"}
    assert api["networks"] == {"default": None, "cicd": None, "edge": {"aliases": ["other"]}}
    deploy = api["deploy"]
    assert (deploy["replicas"], deploy["endpoint_mode"], deploy["update_config"]) == (
        3,
        "dnsrr",
        {"order": "start-first"},
    )
    assert deploy["resources"] == {"limits": {"memory": "67108864", "cpus": "0.5"}}
    assert deploy["labels"] == {"cicd.role": "service", "cicd.slot": "shop/production/blue"}
    assert api["extra_hosts"] == ["db:10.0.0.1"]
    assert not {"pull_policy", "restart", "mem_limit", "cpus"} & api.keys()
    assert list(made["volumes"]) == ["data"]
    assert made["configs"] == {"conf": {"file": "/srv/conf", "name": "shop_conf"}}
    assert replicas_of(made, "api-blue") == 3


def test_companions_wait_for_the_traffic() -> None:
    waiting, working = (stack_file(FILE, IMAGES, {}, working=each) for each in (False, True))
    assert [replicas_of(each, "worker-blue") for each in (waiting, working)] == [0, 2]
    assert waiting["services"]["api-blue"] == working["services"]["api-blue"]


@pytest.mark.docker
@pytest.mark.real
def test_docker_reads_it(tmp_path: Path) -> None:
    """`docker stack deploy` reads the whole file before it asks an Engine, which there is none of here."""
    path = tmp_path / "stack.json"
    path.write_text(json.dumps(stack_file(FILE, IMAGES, {})))
    done = subprocess.run(
        ["docker", "--host", f"unix://{tmp_path}/none.sock", "stack", "deploy", "--compose-file", str(path), "shop"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "docker daemon" in done.stderr.lower(), done.stderr
    assert "image" in KNOWN
