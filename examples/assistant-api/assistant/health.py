from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from anyio import CapacityLimiter, create_task_group, move_on_after, to_thread
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger("assistant.health")


@dataclass(frozen=True)
class Check:
    ok: bool
    detail: str
    schema: str | None = None


class Health:
    """Asks the services, each in its own thread and never longer than the time-out."""

    def __init__(self, probe: Engine, redis: Redis, timeout: float) -> None:
        self._checks: dict[str, Callable[[], Check]] = {
            "database": partial(check_database, probe),
            "redis": partial(check_redis, redis),
        }
        self._timeout = timeout
        self._threads = CapacityLimiter(
            4
        )  # apart from the requests' threads: a busy service is not a sick one

    async def ask(self) -> dict[str, Check]:
        answers: dict[str, Check] = {}

        async def ask_one(name: str, check: Callable[[], Check]) -> None:
            answers[name] = Check(ok=False, detail=f"no answer in {self._timeout:g} s")
            with move_on_after(self._timeout):
                answers[name] = await to_thread.run_sync(check, limiter=self._threads, abandon_on_cancel=True)
            if not answers[name].ok:
                log.warning("check failed", extra={"check": name, "error": answers[name].detail})

        async with create_task_group() as tasks:
            for name, check in self._checks.items():
                tasks.start_soon(ask_one, name, check)
        return answers


def check_database(probe: Engine) -> Check:
    try:
        with probe.connect() as connection:
            if not connection.scalar(text("select to_regclass('alembic_version') is not null")):
                return Check(ok=False, detail="no migration was applied")
            schema = connection.scalar(text("select version_num from alembic_version"))
    except SQLAlchemyError as error:
        return Check(ok=False, detail=type(error).__name__)
    return Check(ok=True, detail="ok", schema=schema)


def check_redis(redis: Redis) -> Check:
    try:
        redis.ping()
    except RedisError as error:
        return Check(ok=False, detail=type(error).__name__)
    return Check(ok=True, detail="ok")
