"""What of an environment is compared: its Compose model and its part of the config, as settings."""

from collections.abc import Mapping
from typing import Any

import msgspec

from cicd.core.compose import Model, Shape
from cicd.core.config import Config, Environment, deploy_of
from cicd.core.parity import APP_ENV, PROJECT, flat

OURS = ("CICD_RELEASE", "CICD_ENVIRONMENT")  # variables that we give
OF_RELEASES = ("image", "build", "pull_policy")  # what each release brings by itself
APART = ("compose", "after", "env", "ports", "folder", "url")  # of an environment: what tells it from others


def of_model(model: Model, parts: Shape, settings: Mapping[str, str], folder: str) -> dict[str, dict[str, str]]:
    """The services of an environment, and what else is in its project.

    A migration job is not among them: cicd migrates, whether there is one or not.

    Args:
        settings: of the config that are public; what runs a release has them.
        folder: of the project; paths below it are told from there.
    """
    model = _plain(model, folder.rstrip("/"))
    running = (parts.service, *parts.companions)
    seen = {}
    for name in (*running, *parts.shared):
        service = {key: value for key, value in model["services"][name].items() if key not in ("networks", "env_file")}
        waits = {
            other: how for other, how in (service.pop("depends_on", None) or {}).items() if other not in parts.jobs
        }
        if name in running:
            service = {key: value for key, value in service.items() if key not in OF_RELEASES}
            own = service.get("environment") or {}
            service["environment"] = {key: value for key, value in {**own, **settings}.items() if key not in OURS}
        networks = model["services"][name].get("networks") or {}
        places = {key: value for key, value in networks.items() if value}
        seen[name] = flat({**service, "depends_on": sorted(waits), "networks": sorted(networks), "network": places})
        if name in running or model["services"][name].get("env_file"):
            seen[name][APP_ENV] = "yes"
    return seen | {PROJECT: _project(model)}


def _project(model: Model) -> dict[str, str]:
    """Networks, volumes, configs and secrets."""
    found: dict[str, str] = {}
    for part in ("networks", "volumes", "configs", "secrets"):
        for key, one in (model.get(part) or {}).items():
            own = {name: value for name, value in (one or {}).items() if value != f"{model.get('name')}_{key}"}
            found |= {f"{part}.{key}": "yes"} | flat(own, part, key)
    return found


def _plain(value: Any, folder: str) -> Any:
    """As the author wrote it: `$` once, paths below the project from there."""
    if isinstance(value, str):
        text = value.replace("$$", "$")
        return f".{text.removeprefix(folder)}" if f"{text}/".startswith(f"{folder}/") else text
    if isinstance(value, Mapping):
        return {key: _plain(one, folder) for key, one in value.items()}
    return [_plain(one, folder) for one in value] if isinstance(value, list) else value


def of_config(config: Config, environment: Environment) -> dict[str, str]:
    """What the config says of an environment, with what it takes over from `deploy`."""
    told = msgspec.to_builtins(environment)
    deploy = msgspec.to_builtins(deploy_of(config, environment))
    rules = {**{key: value for key, value in told.items() if key not in APART}, "watch": deploy["watch"]}
    rules |= {"canary": deploy["canary"], "hosts": len(environment.hosts)}
    if deploy["engine"] == "process":
        rules |= {"env": public_settings(config, environment), APP_ENV: "yes"}
    return flat(rules)


def public_settings(config: Config, environment: Environment) -> dict[str, str]:
    """The settings that the config has for all to read."""
    return {**(config.deploy.env if config.deploy else {}), **environment.env}
