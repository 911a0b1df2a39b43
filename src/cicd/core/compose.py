"""What a project's Compose files say, and what of it a deployment can use: decisions over Compose's own JSON model.

The model is what `docker compose config --format json` prints. https://docs.docker.com/reference/compose-file/
"""

import difflib
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from cicd.errors import ConfigError

Model = Mapping[str, Any]
ServiceModel = Mapping[str, Any]
NONE: Mapping[str, Mapping[str, str]] = {}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that the services of a model play.

    Attributes:
        service: has the traffic; runs once per slot.
        companions: run beside it in the slot that has the traffic: workers, cron.
        jobs: run to their end before others start, with the release's image: left out, for cicd migrates.
        shared: all others; run once.
    """

    service: str
    companions: tuple[str, ...]
    jobs: tuple[str, ...]
    shared: tuple[str, ...]


def shape(model: Model, service: str, companions: Sequence[str] | None) -> Shape:
    """Who is who.

    Args:
        companions: names of companions; None: all services of the same image, or built alike.

    Raises:
        ConfigError: one of them is not there.
    """
    services: Model = model.get("services") or {}
    for name in (service, *(companions or ())):
        if name not in services:
            near = difflib.get_close_matches(name, services, n=1)
            raise ConfigError(
                f"The compose files have no service `{name}`",
                cause=f"they have {', '.join(sorted(services)) or 'none at all'}",
                next_step=f"did you mean `{near[0]}`?" if near else "mend deploy.service or deploy.companions",
            )
    alike = [name for name in services if name != service and _made_alike(services[name], services[service])]
    awaited = {
        name
        for each in services.values()
        for name, how in (each.get("depends_on") or {}).items()
        if how.get("condition") == "service_completed_successfully"
    }
    given = [name for name in alike if name not in awaited] if companions is None else list(companions)
    jobs = [name for name in alike if name in awaited and name not in given]
    shared = [name for name in services if name not in (service, *given, *jobs)]
    return Shape(service=service, companions=tuple(given), jobs=tuple(jobs), shared=tuple(shared))


def _made_alike(one: ServiceModel, other: ServiceModel) -> bool:
    image, build = other.get("image"), other.get("build")
    return bool(image and one.get("image") == image) or bool(build and one.get("build") == build)


def port_of(service: ServiceModel, given: int) -> int:
    """The container port that the service answers on. Raises ConfigError if it names none or several."""
    if given:
        return given
    named = [int(str(port).partition("/")[0]) for port in service.get("expose") or [] if _is_number(port)]
    named += [int(port["target"]) for port in service.get("ports") or [] if _is_number(port.get("target", ""))]
    if len(set(named)) == 1:
        return named[0]
    raise ConfigError(
        "It is not clear on which port the service answers",
        cause=f"it names {', '.join(map(str, sorted(set(named))))}" if named else "it has neither `expose` nor `ports`",
        next_step="give its container port with deploy.port",
    )


def _is_number(port: object) -> bool:
    return str(port).partition("/")[0].isdigit()


def problems(model: Model, shape: Shape, port: int) -> list[str]:
    """Why it cannot be deployed; each names the place."""
    services = model["services"]
    service = services[shape.service]
    found = [
        f"services.{name}: programs take such a name for an option; begin it with a letter or digit"
        for name in services
        if name.startswith("-")
    ]
    here = f"services.{shape.service}"
    if service.get("network_mode"):
        found.append(f"{here}.network_mode: two slots cannot both have it; use networks")
    others = sorted({str(one["target"]) for one in service.get("ports") or [] if one.get("target") != port})
    if others:
        found.append(f"{here}.ports: {', '.join(others)} beside {port}: only one port goes through the router")
    found += [
        f"services.{name}.{key}: a companion runs in either slot, and both cannot have it"
        for name in shape.companions
        for key in ("container_name", "ports")
        if services[name].get(key)
    ]
    found += [
        f"services.{name}: it has the image of the release; name it in deploy.companions"
        for name in shape.shared
        if _made_alike(services[name], service)
    ]
    return found


def unbuilt(model: Model, shape: Shape) -> list[str]:
    """Shared services of which there is no image: nobody builds them on a host."""
    services = model["services"]
    return [name for name in shape.shared if services[name].get("build") and not services[name].get("image")]


def several(model: Model, shape: Shape) -> list[str]:
    """Why it cannot be deployed on hosts that are no swarm."""
    service = model["services"][shape.service]
    replicas = service.get("scale") or (service.get("deploy") or {}).get("replicas") or 1
    if replicas == 1:
        return []
    return [
        f"services.{shape.service}: {replicas} replicas; engine `compose` runs one per slot and host (give it more"
        " workers; `swarm` runs several)"
    ]


def outside(model: Model) -> list[str]:
    """Paths of services that lead out of the project's folder: nothing of it would be on the host.

    Args:
        model: with its paths as they are written.
    """
    return sorted({path for path in _paths(model) if posixpath.normpath(path).split("/")[0] == ".."})


def local_paths(model: Model, folder: str) -> list[str]:
    """Paths below `folder` that services are given: bind mounts, env files, configs and secrets; each once."""
    below = folder.rstrip("/") + "/"
    return sorted({path for path in _paths(model) if path.startswith(below)})


def _paths(model: Model) -> Iterator[str]:
    for service in (model.get("services") or {}).values():
        yield from (one["source"] for one in service.get("volumes") or [] if one.get("type") == "bind")
        yield from (one["path"] for one in service.get("env_file") or [])
    for part in ("configs", "secrets"):
        yield from (one["file"] for one in (model.get(part) or {}).values() if one.get("file"))


def relative_paths(model: Model) -> list[str]:
    """Paths that services are given, of a model in which they still count from the project's folder; each once."""
    return sorted({path for path in _paths(model) if not path.startswith(("/", "~")) and "$" not in path})


