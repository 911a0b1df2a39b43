"""The files made of a Compose model: whatever it says, two slots never get in each other's way."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.compose import Shape, shape
from cicd.core.compose_files import Network, Router, Slot, base_file, in_slot, slot_file
from cicd.core.plan import SLOTS
from tests.core.models import TEXT, models

NETWORK = Network("shop-cicd", {"router": "172.30.0.2", "blue": "172.30.0.10", "green": "172.30.0.11"})
ROUTER = Router(image="nginx:1.29", folder="/srv/shop/router", user="1000:1000", port=8000, published=8300)
ALL = (*SLOTS, "run")


def parts_of(model: dict[str, Any]) -> Shape:
    return shape(model, "api", None)


def base(model: dict[str, Any]) -> dict[str, Any]:
    return base_file(model, parts_of(model), ROUTER, NETWORK, {"cicd.role": "router"})


def slot(model: dict[str, Any], name: str, **settings: str) -> dict[str, Any]:
    made = Slot(name=name, image="cicd/shop:r1", settings=settings)
    return slot_file(model, parts_of(model), made, NETWORK, {"cicd.target": "shop"})


@given(models())
def test_the_base_has_the_shared_services_and_the_router(model: dict[str, Any]) -> None:
    parts, made = parts_of(model), base(model)
    assert set(made["services"]) == {"api", *parts.shared}
    assert made["services"]["api"]["image"] == ROUTER.image
    assert made["name"] == model["name"]


@given(models())
def test_the_base_waits_for_nothing_that_is_not_in_it(model: dict[str, Any]) -> None:
    services = base(model)["services"]
    for one in services.values():
        assert set(one.get("depends_on", {})) <= set(services)


@given(models())
def test_a_shared_service_is_as_the_user_has_it_but_for_whom_it_waits(model: dict[str, Any]) -> None:
    made = base(model)
    for name in parts_of(model).shared:
        changed = {
            key for key in model["services"][name] if made["services"][name].get(key) != model["services"][name][key]
        }
        assert changed <= {"depends_on"}


@given(models())
def test_the_router_has_the_names_and_ports_of_the_service(model: dict[str, Any]) -> None:
    service, router = model["services"]["api"], base(model)["services"]["api"]
    assert router.get("container_name") == service.get("container_name")
    assert {one["published"] for one in service.get("ports", [])} | {"8300"} == {
        one["published"] for one in router["ports"]
    }
    assert all(router["networks"][name] == how for name, how in service.get("networks", {"default": None}).items())
    assert router["networks"]["cicd"] == {"ipv4_address": "172.30.0.2"}


def test_a_port_of_the_router_is_not_published_twice() -> None:
    model = {"name": "shop", "services": {"api": {"image": "x", "ports": [{"target": 8000, "published": "8300"}]}}}
    (port,) = base(model)["services"]["api"]["ports"]
    assert port["published"] == "8300"


@given(models())
def test_a_service_of_a_slot_takes_nothing_that_the_other_slot_needs(model: dict[str, Any]) -> None:
    for name in ALL:
        for one in slot(model, name)["services"].values():
            assert not {"ports", "container_name", "depends_on", "build", "profiles"} & one.keys()
            for place in filter(None, (how for key, how in one["networks"].items() if key != "cicd")):
                assert not {"aliases", "ipv4_address", "ipv6_address", "mac_address"} & place.keys()


@given(models())
def test_slots_share_no_project_no_name_and_no_address(model: dict[str, Any]) -> None:
    blue, green, shared = slot(model, "blue"), slot(model, "green"), base(model)
    assert len({one["name"] for one in (blue, green, shared)}) == 3
    assert not set(blue["services"]) & set(green["services"])
    assert not (set(blue["services"]) | set(green["services"])) & set(shared["services"])
    addresses = [
        place["ipv4_address"]
        for file in (blue, green, shared)
        for one in file["services"].values()
        for key, place in one.get("networks", {}).items()
        if key == "cicd"
    ]
    assert sorted(addresses) == sorted(NETWORK.addresses.values())


@given(models())
def test_a_slot_makes_no_network_and_no_volume(model: dict[str, Any]) -> None:
    made = slot(model, "blue")
    for part in ("networks", "volumes"):
        assert all(one["external"] for one in made[part].values())
    assert made["networks"]["front"]["name"] == "shop_front"
    assert {one["name"] for one in made["volumes"].values()} <= {"shop_data", "theirs"}


@given(models())
def test_companions_are_in_slots_alone_and_not_where_a_program_runs_once(model: dict[str, Any]) -> None:
    companions = parts_of(model).companions
    assert set(slot(model, "blue")["services"]) == {in_slot(one, "blue") for one in ("api", *companions)}
    assert set(slot(model, "run")["services"]) == {"api-run"}


@given(models(), TEXT)
def test_settings_go_before_what_the_file_says(model: dict[str, Any], value: str) -> None:
    for one in slot(model, "green", LOG=value)["services"].values():
        assert one["environment"]["LOG"].replace("$$", "$") == value
        assert (one["image"], one["pull_policy"]) == ("cicd/shop:r1", "never")


@pytest.mark.parametrize(("name", "role"), [("blue", "service"), ("run", "run")])
def test_roles(name: str, role: str) -> None:
    model = {"name": "shop", "services": {"api": {"image": "x"}, "worker": {"image": "x"}}}
    services = slot(model, name)["services"]
    assert services[f"api-{name}"]["labels"]["cicd.role"] == role
    if name == "blue":
        assert services["worker-blue"]["labels"]["cicd.role"] == "companion"


@given(models(), st.sampled_from(ALL))
def test_the_same_gives_the_same_and_the_model_stays(model: dict[str, Any], name: str) -> None:
    before = copy.deepcopy(model)
    assert json.dumps(slot(model, name)) == json.dumps(slot(model, name))
    assert json.dumps(base(model)) == json.dumps(base(model))
    assert model == before
