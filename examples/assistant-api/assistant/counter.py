from __future__ import annotations

import logging
import time

from redis import Redis
from redis.exceptions import RedisError

log = logging.getLogger("assistant.counter")


class MessageCounter:
    """Counts the messages of each client by the minute. Without Redis nobody is refused."""

    def __init__(self, redis: Redis, limit: int) -> None:
        self._redis = redis
        self._limit = limit

    def admit(self, client: str) -> bool:
        try:
            count = self._count(client)
        except RedisError as error:
            log.warning("messages are not counted", extra={"error": str(error)})
            return True
        return self._limit == 0 or count <= self._limit

    def _count(self, client: str) -> int:
        key = f"messages:{client}:{int(time.time() // 60)}"
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, 120)
            count, _ = pipe.execute()
        return int(count)
