"""The file that `docker stack deploy` gets: a slot's Compose file in the older form that Swarm reads.

https://docs.docker.com/reference/compose-file/legacy-versions/ : version 3.8. What that form does not know is left out,
or said in its words: memory and CPUs, and which network a service is in by which name.
"""

from collections.abc import Mapping
from typing import Any

VERSION = "3.8"
KNOWN = frozenset(
    (
        "cap_add", "cap_drop", "command", "configs", "devices", "dns", "dns_search", "domainname", "entrypoint",
        "hostname", "image", "init", "ipc", "labels", "logging", "pid", "read_only", "secrets", "security_opt",
        "shm_size", "stdin_open", "stop_grace_period", "stop_signal", "sysctls", "tmpfs", "tty", "ulimits", "user",
        "working_dir",
    )
)  # fmt: skip
CHECKS = ("test", "interval", "timeout", "retries", "start_period", "disable")
DEPLOYS = ("mode", "replicas", "placement", "resources", "restart_policy", "rollback_config", "update_config")
MOUNTS = ("type", "source", "target", "read_only", "tmpfs")


def stack_file(
    file: Mapping[str, Any], images: Mapping[str, str], settings: Mapping[str, str], *, working: bool = True
) -> dict[str, Any]:
    """A slot's file for `docker stack deploy`.

    Args:
        file: as Compose would get it.
        images: service → image that every node can pull.
        settings: for variables that the file takes from the environment.
        working: whether companions work; they are there, and do nothing, until the traffic comes.
    """
    services = {
        name: _service(one, images[name], settings, working=working or one["labels"]["cicd.role"] == "service")
        for name, one in file["services"].items()
    }
    rest = {key: file[key] for key in ("configs", "secrets") if file.get(key)}
    rest = {key: {name: _file_of(one) for name, one in named.items()} for key, named in rest.items()}
    used = {
        mount["source"] for one in services.values() for mount in one.get("volumes", []) if mount["type"] == "volume"
    }
    volumes = {name: one for name, one in (file.get("volumes") or {}).items() if name in used}
    return {"version": VERSION, "services": services, "networks": file["networks"], "volumes": volumes, **rest}


def _service(one: Mapping[str, Any], image: str, settings: Mapping[str, str], *, working: bool) -> dict[str, Any]:
    kept = {key: value for key, value in one.items() if key in KNOWN and value is not None}
    given = one.get("environment") or {}
    named = {name: settings.get(name) if value is None else value for name, value in given.items()}
    made = {
        **kept,
        "image": image,
        "environment": {name: str(value) for name, value in named.items() if value is not None},
        "networks": {name: _place(place) for name, place in one["networks"].items()},
        "deploy": _deploy(one, working=working),
    }
    if one.get("healthcheck"):
        made["healthcheck"] = {key: value for key, value in one["healthcheck"].items() if key in CHECKS}
    if one.get("volumes"):
        made["volumes"] = [{key: mount[key] for key in MOUNTS if mount.get(key)} for mount in one["volumes"]]
    if one.get("extra_hosts"):
        made["extra_hosts"] = [entry.replace("=", ":", 1) for entry in one["extra_hosts"]]
    if one.get("env_file"):
        made["env_file"] = [entry["path"] for entry in one["env_file"]]
    return made


def _place(place: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A place in a network: an address cannot be chosen for a task."""
    return {"aliases": place["aliases"]} if place and place.get("aliases") else None


def _deploy(one: Mapping[str, Any], *, working: bool) -> dict[str, Any]:
    """How many tasks, where, with what. They are found by name; a new one starts before an old one ends."""
    given = one.get("deploy") or {}
    kept = {key: given[key] for key in DEPLOYS if given.get(key) is not None}
    if kept.get("mode") != "global":
        kept["replicas"] = int(kept.get("replicas") or one.get("scale") or 1) if working else 0
    limits = {**((given.get("resources") or {}).get("limits") or {})}
    if one.get("mem_limit"):
        limits.setdefault("memory", str(one["mem_limit"]))
    if one.get("cpus"):
        limits.setdefault("cpus", str(one["cpus"]))
    if "cpus" in limits:
        limits["cpus"] = str(limits["cpus"])
    if limits:
        kept["resources"] = {**(given.get("resources") or {}), "limits": limits}
    ours = {key: text for key, text in one["labels"].items() if key.startswith("cicd.")}
    labels = {**(given.get("labels") or {}), **ours}
    order = {"order": "start-first", **(kept.get("update_config") or {})}
    return {**kept, "endpoint_mode": "dnsrr", "update_config": order, "labels": labels}


def _file_of(one: Mapping[str, Any]) -> dict[str, Any]:
    """A config or secret: its file, or that it is there already."""
    return {key: one[key] for key in ("name", "file", "external") if one.get(key)}


def replicas_of(file: Mapping[str, Any], service: str) -> int:
    """How many tasks a service of such a file has; 0 for one on each node."""
    return int(file["services"][service]["deploy"].get("replicas", 0))
