"""The file for `docker stack deploy`: in its own older form, with nothing lost that it knows."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.compose import shape
from cicd.core.compose_files import Network, Router, Slot, base_file, file_text, slot_file
from cicd.core.plan import SLOTS
from cicd.core.stack_file import (
    LONGEST,
    given_files,
    on_other_hosts,
    over_nodes,
    own_networks,
    service_name,
    stack_file,
    stack_problems,
)
from tests.core.models import models

REFERENCE = f"ghcr.io/acme/api@sha256:{'1' * 64}"
FILE = {
    "name": "shop-blue",
    "services": {
        "api-blue": {
            "image": REFERENCE,
            "pull_policy": "never",
            "restart": "on-failure:4",
            "environment": {"A": "1", "C": None, "N": 5},
            "labels": {"cicd.role": "service", "cicd.release": "r1", "team": "x"},
            "networks": {"default": None, "edge": {"priority": 3}},
            "mem_limit": "67108864",
            "pids_limit": 50,
            "shm_size": "1048576",
            "deploy": {
                "replicas": 3,
                "placement": {"constraints": ["node.role==worker"]},
                "resources": {"limits": {"cpus": 0.5}, "reservations": {"cpus": 0.1}},
            },
            "healthcheck": {"test": ["CMD", "true"], "interval": "1s", "start_interval": "1s"},
            "volumes": [
                {"type": "volume", "source": "data", "target": "/data", "volume": {}},
                {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1000"}},
            ],
            "configs": [{"source": "conf", "target": "/etc/conf", "mode": "0440"}],
            "secrets": [{"source": "key"}, {"source": "theirs"}],
            "extra_hosts": ["db=10.0.0.1"],
            "command": None,
        },
        "worker-blue": {
            "image": REFERENCE,
            "labels": {"cicd.role": "companion", "cicd.release": "r1"},
            "networks": {"default": None},
            "scale": 2,
            "restart": "no",
        },
    },
    "networks": {
        "cicd": {"name": "shop-cicd", "external": True},
        "default": {"name": "shop_default", "external": True},
        "edge": {"name": "shop_edge", "external": True},
    },
    "volumes": {"data": {"name": "shop_data", "external": True}, "unused": {"name": "x", "external": True}},
    "configs": {"conf": {"content": "costs 5$$", "name": "shop_conf"}, "unused": {"file": "/srv/unused"}},
    "secrets": {"key": {"environment": "KEY"}, "theirs": {"external": True, "name": "of-the-swarm"}},
}


def made(*services: str) -> dict[str, Any]:
    return stack_file(FILE, services or ("api-blue",), "/srv/given")


def test_what_becomes_of_a_service() -> None:
    file = made()
    api = file["services"]["api-blue"]
    assert api["image"] == REFERENCE
    assert api["environment"] == {"A": "1", "N": "5"}
    assert api["networks"] == ["default", "edge"]
    assert api["extra_hosts"] == ["db:10.0.0.1"]
    assert api["healthcheck"] == {"test": ["CMD", "true"], "interval": "1s"}
    assert api["volumes"][1:] == [
        {"type": "tmpfs", "target": "/t", "tmpfs": {"size": 1000}},
        {"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": 1048576}},
    ]
    assert not {"pull_policy", "restart", "mem_limit", "pids_limit", "shm_size", "command"} & api.keys()
    assert (sorted(file["networks"]), list(file["volumes"])) == (["default", "edge"], ["data"])


def test_how_many_of_it_run_where_with_what() -> None:
    deploy = made()["services"]["api-blue"]["deploy"]
    assert (deploy["replicas"], deploy["endpoint_mode"], deploy["update_config"]) == (
        3,
        "dnsrr",
        {"order": "start-first"},
    )
    assert deploy["placement"] == {"constraints": ["node.role==worker"]}
    limits = {"memory": "67108864", "pids": 50, "cpus": "0.5"}
    assert deploy["resources"] == {"limits": limits, "reservations": {"cpus": "0.1"}}
    assert deploy["restart_policy"] == {"condition": "on-failure", "max_attempts": 4}
    assert deploy["labels"] == {"cicd.role": "service", "cicd.release": "r1"}
    worker = made("worker-blue")["services"]["worker-blue"]["deploy"]
    assert (worker["replicas"], worker["restart_policy"]) == (2, {"condition": "none"})


def test_configs_and_secrets_are_of_one_release_and_lie_in_files() -> None:
    file, other = made(), copy.deepcopy(FILE)
    other["services"]["api-blue"]["labels"]["cicd.release"] = "r2"  # type: ignore[index]
    later = stack_file(other, ["api-blue"], "/srv/given")
    for part, name in (("configs", "conf"), ("secrets", "key")):
        (ours, theirs) = (each[part][name] for each in (file, later))
        assert ours["file"] == f"/srv/given/{part}-{name}"
        assert ours["name"] != theirs["name"]  # a swarm never changes one
        assert len(ours["name"]) <= 64
    assert list(file["configs"]) == ["conf"]
    assert file["secrets"]["theirs"] == {"name": "of-the-swarm", "external": True}
    assert file["services"]["api-blue"]["configs"] == [{"source": "conf", "target": "/etc/conf", "mode": 0o440}]
    assert given_files(FILE, {"KEY": "of the settings"}) == {
        "configs-conf": "costs 5$",
        "secrets-key": "of the settings",
    }


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ({"privileged": True}, "services.api.privileged"),
        ({"devices": [{"source": "/dev/x"}]}, "services.api.devices"),
        ({"volumes": [{"type": "bind", "source": "/srv/x", "target": "/x"}]}, "services.api.volumes"),
        ({"deploy": {"resources": {"reservations": {"devices": [{}]}}}}, "services.api.deploy.resources.reservations"),
    ],
)
def test_what_a_swarm_cannot_do(service: dict[str, Any], said: str) -> None:
    model = {"name": "shop", "services": {"api": {"image": "x", **service}}}
    (found,) = stack_problems(model, shape(model, "api", None))
    assert found.startswith(said)


def test_a_companion_of_which_each_node_has_one() -> None:
    everywhere = {"image": "x", "deploy": {"mode": "global"}}
    model = {"name": "shop", "services": {"api": everywhere, "cron": everywhere}}
    (found,) = stack_problems(model, shape(model, "api", ["cron"]))
    assert found.startswith("services.cron.deploy.mode: a companion never runs twice")


def test_a_name_that_no_dns_takes() -> None:
    model = {"name": "s" * 30, "services": {"a" * 30: {"image": "x"}}}
    (found,) = stack_problems(model, shape(model, "a" * 30, None))
    assert f"longer than {LONGEST}" in found


def test_what_stands_in_front_is_on_each_host_and_the_database_on_one() -> None:
    services: dict[str, Any] = {
        "api": {"image": "x", "depends_on": {"db": {}}},
        "db": {"image": "postgres"},
        "edge": {"image": "nginx", "depends_on": {"api": {}}},
        "tls": {"image": "stunnel", "depends_on": {"edge": {}, "db": {}}},
    }
    model = {"name": "shop", "services": services, "networks": {"default": None}}
    parts = on_other_hosts(model, shape(model, "api", None))
    assert parts.shared == ("edge", "tls")
    router = Router(image="nginx", folder="/srv", user="0:0", port=8000, published=8300)
    made = base_file(over_nodes(model), parts, router, Network("shop-cicd", {"router": "172.30.0.2"}), {})
    assert set(made["services"]) == {"api", "edge", "tls"}
    assert made["services"]["tls"]["depends_on"] == {"edge": {}}


def test_networks_are_made_on_the_swarm_but_for_those_of_others() -> None:
    networks = {"default": None, "back": {"name": "b", "internal": True}, "theirs": {"name": "t", "external": True}}
    model = {"name": "shop", "services": {}, "networks": networks}
    assert own_networks(model) == {"shop_default": False, "b": True}
    assert over_nodes(model)["networks"] == {
        name: {"name": real, "external": True}
        for name, real in {"default": "shop_default", "back": "b", "theirs": "t"}.items()
    }


def docker_reads(file: dict[str, Any], folder: Path) -> str:
    """What `docker stack deploy` says of a file: it reads all of it before it misses its Engine."""
    path = folder / "stack.json"
    path.write_text(file_text(file))
    for name in ("configs-conf", "secrets-key"):
        (folder / name).write_text("x")
    argv = ["docker", "--host", f"unix://{folder}/none.sock", "stack", "deploy", "--compose-file", str(path), "shop"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stderr


@pytest.mark.docker
@pytest.mark.real
def test_docker_reads_it(tmp_path: Path) -> None:
    said = docker_reads(stack_file(FILE, list(FILE["services"]), str(tmp_path)), tmp_path)
    assert "docker daemon" in said.lower(), said


@given(models(), st.sampled_from(SLOTS))
def test_any_model_becomes_a_stack_that_takes_nothing_of_the_other_slot(model: dict[str, Any], name: str) -> None:
    before, parts = copy.deepcopy(model), shape(model, "api", None)
    slot = Slot(name=name, image=REFERENCE, settings={})
    network = Network("shop-cicd", {"router": "172.30.0.2"})
    file = slot_file(over_nodes(model), parts, slot, network, {"cicd.target": "shop", "cicd.release": "r1"})
    stack = stack_file(file, list(file["services"]), "/srv/given")
    assert set(stack["services"]) == {f"{one}-{name}" for one in ("api", *parts.companions)}
    assert all(one["external"] for part in ("networks", "volumes") for one in stack.get(part, {}).values())
    assert all(one["deploy"]["endpoint_mode"] == "dnsrr" for one in stack["services"].values())
    assert all(one["deploy"]["labels"]["cicd.release"] == "r1" for one in stack["services"].values())
    assert service_name("shop", "api", name) == f"shop-{name}_api-{name}"
    assert "cicd" not in stack["networks"]  # that is of one host
    assert json.dumps(stack)
    assert model == before
