from typing import Any

import pytest

from cicd.core.config import Config, Service, Suite
from cicd.core.services import Ancestor, Wanted, job_process, satisfies, wanted_services, will_do
from cicd.errors import CicdError, ConfigError, UnknownSuite, UsageError

KNOWN = ("postgres", "redis")
CONFIG = Config(
    version=1,
    app="shop",
    services={"postgres": Service(version="18", settings={"max_connections": 50, "jit": False}), "redis": None},
    suites={"unit": Suite(run="pytest"), "integration": Suite(run="pytest", needs=["redis"])},
)


def wanted(config: Config | None = None, **given: str) -> list[Wanted]:
    inputs: dict[str, Any] = {"suite": "", "services": "", "settings": "", **given}
    return wanted_services(config, known=KNOWN, **inputs)


def test_without_a_config_the_inputs_say_all() -> None:
    found = wanted(services="postgres:18.1, redis", settings="postgres.fsync = on\n\n  redis.maxmemory=64mb")
    assert found == [Wanted("postgres", "18.1", {"fsync": "on"}), Wanted("redis", "", {"maxmemory": "64mb"})]


def test_without_inputs_all_services_of_the_config() -> None:
    assert wanted(CONFIG) == [Wanted("postgres", "18", {"max_connections": "50", "jit": "no"}), Wanted("redis")]


def test_a_suite_gets_what_it_needs() -> None:
    assert wanted(CONFIG, suite="integration") == [Wanted("redis")]
    assert wanted(CONFIG, suite="unit") == []


def test_an_input_picks_from_the_config_and_overrides_it() -> None:
    found = wanted(CONFIG, suite="integration", services="postgres:15", settings="postgres.jit=on")
    assert found == [Wanted("postgres", "15", {"max_connections": "50", "jit": "on"})]


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"services": "mysql"}, UsageError, "no service `mysql`. Cause: setup-env starts postgres, redis"),
        ({"services": "postgress"}, UsageError, "write `postgres`"),
        ({"services": "postgres:latest"}, UsageError, "`latest` is no version"),
        ({"services": "redis redis:6"}, UsageError, "named twice"),
        ({"services": "redis", "settings": "maxmemory=1"}, UsageError, "`maxmemory=1` is no setting"),
        ({"services": "redis", "settings": "redis.maxmemory"}, UsageError, "is no setting"),
        ({"services": "redis", "settings": "redis.a b=1"}, UsageError, "is no setting"),
        ({"services": "redis", "settings": "postgres.jit=on"}, UsageError, "not started. Cause: this job starts redis"),
    ],
)
def test_bad_inputs(given: dict[str, Any], kind: type[CicdError], message: str) -> None:
    with pytest.raises(kind) as caught:
        wanted(**given)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("services", "message"),
    [
        ({"mysql": Service()}, "services.mysql: there is no service `mysql`"),
        ({"redis": Service(version="new")}, "services.redis.version: `new` is no version"),
        ({"redis": Service(settings={"save": "1\nrequirepass x"})}, "services.redis.settings.save: is no setting"),
    ],
)
def test_bad_config(services: dict[str, Service | None], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        wanted(Config(version=1, app="shop", services=services))


def test_a_suite_that_is_not_there() -> None:
    with pytest.raises(UnknownSuite):
        wanted(CONFIG, suite="e2e")


@pytest.mark.parametrize(
    ("asked", "version", "answer"),
    [
        ("", (15, 18), True),
        ("15", (15, 18), True),
        ("15.18", (15, 18), True),
        ("15.1", (15, 18), False),
        ("1", (15, 18), False),
        ("6.2", (6, 2, 14), True),
    ],
)
def test_versions(asked: str, version: tuple[int, ...], answer: bool) -> None:
    assert satisfies(asked, version) is answer


def test_a_running_server_will_do_with_more_settings_but_not_with_fewer() -> None:
    running = Wanted("postgres", "18", {"jit": "off", "work_mem": "8MB"})
    assert will_do(Wanted("postgres", "18", {"jit": "off"}), (18, 6), running)
    assert will_do(Wanted("postgres"), (18, 6), running)
    assert not will_do(Wanted("postgres", "17"), (18, 6), running)
    assert not will_do(Wanted("postgres", "", {"jit": "on"}), (18, 6), running)
    assert not will_do(Wanted("postgres", "", {"fsync": "on"}), (18, 6), running)


@pytest.mark.parametrize(
    ("names", "leader", "owner"),
    [
        ({90: "bash", 50: "Runner.Worker", 40: "Runner.Listener"}, 90, 50),
        ({90: "bash", 50: "act", 40: "zsh"}, 90, 50),
        ({90: "sh", 50: "make", 40: "zsh", 30: "sshd"}, 40, 40),
        ({90: "pytest", 50: "zsh"}, 99, 90),
        ({}, 1, 0),
    ],
)
def test_whose_end_is_the_end_of_the_job(names: dict[int, str], leader: int, owner: int) -> None:
    assert job_process([Ancestor(pid, name) for pid, name in names.items()], leader) == owner
