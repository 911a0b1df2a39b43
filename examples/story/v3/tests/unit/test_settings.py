from __future__ import annotations

import pytest

from assistant.settings import SettingsError, read_settings

LEAST = {"DATABASE_URL": "postgresql://me:secret@db:5432/assistant", "REDIS_URL": "redis://:hidden@cache/0"}


def test_defaults_need_only_the_two_addresses() -> None:
    settings = read_settings(LEAST)
    assert settings.release == "development"
    assert settings.log_level == "INFO"
    assert settings.messages_per_minute == 0


def test_every_setting_is_read() -> None:
    settings = read_settings(
        LEAST
        | {"CICD_RELEASE": "r7", "LOG_LEVEL": "debug", "GREETING": "Hi", "MESSAGES_PER_MINUTE": "9"}
        | {"WORKER_THREADS": "2", "DATABASE_POOL": "3", "DATABASE_POOL_TIMEOUT": "0.5", "HEALTH_TIMEOUT": "2"}
    )
    assert (settings.release, settings.log_level, settings.greeting) == ("r7", "DEBUG", "Hi")
    assert (settings.messages_per_minute, settings.worker_threads, settings.database_pool) == (9, 2, 3)
    assert (settings.database_pool_timeout, settings.health_timeout) == (0.5, 2.0)


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_a_missing_address_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is not set"):
        read_settings(LEAST | {name: ""})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_URL", "nonsense", "is not a database address"),
        ("DATABASE_URL", "mysql://db/assistant", "must name a PostgreSQL database, not mysql"),
        ("LOG_LEVEL", "loud", "must be DEBUG, INFO, WARNING or ERROR, not 'LOUD'"),
        ("TITLE_LENGTH", "7", "must be at least 8, not 7"),
        ("SHOW_USAGE", "maybe", "must be on or off, not 'maybe'"),
        ("MESSAGES_PER_MINUTE", "many", "must be a whole number, not 'many'"),
        ("MESSAGES_PER_MINUTE", "-1", "must be at least 0, not -1"),
        ("DATABASE_POOL", "0", "must be at least 1, not 0"),
        ("WORKER_THREADS", "21", "must not be more than DATABASE_POOL"),
        ("HEALTH_TIMEOUT", "soon", "must be a number of seconds, not 'soon'"),
        ("HEALTH_TIMEOUT", "nan", "must be more than 0 and at most 60 seconds, not nan"),
    ],
)
def test_a_wrong_value_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} {message}"):
        read_settings(LEAST | {name: value})


def test_the_driver_is_ours_and_the_password_is_kept() -> None:
    url = read_settings(LEAST).database_url
    assert url.drivername == "postgresql+psycopg"
    assert url.password == "secret"


def test_secrets_are_not_shown() -> None:
    shown = repr(read_settings(LEAST))
    assert "secret" not in shown
    assert "hidden" not in shown
