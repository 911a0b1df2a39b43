"""A slot's file for `docker stack deploy`, made of its Compose form; and why a service cannot run on a swarm.

The stack's format is an older one than Compose's own: each key that it does not know is an error there.
https://docs.docker.com/reference/compose-file/legacy-versions/
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cicd.core.compose import Model, ServiceModel, Shape
from cicd.core.release import digest

VERSION = "3.9"  # the newest that Docker Engine 20.10 knows
LONGEST = 63  # signs of a service's name on a swarm, for it is a DNS label
FIRST_MOVES = {"order": "start-first"}  # when somebody updates it by hand, too

# fmt: off
# As they are, or in another form.
KEPT = (
    "cap_add", "cap_drop", "command", "configs", "credential_spec", "dns", "dns_search", "entrypoint", "environment",
    "extra_hosts", "healthcheck", "hostname", "image", "init", "isolation", "labels", "logging", "networks",
    "read_only", "secrets", "stdin_open", "stop_grace_period", "stop_signal", "sysctls", "tmpfs", "tty", "ulimits",
    "user", "volumes", "working_dir",
)
FOLLOWED = (
    "deploy", "restart", "scale", "cpus", "mem_limit", "mem_reservation", "pids_limit", "shm_size", "env_file",
)
# What says how a container is made or begun by Compose: on a swarm the engine and the image see to it.
IDLE = (
    "attach", "build", "container_name", "depends_on", "develop", "expose", "extends", "external_links", "links",
    "platform", "ports", "profiles", "pull_policy",
)
# fmt: on
DEPLOY = ("mode", "replicas", "labels", "update_config", "rollback_config", "resources", "restart_policy", "placement")
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where a program finds it
MOUNTS = {"volume": ("nocopy",), "tmpfs": ("size",)}
CONDITIONS = {"no": "none", "always": "any", "unless-stopped": "any", "on-failure": "on-failure"}


def stack_problems(model: Model, shape: Shape) -> list[str]:
    """Why service and companions cannot run on a swarm; each names the place."""
    found = []
    for name in (shape.service, *shape.companions):
        service, here = model["services"][name], f"services.{name}"
        known = {*KEPT, *FOLLOWED, *IDLE}
        found += [f"{here}.{key}: a swarm does not know it" for key in sorted(service) if _unknown(service, key, known)]
        longest = service_name(model["name"], name, "green")
        if len(longest) > LONGEST:
            found.append(f"{here}: on a swarm it is called {longest}, which is longer than {LONGEST} signs")
        found += [
            f"{here}.volumes: {mount['source']} is on one machine, and its tasks are not; use `configs`"
            for mount in service.get("volumes") or []
            if mount.get("type") == "bind"
        ]
        if name != shape.service and str((service.get("deploy") or {}).get("mode")).startswith("global"):
            found.append(f"{here}.deploy.mode: a companion never runs twice, and this one would on each node")
        devices = ((service.get("deploy") or {}).get("resources") or {}).get("reservations") or {}
        if devices.get("devices"):
            found.append(f"{here}.deploy.resources.reservations.devices: a swarm knows generic_resources alone")
    return found


def _unknown(service: ServiceModel, key: str, known: set[str]) -> bool:
    return key not in known and not key.startswith("x-") and service[key] not in (None, False, "", [], {})


def stack_name(project: str, slot: str) -> str:
    """What the stack of a slot is called."""
    return f"{project}-{slot}"


def service_name(project: str, service: str, slot: str) -> str:
    """What a service of a slot is called on the swarm, and in its DNS."""
    return f"{stack_name(project, slot)}_{service}-{slot}"


def over_nodes(model: Model) -> dict[str, Any]:
    """The model with its networks made beforehand, for no stack and no project of one node owns them."""
    networks = {name: {"name": _real(model, name), "external": True} for name in model.get("networks") or {}}
    return {**model, "networks": networks}


def own_networks(model: Model) -> dict[str, bool]:
    """The networks that are to be made on the swarm: whether each is internal, by its name there."""
    known = {name: one or {} for name, one in (model.get("networks") or {}).items()}
    return {_real(model, name): bool(one.get("internal")) for name, one in known.items() if not one.get("external")}


def _real(model: Model, name: str) -> str:
    return str((model["networks"][name] or {}).get("name") or f"{model['name']}_{name}")


def on_other_hosts(model: Model, shape: Shape) -> Shape:
    """What runs on each host besides the first: what stands in front of the service, such as the project's nginx.

    That is what waits for the service. A database is there once.
    """
    front, size = {shape.service}, 0
    while len(front) > size:
        size = len(front)
        waits = {name: set(model["services"][name].get("depends_on") or {}) for name in shape.shared}
        front |= {name for name, others in waits.items() if others & front}
    away = tuple(name for name in shape.shared if name not in front)
    shared = tuple(name for name in shape.shared if name in front)
    return Shape(service=shape.service, companions=shape.companions, jobs=(*shape.jobs, *away), shared=shared)


def given_files(slot: Model, settings: Mapping[str, str]) -> dict[str, str]:
    """Files that a stack needs, for it knows no config and no secret whose content is in the file or in a setting."""
    found = {}
    for part in ("configs", "secrets"):
        for name, one in (slot.get(part) or {}).items():
            if one.get("content") is not None:
                found[f"{part}-{name}"] = str(one["content"]).replace("$$", "$")
            elif one.get("environment"):
                found[f"{part}-{name}"] = settings.get(one["environment"], "")
    return found


def stack_file(slot: Model, services: Sequence[str], folder: str) -> dict[str, Any]:
    """The stack with some services of a slot.

    Args:
        slot: the slot's file in the form of Compose, its env files resolved.
        folder: where the files are that given_files names.
    """
    made = {name: _service(slot["services"][name]) for name in services}
    used = {part: _used(made, part) for part in ("networks", "volumes", "configs", "secrets")}
    file: dict[str, Any] = {"version": VERSION, "services": made}
    for part in ("networks", "volumes"):
        known = slot.get(part) or {}
        file[part] = {name: {"name": known[name]["name"], "external": True} for name in used[part]}
    release = next(iter(made.values()))["deploy"]["labels"].get("cicd.release", "")
    for part in ("configs", "secrets"):
        known = slot.get(part) or {}
        file[part] = {name: _given(part, name, known[name], slot["name"], release, folder) for name in used[part]}
    return {key: value for key, value in file.items() if value}


def _used(services: Mapping[str, ServiceModel], part: str) -> list[str]:
    """The names of networks, volumes, configs or secrets that services have."""
    ones = [one for each in services.values() for one in each.get(part) or []]
    if part == "networks":
        return sorted(set(ones))
    return sorted({one["source"] for one in ones if one.get("source") and one.get("type", "volume") == "volume"})


def _given(part: str, name: str, one: Mapping[str, Any], stack: str, release: str, folder: str) -> dict[str, Any]:
    """A config or secret. A swarm never changes one: each release has its own, by a name that is short enough."""
    if one.get("external"):
        return {"name": one.get("name") or name, "external": True}
    file = one.get("file") or f"{folder}/{part}-{name}"
    return {"name": f"cicd-{digest([stack, part, name, release])[-40:]}", "file": file}


def _service(service: ServiceModel) -> dict[str, Any]:
    kept = {key: service[key] for key in KEPT if service.get(key) is not None}
    made = kept | {key: how(kept[key]) for key, how in FORMS.items() if key in kept}
    if service.get("shm_size"):
        shared = {"type": "tmpfs", "target": SHARED_MEMORY, "tmpfs": {"size": int(service["shm_size"])}}
        made["volumes"] = [*made.get("volumes", []), shared]
    return {**made, "deploy": _deploy(service)}


def _deploy(service: ServiceModel) -> dict[str, Any]:
    given = service.get("deploy") or {}
    made = {key: given[key] for key in DEPLOY if given.get(key) is not None}
    if service.get("scale") and "replicas" not in made:
        made["replicas"] = service["scale"]
    if "restart_policy" not in made:
        word, _, most = str(service.get("restart") or "always").partition(":")
        made["restart_policy"] = {"condition": CONDITIONS[word], **({"max_attempts": int(most)} if most else {})}
    if resources := _resources(service, given.get("resources") or {}):
        made["resources"] = resources
    marks = {key: value for key, value in (service.get("labels") or {}).items() if key.startswith("cicd.")}
    made["labels"] = {**(given.get("labels") or {}), **marks}
    made["update_config"] = {**FIRST_MOVES, **(given.get("update_config") or {})}
    return {**made, "endpoint_mode": "dnsrr"}  # the router asks for each task; a virtual address would hide them


def _resources(service: ServiceModel, given: Mapping[str, Any]) -> dict[str, Any]:
    """Limits, in the words of a swarm: Compose has two ways to say them, and numbers where a stack has texts."""
    own = {
        "limits": {"cpus": "cpus", "memory": "mem_limit", "pids": "pids_limit"},
        "reservations": {"memory": "mem_reservation"},
    }
    made = {}
    for part, words in own.items():
        said = {word: service[key] for word, key in words.items() if service.get(key)} | dict(given.get(part) or {})
        made[part] = {key: int(value) if key == "pids" else _text(value) for key, value in said.items()}
    return {part: said for part, said in made.items() if said}


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float | str) else value


def _mount(one: Mapping[str, Any]) -> dict[str, Any]:
    made = {key: one[key] for key in ("type", "source", "target", "read_only", "consistency") if key in one}
    kind = one["type"]
    options = {key: value for key, value in (one.get(kind) or {}).items() if key in MOUNTS.get(kind, ())}
    if "size" in options:
        options["size"] = int(options["size"])
    return {**made, kind: options} if options else made


def _reference(one: Mapping[str, Any]) -> dict[str, Any]:
    """A config or secret that a service is given. Its mode is a number here, and in Compose octal digits in a text."""
    mode = one.get("mode")
    made = {key: value for key, value in one.items() if key in ("source", "target", "uid", "gid") and value is not None}
    return made if mode is None else {**made, "mode": int(mode, 8) if isinstance(mode, str) else mode}


FORMS: Mapping[str, Callable[[Any], Any]] = {
    "networks": list,
    "volumes": lambda given: [_mount(one) for one in given],
    "configs": lambda given: [_reference(one) for one in given],
    "secrets": lambda given: [_reference(one) for one in given],
    "environment": lambda given: {name: str(value) for name, value in given.items() if value is not None},
    "extra_hosts": lambda given: [str(one).replace("=", ":", 1) for one in given],
    "healthcheck": lambda given: {key: value for key, value in given.items() if key != "start_interval"},
}
