import pytest

from cicd.adapters.services import SERVICES
from cicd.core.config_rules import parse_config
from cicd.core.service_texts import KNOWN, fill, fill_command
from cicd.core.services import Wanted, wanted_services, will_do
from cicd.errors import ConfigError

CONFIG = """
version: 1
app: shop
services:
  %s
"""
MINIO = "store: {image: 'minio:{version}', version: RELEASE.2025, port: 9000, ready: 'http://{host}:{port}/ok', %s}"


def parsed(service: str) -> list[Wanted]:
    config = parse_config(CONFIG % service, "cicd.yml")
    return wanted_services(config, suite="", services="", settings="")


def test_those_that_are_known_by_name() -> None:
    assert set(KNOWN) == set(SERVICES)


def test_what_is_filled_in_stays_one_word() -> None:
    values = {"port": "80", "data": "/a b/$(c)"}
    assert fill("{port}-{other}-{}-{PORT}", values) == "80-{other}-{}-{PORT}"
    assert fill_command("serve --at '{data}/x' {port}", values) == ["serve", "--at", "/a b/$(c)/x", "80"]


def test_a_described_service_has_any_version() -> None:
    (wanted,) = parsed(MINIO % "env: {ROOT: '{password}'}, exports: {S3_URL: 'http://{host}:{port}'}")
    assert (wanted.version, wanted.about.version, wanted.is_described) == ("RELEASE.2025", "", True)
    (other,) = wanted_services(
        parse_config(CONFIG % (MINIO % "within: 5m"), "x"), suite="", services="store:latest", settings="store.port=81"
    )
    assert (other.version, other.about.within, other.settings) == ("latest", 300, {"port": "81"})


def test_a_server_is_used_again_by_the_words_that_described_it() -> None:
    (one,), (other,) = parsed(MINIO % "within: 10s"), parsed(MINIO % "within: 20s")
    assert will_do(one, (), one)
    assert not will_do(one, (), other)
    assert not will_do(Wanted("store", "other", one.settings, one.about), (), one)


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("x: {command: serve}", "services.x.ready: is missing"),
        ("x: {image: a, ready: tcp}", "services.x.port: is missing"),
        ("x: {ready: tcp}", "services.x.ready: the service needs a `command` or an `image`"),
        ("x: {command: serve, ready: tcp, port: 80}", "services.x.port: is that of an `image`"),
        ("x: {command: 'serve {password}', ready: tcp}", "would be on a command line"),
        ("x: {command: 'serve {prot}', ready: tcp}", r"services.x.command: `\{prot\}` is not known"),
        ("x: {image: 'a', command: 'serve {data}', port: 1, ready: tcp}", "an image has its own"),
        ('x: {command: "serve \'a", ready: tcp}', "services.x.command: has a quote that is not closed"),
        ("x: {command: serve, ready: 'http://'}", "services.x.ready: is no URL"),
        ("x: {command: serve, ready: tcp, exports: {X: '{url}'}}", r"services.x.exports.X: `\{url\}` is not known"),
        ("x: {command: serve, ready: tcp, exports: {X-Y: a}}", "services.x.exports"),
        ("x: {command: serve, ready: tcp, settings: {a: 1}}", "services.x.settings: only `port`"),
        ("redis: {command: serve}", "services.redis.command: redis is started by its own program"),
        ("redis: {image: valkey, ready: tcp}", "services.redis.ready: redis is known by name"),
    ],
)
def test_descriptions_that_cannot_be(service: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parsed(service)
