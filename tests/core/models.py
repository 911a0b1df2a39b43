"""Compose models for tests: as Compose prints them, and made at random."""

from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["api", "worker", "cron", "migrate", "web", "db", "redis", "edge"])
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
OWN_IMAGE = "acme/api:1"


@st.composite
def services(draw: st.DrawFn, name: str, others: list[str]) -> dict[str, Any]:
    """A service as `docker compose config` prints one. The names `api` to `migrate` may have the release's image."""
    release = name in ("api", "worker", "cron", "migrate") and (name == "api" or draw(st.booleans()))
    made: dict[str, Any] = {"image": OWN_IMAGE if release else f"{name}:{draw(st.integers(1, 9))}"}
    waited = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
    if waited:
        conditions = ["service_started", "service_healthy", "service_completed_successfully"]
        made["depends_on"] = {one: {"condition": draw(st.sampled_from(conditions)), "required": True} for one in waited}
    if draw(st.booleans()):
        made["ports"] = [
            {"mode": "ingress", "target": 8000, "published": str(draw(st.integers(1, 65535))), "protocol": "tcp"}
        ]
    if draw(st.booleans()):
        made["container_name"] = f"my-{name}"
    if draw(st.booleans()):
        made["environment"] = draw(st.dictionaries(st.sampled_from(["A", "B", "LOG"]), TEXT))
    if draw(st.booleans()):
        own = {"aliases": [f"{name}.local"], "ipv4_address": "10.0.0.9"}
        made["networks"] = {"back": draw(st.sampled_from([None, own])), "front": None}
    rest = {"restart": "always", "labels": {"team": "a"}, "build": {"context": "/src"}}
    return made | {key: value for key, value in rest.items() if draw(st.booleans())}


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """A project with a service `api`."""
    names = ["api", *draw(st.lists(NAMES.filter(lambda name: name != "api"), unique=True))]
    return {
        "name": "shop",
        "services": {name: draw(services(name, [one for one in names if one != name])) for name in names},
        "networks": {"back": {"name": "shop_back", "ipam": {}}, "front": None, "default": {"name": "shop_default"}},
        "volumes": draw(st.sampled_from([{}, {"data": None}, {"data": {"name": "theirs"}}])),
    }
