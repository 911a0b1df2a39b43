"""The texts by which a config describes a service: what is filled in, and what must hold between them."""

import re
import shlex
from collections.abc import Mapping

from cicd.core.config import Service

KNOWN = ("postgres", "redis", "rabbitmq")
TCP = "tcp"
PLACE = re.compile(r"\{([a-z]+)\}")
URL = re.compile(r"https?://[^/\s]+(/\S*)?")
EVERYWHERE = frozenset({"host", "port", "name", "version"})


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with `{name}` replaced by the value of that name; what is no name of ours stays."""
    return PLACE.sub(lambda found: values.get(found[1], found[0]), text)


def fill_command(command: str, values: Mapping[str, str]) -> list[str]:
    """argv: split first, so that what is filled in stays one word."""
    return [fill(word, values) for word in shlex.split(command)]


def is_url(ready: str) -> bool:
    return ready.startswith(("http://", "https://"))


def problems(name: str, service: Service) -> list[str]:
    """What cannot be in the description of one service, each with the path to it."""
    where, known = f"services.{name}", name in KNOWN
    found = [*_missing(name, service), *_texts(name, service)]
    if service.port and not service.image:
        found.append(f"{where}.port: is that of an `image`; a fixed port of this machine goes under settings.port")
    if known and service.command:
        found.append(f"{where}.command: {name} is started by its own program, or by its `image`")
    if known and (service.ready or service.env):
        found.append(f"{where}.{'ready' if service.ready else 'env'}: {name} is known by name and needs none")
    if not known and set(service.settings) - {"port"}:
        found.append(f"{where}.settings: only `port` can be set; the rest goes by `command` and `env`")
    return found


def _missing(name: str, service: Service) -> list[str]:
    where, described = f"services.{name}", bool(service.command or service.image)
    if name in KNOWN:
        return []
    if not described:
        needing = [key for key in ("ready", "env", "exports", "settings") if getattr(service, key)]
        return [f"{where}.{needing[0]}: the service needs a `command` or an `image`"] if needing else []
    found = []
    if not service.ready:
        found.append(f"{where}.ready: is missing: `tcp`, a URL, or a command that ends with 0 when it answers")
    if service.image and not service.port:
        found.append(f"{where}.port: is missing: on which port the image listens")
    return found


def _texts(name: str, service: Service) -> list[str]:
    """Each text has only places that can be filled in there, and commands can be split."""
    where, secret = f"services.{name}", {"password"}
    data = set() if service.image else {"data"}
    url = {"url"} if name in KNOWN else set()
    allowed = {
        "command": (service.command, data),
        "image": (service.image, set()),
        "ready": (service.ready, data),
        **{f"env.{key}": (text, data | secret) for key, text in service.env.items()},
        **{f"exports.{key}": (text, data | secret | url) for key, text in service.exports.items()},
    }
    found = []
    for key, (text, more) in allowed.items():
        unknown = [place for place in PLACE.findall(text) if place not in EVERYWHERE | more]
        found += [f"{where}.{key}: `{{{place}}}` {_why(place)}" for place in unknown]
    return [*found, *(f"{where}.{key}: {why}" for key, why in _unreadable(service))]


def _why(place: str) -> str:
    if place == "password":
        return "would be on a command line, which all can read: give it by `env`"
    if place == "data":
        return "is a folder of this machine, and an image has its own"
    return f"is not known; there are {', '.join(f'{{{one}}}' for one in sorted(EVERYWHERE))}, {{data}} and {{password}}"


def _unreadable(service: Service) -> list[tuple[str, str]]:
    found = []
    for key in ("command", "ready"):
        try:
            shlex.split(getattr(service, key))
        except ValueError:
            found.append((key, "has a quote that is not closed"))
    if is_url(service.ready) and not URL.fullmatch(service.ready):
        found.append(("ready", "is no URL"))
    return found
