from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


class SettingsError(Exception):
    """A setting is missing or cannot be understood; the message names it."""


@dataclass(frozen=True)
class Settings:
    database_url: URL = field(repr=False)
    redis_url: str = field(repr=False)
    release: str = "development"
    log_level: str = "INFO"
    greeting: str = "Hello! How can I help?"
    # Messages that one client may send in a minute; 0 counts them and refuses none.
    messages_per_minute: int = 0
    # Few threads serve more requests than many, which contend for the interpreter. They are never more than
    # the connections, so a request that waits for a connection has no hope: it fails soon.
    worker_threads: int = 3
    database_pool: int = 20
    database_pool_timeout: float = 0.02
    health_timeout: float = 1.0


def read_settings(env: Mapping[str, str]) -> Settings:
    default = Settings
    settings = Settings(
        database_url=read_database_url(env),
        redis_url=_required(env, "REDIS_URL"),
        release=env.get("CICD_RELEASE") or default.release,
        log_level=_log_level(env, default.log_level),
        greeting=env.get("GREETING") or default.greeting,
        messages_per_minute=_integer(env, "MESSAGES_PER_MINUTE", default.messages_per_minute, least=0),
        worker_threads=_integer(env, "WORKER_THREADS", default.worker_threads, least=1),
        database_pool=_integer(env, "DATABASE_POOL", default.database_pool, least=1),
        database_pool_timeout=_seconds(env, "DATABASE_POOL_TIMEOUT", default.database_pool_timeout),
        health_timeout=_seconds(env, "HEALTH_TIMEOUT", default.health_timeout),
    )
    if settings.worker_threads > settings.database_pool:
        raise SettingsError("WORKER_THREADS must not be more than DATABASE_POOL")
    return settings


def read_database_url(env: Mapping[str, str]) -> URL:
    """The address with our driver in it, for providers write `postgres://` or `postgresql://`."""
    text = _required(env, "DATABASE_URL")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise SettingsError("DATABASE_URL is not a database address") from None
    if url.get_backend_name() not in {"postgres", "postgresql"}:
        raise SettingsError(f"DATABASE_URL must name a PostgreSQL database, not {url.get_backend_name()}")
    return url.set(drivername="postgresql+psycopg")


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    if not value:
        raise SettingsError(f"{name} is not set: see .env.example")
    return value


def _log_level(env: Mapping[str, str], default: str) -> str:
    level = (env.get("LOG_LEVEL") or default).upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise SettingsError(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {level!r}")
    return level


def _integer(env: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = env.get(name) or str(default)
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{name} must be a whole number, not {text!r}") from None
    if value < least:
        raise SettingsError(f"{name} must be at least {least}, not {value}")
    return value


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        raise SettingsError(f"{name} must be a number of seconds, not {text!r}") from None
    if not 0 < value <= 60:
        raise SettingsError(f"{name} must be more than 0 and at most 60 seconds, not {text}")
    return value