def relocated(model: Model, places: Mapping[str, str]) -> dict[str, Any]:
    """The model with these paths led elsewhere."""

    def place(path: str) -> str:
        return places.get(path, path)

    services = {}
    for name, service in (model.get("services") or {}).items():
        moved = dict(service)
        if service.get("volumes"):
            moved["volumes"] = [
                {**one, "source": place(one["source"])} if one.get("type") == "bind" else one
                for one in service["volumes"]
            ]
        if service.get("env_file"):
            moved["env_file"] = [{**one, "path": place(one["path"])} for one in service["env_file"]]
        services[name] = moved
    parts = {
        part: {
            name: {**one, "file": place(one["file"])} if one.get("file") else one for name, one in model[part].items()
        }
        for part in ("configs", "secrets")
        if model.get(part)
    }
    return {**model, "services": services, **parts}


def with_env_files(
    model: Model, missing: Sequence[str], settings: Mapping[str, str], others: Mapping[str, Mapping[str, str]] = NONE
) -> dict[str, Any]:
    """The model in which an env file that is not in the checkout is the release's settings.

    What stands under `environment` goes before an env file, as Compose has it.

    Args:
        others: what it is to some services instead, by their names.
    """
    services = {}
    for name, service in model["services"].items():
        files = service.get("env_file") or []
        kept = [one for one in files if one["path"] not in missing]
        services[name] = dict(service)
        if len(kept) < len(files):
            services[name]["env_file"] = kept
            told = escaped(others.get(name, settings))
            services[name]["environment"] = {**told, **(service.get("environment") or {})}
    return {**model, "services": services}


def escaped(settings: Mapping[str, str]) -> dict[str, str]:
    """Values as a compose file has them: a `$` is written twice."""
    return {name: value.replace("$", "$$") for name, value in settings.items()}


def filled(value: Any, words: Mapping[str, str]) -> Any:
    """A JSON-able value in whose texts some words are replaced, such as the id that a release has only later."""
    if isinstance(value, str):
        for word, meaning in words.items():
            value = value.replace(word, meaning)
        return value
    if isinstance(value, Mapping):
        return {key: filled(one, words) for key, one in value.items()}
    return [filled(one, words) for one in value] if isinstance(value, list) else value


def taken_from_environment(model: Model) -> set[str]:
    """Variables that Compose reads when it starts services: secrets that are given by one."""
    parts = [*(model.get("secrets") or {}).values(), *(model.get("configs") or {}).values()]
    return {one["environment"] for one in parts if one.get("environment")}
