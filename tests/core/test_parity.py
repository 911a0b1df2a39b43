"""In which settings environments differ, and what a gate makes of it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.compose import shape
from cicd.core.config_rules import parse_config
from cicd.core.parity import (
    APP_ENV,
    FAIL_ON,
    Difference,
    compare,
    failing,
    flat,
    floating,
    image_parts,
    untested,
)
from cicd.core.parity_seen import of_config, of_model
from cicd.core.parity_summary import lines, markdown, sentence
from tests.core.models import TEXT, models

PARTS = st.sampled_from(["api", "db", "(project)"])
SETTINGS = st.dictionaries(st.sampled_from(["image", "restart", "environment.A", "environment.DB_PASSWORD"]), TEXT)
SEEN = st.dictionaries(PARTS, SETTINGS)
ENVIRONMENTS = st.fixed_dictionaries({"dev": SEEN, "staging": SEEN, "production": SEEN})
HIDDEN = "hunter2"


def places(found: list[Difference]) -> dict[str, str]:
    return {f"{one.part} {one.setting}".strip(): one.kind for one in found}


@given(SEEN)
def test_what_is_alike_does_not_differ(seen: dict[str, Any]) -> None:
    assert compare({"staging": seen, "production": seen}, {}) == []


@given(ENVIRONMENTS)
def test_the_order_of_environments_does_not_matter(seen: dict[str, Any]) -> None:
    turned = dict(reversed(seen.items()))
    assert places(compare(seen, {})) == places(compare(turned, {}))


@given(ENVIRONMENTS)
def test_what_differs_is_found_and_nothing_else(seen: dict[str, Any]) -> None:
    expected = set()
    for part in {part for one in seen.values() for part in one}:
        having = [one[part] for one in seen.values() if part in one]
        expected |= {part} if len(having) < len(seen) else set()
        for setting in {setting for one in having for setting in one}:
            expected |= {f"{part} {setting}"} if len({one.get(setting) for one in having}) > 1 else set()
    assert set(places(compare(seen, {}))) == expected


@given(ENVIRONMENTS, st.sampled_from(FAIL_ON))
def test_a_stricter_gate_lets_no_more_pass(seen: dict[str, Any], fail_on: str) -> None:
    found = compare(seen, {})
    stricter = FAIL_ON[min(FAIL_ON.index(fail_on) + 1, len(FAIL_ON) - 1)]
    assert set(places(failing(found, fail_on))) <= set(places(failing(found, stricter)))
    assert not any(one.kind == "secret" for one in failing(found, "any"))
    assert failing(found, "none") == []


@given(ENVIRONMENTS)
def test_both_tables_name_every_part(seen: dict[str, Any]) -> None:
    found, names = compare(seen, {}), list(seen)
    for one in found:
        assert one.part in lines(names, found)
    assert markdown(names, found, []).count("####") == len({one.part for one in found})


def test_secrets_are_set_or_not_and_their_values_are_nobodys_business() -> None:
    def environment(password: str | None) -> dict[str, dict[str, str]]:
        own = {} if password is None else {"environment.DB_PASSWORD": password}
        return {"db": own | {"command": f"serve --token {password}"}}

    seen = {"dev": environment(f"{HIDDEN}1"), "staging": environment(f"{HIDDEN}2"), "production": environment(None)}
    found = compare(seen, {})
    assert places(found) == {"db command": "secret", "db environment.DB_PASSWORD": "setting"}
    assert found[1].values == {"dev": "set", "staging": "set", "production": ""}
    names = list(seen)
    for told in (
        lines(names, found),
        markdown(names, found, []),
        json.dumps([msgspec.to_builtins(one) for one in found]),
    ):
        assert HIDDEN not in told


def test_what_app_env_may_have_is_not_known() -> None:
    seen = {
        "dev": {"api": {"environment.DB_PASSWORD": "x", "environment.LEVEL": "DEBUG", APP_ENV: "yes"}},
        "production": {"api": {APP_ENV: "yes"}},
    }
    found = compare(seen, {})
    assert places(found) == {"api environment.DB_PASSWORD": "secret", "api environment.LEVEL": "setting"}
    assert [one.values["production"] for one in found] == ["?", "?"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("postgres", ("postgres", "")),
        ("postgres:18", ("postgres", "18")),
        ("localhost:5000/a/redis:7@sha256:0", ("redis", "7")),
        ("localhost:5000/redis", ("redis", "")),
    ],
)
def test_names_of_images(image: str, expected: tuple[str, str]) -> None:
    assert image_parts(image) == expected


def test_images_that_float() -> None:
    images = {"a": "redis", "b": "redis:latest", "c": "redis:8", "d": "redis@sha256:0"}
    seen = {"dev": {part: {"image": image} for part, image in images.items()}}
    assert [note.partition(" ")[0] for note in floating(seen)] == ["a", "b"]


@pytest.mark.parametrize(
    ("version", "image", "differs"),
    [
        ("18", "postgres:18", False),
        ("18", "postgres:18.1-alpine", False),
        ("18.1", "postgres:18", False),
        ("17", "postgres:18", True),
        ("1", "postgres:18", True),
        ("17", "postgres", False),
        ("", "postgres:18", False),
        ("17", "redis:8", False),
    ],
)
def test_tests_have_the_version_that_runs(version: str, image: str, differs: bool) -> None:
    seen = {"staging": {"db": {"image": image}}, "production": {}}
    found = untested({"postgres": version}, seen)
    assert bool(found) is differs
    if differs:
        assert found[0].values == {"tests": f"postgres:{version}", "staging": image, "production": ""}


def test_a_version_that_differs_from_two_sides_is_told_once() -> None:
    seen = {"staging": {"db": {"image": "postgres:17"}}, "production": {"db": {"image": "postgres:18"}}}
    (found,) = compare(seen, {"postgres": "18"})
    assert found.kind == "version"
    assert found.values == {"tests": "postgres:18", "staging": "postgres:17", "production": "postgres:18"}


def test_settings_by_their_path() -> None:
    told = flat(
        {
            "command": ["sh", "-c", "a b"],
            "ports": [{"host_ip": "::1", "published": "80", "target": 8000, "protocol": "udp"}, {"target": 9}],
            "volumes": [
                {"type": "bind", "source": "./c", "target": "/c", "read_only": True},
                {"type": "tmpfs", "target": "/t"},
            ],
            "deploy": {"placement": {}, "resources": {"limits": {"cpus": 1.0}}},
            "read_only": True,
            "environment": {"EMPTY": "", "NONE": None},
        }
    )
    assert told == {
        "command": "sh -c 'a b'",
        "ports": "9/tcp, ::1:80:8000/udp",
        "volumes": "./c:/c:ro, tmpfs:/t",
        "deploy.resources.limits.cpus": "1",
        "read_only": "true",
        "environment.EMPTY": "",
    }


MODEL: dict[str, Any] = {
    "name": "shop",
    "services": {
        "api": {
            "image": "acme/api:1",
            "build": {"context": "/src"},
            "environment": {"LEVEL": "INFO", "PRICE": "5$$"},
            "depends_on": {
                "migrate": {"condition": "service_completed_successfully"},
                "db": {"condition": "service_started"},
            },
            "volumes": [{"type": "bind", "source": "/src/certs", "target": "/c"}],
            "networks": {"default": None, "back": {"aliases": ["www"]}},
        },
        "migrate": {"image": "acme/api:1"},
        "db": {"image": "postgres:18", "env_file": [{"path": "/src/.env.prod"}]},
    },
    "networks": {"default": {"name": "shop_default", "ipam": {}}, "back": {"internal": True}},
    "volumes": {"data": None},
}


def test_what_of_a_model_is_compared() -> None:
    seen = of_model(MODEL, shape(MODEL, "api", None), {"LEVEL": "DEBUG", "CICD_RELEASE": "x"}, "/src")
    assert seen["api"] == {
        "environment.LEVEL": "DEBUG",  # the config's, as in a slot
        "environment.PRICE": "5$",
        "depends_on": "db",
        "volumes": "./certs:/c",
        "networks": "back, default",
        "network.back.aliases": "www",
        APP_ENV: "yes",
    }
    assert seen["db"] == {"image": "postgres:18", APP_ENV: "yes"}
    assert "migrate" not in seen
    assert seen["(project)"] == {
        "networks.default": "yes",
        "networks.back": "yes",
        "networks.back.internal": "true",
        "volumes.data": "yes",
    }


@given(models())
def test_every_service_but_jobs_is_compared(model: dict[str, Any]) -> None:
    parts = shape(model, "api", None)
    seen = of_model(model, parts, {}, "/src")
    assert set(seen) == {"api", *parts.companions, *parts.shared, "(project)"}
    assert all("image" not in seen[name] for name in ("api", *parts.companions))


CONFIG = """
version: 1
app: shop
deploy: {run: serve, env: {LEVEL: INFO}, watch: {for: 60s}}
environments:
  dev: {ports: {router: 1, blue: 2, green: 3}, env: {LEVEL: DEBUG}, watch: {for: 1s}}
  production: {after: dev, ports: {router: 4, blue: 5, green: 6}, approval: required}
"""


def test_what_of_the_config_is_compared() -> None:
    config = parse_config(CONFIG, "cicd.yml")
    seen = {name: {"(cicd.yml)": of_config(config, one)} for name, one in config.environments.items()}
    found = compare(seen, {})
    assert {one.setting: tuple(one.values.values()) for one in found} == {
        "approval": ("none", "required"),
        "env.LEVEL": ("DEBUG", "INFO"),
        "watch.for": ("1", "60"),
    }


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], "a, b do not differ"),
        (["secret"], "a, b do not differ"),
        (["version"], "a, b differ in 1 version of an image"),
        (["version", "version", "setting"], "a, b differ in 2 versions of images and 1 setting"),
        (
            ["version", "service", "setting"],
            "a, b differ in 1 version of an image, 1 service that not all have and 1 setting",
        ),
    ],
)
def test_how_much_differs(kinds: list[Any], expected: str) -> None:
    assert sentence(["a", "b"], [Difference("p", "s", kind, {}) for kind in kinds]) == expected
