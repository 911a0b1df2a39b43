"""Parity: in which settings environments differ."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from cicd.core.public_text import looks_secret

Kind = Literal["version", "service", "setting", "secret"]
FailOn = Literal["none", "versions", "services", "any"]
FAIL_ON: tuple[str, ...] = get_args(FailOn)
FAILING: Mapping[str, frozenset[Kind]] = {
    "none": frozenset(),
    "versions": frozenset({"version"}),
    "services": frozenset({"version", "service"}),
    "any": frozenset({"version", "service", "setting"}),
}
PROJECT, CONFIG, TESTS = "(project)", "(cicd.yml)", "tests"  # which no service can be called, nor an environment
HIDDEN, UNKNOWN = "set", "?"  # in place of a value: it is a secret; app-env may have one
APP_ENV = "app-env"  # the setting of a part that has the environment's secret settings as well
VARIABLES = ("environment.", "env.")  # where these would stand
LONGEST = 80  # characters of a value that are shown

Settings = Mapping[str, str]  # of one service: where it stands, such as `healthcheck.interval` → its text
Seen = Mapping[str, Settings]  # of one environment: part → its settings


class Difference(msgspec.Struct, frozen=True):
    """A setting in which environments differ.

    Attributes:
        part: a service, or PROJECT or CONFIG.
        setting: where it stands there; empty: the part as a whole.
        kind: `service`: not all environments have it; `version`: its image; `secret`: all have it, or may have it,
            with values of their own, which is as it should be; `setting`: all else.
        values: for people, by environment; empty: it has none.
    """

    part: str
    setting: str
    kind: Kind
    values: Mapping[str, str]


def flat(value: Any, *where: str) -> dict[str, str]:
    """A JSON-able value as settings, by the path to each. What is empty is not there."""
    return dict(_flat(value, where))


def _flat(value: Any, where: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if value is None or value in ({}, []):
        return
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(one, (*where, str(key)))
        return
    yield ".".join(where), _text(value, where[-1] if where else "")


def _text(value: Any, key: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")  # Compose, YAML and we write 1 in their own ways
    if not isinstance(value, Sequence) or isinstance(value, str):
        return str(value)
    if key in ("command", "entrypoint", "test"):
        return shlex.join(map(str, value))
    return ", ".join(sorted(_item(one, key) for one in value))


def _item(one: Any, key: str) -> str:
    """An item of a list, as people write it."""
    if not isinstance(one, Mapping):
        return _text(one, "")
    if key == "ports":
        published = f"{one['published']}:" if one.get("published") else ""
        host = f"{one['host_ip']}:" if one.get("host_ip") else ""
        return f"{host}{published}{one.get('target')}/{one.get('protocol', 'tcp')}"
    if key == "volumes":
        return f"{one.get('source', one.get('type'))}:{one.get('target')}{':ro' if one.get('read_only') else ''}"
    return " ".join(f"{name}={text}" for name, text in sorted(flat(one).items()))


def compare(seen: Mapping[str, Seen], tested: Mapping[str, str]) -> list[Difference]:
    """All in which environments differ, by part and setting; what the whole project has comes last.

    Args:
        tested: versions of the servers that tests have, by name; empty: any.
    """
    parts = sorted({part for one in seen.values() for part in one}, key=lambda part: (part.startswith("("), part))
    found = [one for part in parts for one in _compare_part(part, seen)]
    older = {(one.part, one.setting): one for one in untested(tested, seen)}
    known = {(one.part, one.setting) for one in found}
    added = [one for place, one in older.items() if place not in known]
    return [*added, *(older.get((one.part, one.setting), one) for one in found)]


def _compare_part(part: str, seen: Mapping[str, Seen]) -> Iterator[Difference]:
    having = {name: one[part] for name, one in seen.items() if part in one}
    if len(having) < len(seen):
        there = {name: having[name].get("image", "yes") if name in having else None for name in seen}
        yield Difference(part, "", "service", {name: shown("image", text) for name, text in there.items()})
    for setting in sorted({setting for one in having.values() for setting in one}):
        values = {name: one.get(setting) for name, one in having.items()}
        if len(set(values.values())) > 1:
            unseen = {name for name, one in having.items() if APP_ENV in one and setting.startswith(VARIABLES)}
            yield _difference(part, setting, values, unseen)


def _difference(part: str, setting: str, values: Mapping[str, str | None], unseen: set[str]) -> Difference:
    """`unseen`: environments in which app-env may have a value."""
    name = setting.rpartition(".")[2]
    texts = {environment: shown(name, text) for environment, text in values.items()}
    hidden = HIDDEN in texts.values()
    if hidden:
        texts = {environment: "" if text is None else HIDDEN for environment, text in values.items()}
    lacking = {environment for environment, text in values.items() if text is None}
    kind: Kind = "version" if setting == "image" else "secret" if hidden and lacking <= unseen else "setting"
    return Difference(part, setting, kind, texts | dict.fromkeys(lacking & unseen, UNKNOWN))


def shown(name: str, text: str | None) -> str:
    """A value for people; HIDDEN for one that is none of their business."""
    if text is None:
        return ""
    if name != "secrets" and looks_secret(name, text):  # which are names there
        return HIDDEN
    line = " ".join(text.split()) or '""'
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def image_parts(image: str) -> tuple[str, str]:
    """What an image is called without the registry's path, and its tag: `docker.io/a/redis:7@sha256:…` → redis, 7."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return name, tag


def floating(seen: Mapping[str, Seen]) -> list[str]:
    """Images that may be another one tomorrow: neither digest nor tag, or the tag `latest`."""
    return [
        f"{part} in {name}: `{shown('image', image)}` floats; give it a version"
        for name, parts in seen.items()
        for part, settings in parts.items()
        if (image := settings.get("image")) and "@" not in image and image_parts(image)[1] in ("", "latest")
    ]


def untested(versions: Mapping[str, str], seen: Mapping[str, Seen]) -> list[Difference]:
    """Servers that run in another version than tests have. `versions`: of the tests' servers, by name."""
    found = []
    for part in sorted({part for one in seen.values() for part in one}):
        images = {name: one[part]["image"] for name, one in seen.items() if "image" in one.get(part, {})}
        for server, version in versions.items():
            tags = [tag for called, tag in map(image_parts, images.values()) if called == server and tag]
            if version and any(not _is_of(tag, version) for tag in tags):
                values = {TESTS: f"{server}:{version}"}
                values |= {name: shown("image", images.get(name)) for name in seen}
                found.append(Difference(part, "image", "version", values))
    return found


def _is_of(tag: str, version: str) -> bool:
    """Whether a tag such as `18.1-alpine` names a version such as `18`, or is less exact than it."""
    numbers = tag.partition("-")[0].split(".")
    wanted = version.split(".")
    least = min(len(numbers), len(wanted))
    return numbers[:least] == wanted[:least]


def failing(differences: Sequence[Difference], fail_on: str) -> list[Difference]:
    """Those that a gate does not let pass."""
    return [one for one in differences if one.kind in FAILING[fail_on]]
