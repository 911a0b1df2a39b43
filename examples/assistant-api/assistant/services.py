from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from fastapi import Request
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from assistant.counter import MessageCounter
from assistant.database import Database
from assistant.health import Health
from assistant.settings import Settings


@dataclass(frozen=True)
class Services:
    """Everything that an endpoint may use, built once for each process."""

    settings: Settings
    database: Database
    redis: Redis
    counter: MessageCounter
    health: Health

    def close(self) -> None:
        self.database.close()
        self.redis.close()


def connect(settings: Settings) -> Services:
    """Opens no connection: the first request does, and /health tells whether it can."""
    database = Database(settings)
    redis = connect_redis(settings.redis_url)
    return Services(
        settings=settings,
        database=database,
        redis=redis,
        counter=MessageCounter(redis, settings.messages_per_minute),
        health=Health(database.probe, redis, settings.health_timeout),
    )


def connect_redis(url: str) -> Redis:
    """Tries once more, for an idle connection may be gone. The client's own ten tries hold a request up."""
    again = Retry(NoBackoff(), 1)
    return Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=again)


def services_of(request: Request) -> Services:
    return cast(Services, request.app.state.services)
