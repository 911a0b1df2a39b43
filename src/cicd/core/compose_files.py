"""The files that are made of a project's Compose model: the shared services with the router, and a slot's."""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from cicd.core.compose import Model, ServiceModel, Shape, escaped

# Of the service's own, what its users and neighbours know it by: the router has it in its place.
KNOWN_BY = ("networks", "ports", "container_name", "hostname", "domainname", "labels", "logging")
# Of the router: Docker takes a container that was sent a HUP for one that was stopped by hand, and leaves it so
# if it is `unless-stopped`. https://github.com/moby/moby/issues/41302
RESTART = "always"
# What two slots cannot both have, and what is of the shared services or of a build.
OF_ONE = ("ports", "container_name", "depends_on", "build", "links", "external_links", "scale", "profiles", "develop")


class Network(msgspec.Struct, frozen=True):
    """The network of router and slots. `addresses`: of `router`, `blue` and `green` in it."""

    name: str
    addresses: Mapping[str, str]


class Router(msgspec.Struct, frozen=True, kw_only=True):
    """The router's container.

    Attributes:
        image: an nginx.
        folder: its files, at the same path inside and outside.
        user: `uid:gid` that own them.
        port: that it listens on, which is the service's own.
        published: port of the host, on its loopback address.
    """

    image: str
    folder: str
    user: str
    port: int
    published: int


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """What a slot's services get.

    Attributes:
        name: blue, green; or `run`, for a program that runs once with the release's code and settings.
        image: a name that the host knows.
        settings: all of the release, and its own names.
    """

    name: str
    image: str
    settings: Mapping[str, str]


def base_file(
    model: Model, shape: Shape, router: Router, network: Network, labels: Mapping[str, str]
) -> dict[str, Any]:
    """The shared services, as they are, and the router in the place of the service.

    Args:
        labels: of the router.
    """
    gone = {*shape.companions, *shape.jobs}
    services = {name: _without(model["services"][name], gone) for name in shape.shared}
    services[shape.service] = _router(model["services"][shape.service], router, network, labels)
    networks = {**(model.get("networks") or {}), "cicd": {"name": network.name, "external": True}}
    return {**_rest(model), "name": model["name"], "services": services, "networks": networks}


def _without(service: ServiceModel, gone: set[str]) -> dict[str, Any]:
    """A service that waits no longer for what is not there."""
    waits = {name: how for name, how in (service.get("depends_on") or {}).items() if name not in gone}
    kept = {key: value for key, value in service.items() if key != "depends_on"}
    return {**kept, "depends_on": waits} if waits else kept


def _router(service: ServiceModel, router: Router, network: Network, labels: Mapping[str, str]) -> dict[str, Any]:
    own = {"host_ip": "127.0.0.1", "target": router.port, "published": str(router.published), "protocol": "tcp"}
    ports = [one for one in service.get("ports") or [] if one.get("published") != str(router.published)]
    conf = f"{router.folder}/nginx.conf"
    return {
        "restart": RESTART,
        **{key: service[key] for key in KNOWN_BY if service.get(key) is not None},
        "image": router.image,
        "entrypoint": ["nginx"],
        "command": ["-c", conf, "-g", "daemon off;"],
        "user": router.user,
        "volumes": [{"type": "bind", "source": router.folder, "target": router.folder}],
        "networks": {**(service.get("networks") or {"default": None}), **_place(network, "router")},
        "ports": [*ports, {**own, "mode": "ingress"}],
        "labels": {**_labels(service), **labels},
        "healthcheck": {
            "test": ["CMD", "nginx", "-t", "-q", "-c", conf],
            "interval": "3s",
            "timeout": "3s",
            "retries": 3,
        },
        "stop_signal": "SIGQUIT",
    }


def slot_file(model: Model, shape: Shape, slot: Slot, network: Network, labels: Mapping[str, str]) -> dict[str, Any]:
    """A slot: the service at its address, and its companions, next to the shared services.

    Args:
        labels: of all of them, but for `cicd.role`.
    """
    names = [shape.service, *(() if slot.name == "run" else shape.companions)]
    services = {}
    for name in names:
        role = "companion" if name != shape.service else "run" if slot.name == "run" else "service"
        services[in_slot(name, slot.name)] = _slotted(model["services"][name], slot, {**labels, "cicd.role": role})
    if slot.name in network.addresses:
        services[in_slot(shape.service, slot.name)]["networks"] |= _place(network, slot.name)
    networks = {key: _outside(model["name"], key, one) for key, one in (model.get("networks") or {}).items()}
    volumes = {key: _outside(model["name"], key, one) for key, one in (model.get("volumes") or {}).items()}
    return {
        **_rest(model),
        "name": f"{model['name']}-{slot.name}",
        "services": services,
        "networks": {**networks, "cicd": {"name": network.name, "external": True}},
        "volumes": volumes,
    }


# Signs that YAML knows only by their number. https://yaml.org/spec/1.2.2/#51-character-set
UNPRINTABLE = re.compile("[\\x7f-\\x9f\\u2028\\u2029\\ufeff\\ufffe\\uffff]")


def file_text(file: Mapping[str, Any]) -> str:
    """A made file as Compose can read it: JSON that is YAML, too, which has no number for half a sign (surrogates)."""
    text = json.dumps(file, indent=1, sort_keys=True, ensure_ascii=False)
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def in_slot(service: str, slot: str) -> str:
    """What a service is called in a slot: its plain name is the router's."""
    return f"{service}-{slot}"


def _slotted(service: ServiceModel, slot: Slot, labels: Mapping[str, str]) -> dict[str, Any]:
    once = slot.name == "run"
    left_out = (*OF_ONE, *(("restart", "healthcheck") if once else ()))
    kept = {key: value for key, value in service.items() if key not in left_out}
    made = {
        **kept,
        "image": slot.image,
        "pull_policy": "never",
        "environment": {**(service.get("environment") or {}), **escaped(slot.settings)},
        "labels": {**_labels(service), **labels},
        "networks": {name: _nameless(one) for name, one in (service.get("networks") or {"default": None}).items()},
    }
    return made if once else {"restart": "unless-stopped", **made}


def _nameless(network: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A place in a network without the names and addresses by which the router is known there."""
    known = ("aliases", "ipv4_address", "ipv6_address", "mac_address")
    return {key: value for key, value in network.items() if key not in known} if network else None


def _place(network: Network, who: str) -> dict[str, Any]:
    return {"cicd": {"ipv4_address": network.addresses[who]}}


def _outside(project: str, key: str, one: Mapping[str, Any] | None) -> dict[str, Any]:
    """A network or volume of the base project, as the project of a slot knows it."""
    return {"name": (one or {}).get("name") or f"{project}_{key}", "external": True}


def _labels(service: ServiceModel) -> dict[str, str]:
    return dict(service.get("labels") or {})


def _rest(model: Model) -> dict[str, Any]:
    """What is no service, network or name: volumes, configs, secrets, and what an author has added."""
    return {key: value for key, value in model.items() if key not in ("name", "services", "networks")}
