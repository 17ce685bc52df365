"""taskiq's stream in Redis, kept so that losing Redis or a worker costs seconds and nothing else."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from taskiq import AckableMessage
from taskiq_redis import RedisStreamBroker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_OLDEST: Final = (6, 2)  # XAUTOCLAIM, RESP3
_GREETING_SECONDS: Final = 3
_GROUP: Final = "disqua"
_READ_MILLISECONDS: Final = 2000  # redis-py gives a socket 5 s
_LENGTH: Final = 100_000  # an entry that was read stays until it is trimmed
_AT_ONCE: Final = 16  # what one process has read and not begun is what others cannot take
_DEAD: Final = timedelta(hours=1)
_MILLISECOND: Final = timedelta(milliseconds=1)
_log = structlog.get_logger(__name__)


class RedisUnfit(Exception):
    """Redis cannot be used; the text says why, in one line without a password."""


async def redis_version(url: str) -> str:
    """The version of Redis that answers there; raises RedisUnfit when none does or it is too old."""
    try:
        async with asyncio.timeout(_GREETING_SECONDS), Redis.from_url(url, socket_connect_timeout=2) as redis:
            version: str = (await redis.info("server"))["redis_version"]
    except TimeoutError:
        raise RedisUnfit("it does not answer in time") from None
    except (RedisError, OSError) as error:
        raise RedisUnfit(str(error)) from None
    if tuple(map(int, version.split(".")[:2])) < _OLDEST:
        raise RedisUnfit(f"version {version} is too old, 6.2 is needed")
    return version


class Stream(RedisStreamBroker):
    """A stream with a listener of its own.

    The stock one ends with its connection, and passes on what a dead worker had read only behind a new message.
    """

    def __init__(self, url: str, name: str, *, reclaim: timedelta = timedelta(seconds=15)) -> None:
        """After ``reclaim`` what a worker has read and not acknowledged goes to another one."""
        super().__init__(
            url,
            queue_name=name,
            max_connection_pool_size=80,
            consumer_group_name=_GROUP,
            consumer_id="0",  # "$" would lose what was sent before the first worker came
            maxlen=_LENGTH,
            socket_connect_timeout=2,
            timeout=2,
        )
        self._reclaim = reclaim
        self._look_back_at = 0.0
        self._finished = False

    async def startup(self) -> None:
        """Begin, whether Redis is there or not."""
        with suppress(RedisError, OSError):
            await super().startup()

    async def shutdown(self) -> None:
        """Leave the group, so that no consumer is kept whose name nobody has any more."""
        if self.is_worker_process:
            with suppress(RedisError, OSError):
                async with asyncio.timeout(1), Redis(connection_pool=self.connection_pool) as redis:
                    await redis.xgroup_delconsumer(self.queue_name, _GROUP, self.consumer_name)
        await super().shutdown()

    async def reachable(self) -> bool:
        """Whether Redis answers."""
        try:
            async with asyncio.timeout(1), Redis(connection_pool=self.connection_pool) as redis:
                return bool(await redis.ping())
        except (RedisError, OSError):
            return False

    def finish(self) -> None:
        """Listen no more; a cancellation alone can be lost in redis-py, where it meets the end of a timeout."""
        self._finished = True

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Messages until it is finished; while Redis is away there are none."""
        pause = 0.1
        while not self._finished:
            try:
                async with Redis(connection_pool=self.connection_pool) as redis:
                    for message_id, fields in await self._next(redis):
                        yield AckableMessage(data=fields.get(b"data", b""), ack=partial(self._acknowledge, message_id))
                pause = 0.1
            except (RedisError, OSError) as error:
                _log.warning("the queue is away", stream=self.queue_name, error=type(error).__name__)
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - to be apart from others, not secret
                pause = min(pause * 2, 2.0)
                with suppress(RedisError, OSError):
                    await self._declare_consumer_group()  # a Redis that lost everything lost the group, too

    async def _acknowledge(self, message_id: bytes) -> None:
        """What Redis is not told goes to another worker, who finds nothing left to do."""
        with suppress(RedisError, OSError):
            async with Redis(connection_pool=self.connection_pool) as redis:
                await redis.xack(self.queue_name, _GROUP, message_id)

    async def _next(self, redis: Redis) -> list[tuple[bytes, dict[bytes, bytes]]]:
        if monotonic() >= self._look_back_at:
            self._look_back_at = monotonic() + self._reclaim.total_seconds() / 3
            await self._forget_the_dead(redis)
            idle = round(self._reclaim / _MILLISECOND)
            claimed: Any = await redis.xautoclaim(self.queue_name, _GROUP, self.consumer_name, idle, count=_AT_ONCE)
            left_behind = [(message_id, fields) for message_id, fields in claimed[1] if fields]  # 6.2 tells of trimmed ones, too
            if left_behind:
                return left_behind
        mine: dict[Any, Any] = {self.queue_name: ">"}
        read: Any = await redis.xreadgroup(_GROUP, self.consumer_name, mine, count=_AT_ONCE, block=_READ_MILLISECONDS)
        return [message for _, messages in read or () for message in messages]

    async def _forget_the_dead(self, redis: Redis) -> None:
        for consumer in await redis.xinfo_consumers(self.queue_name, _GROUP):
            if not consumer["pending"] and consumer["idle"] > _DEAD / _MILLISECOND:
                await redis.xgroup_delconsumer(self.queue_name, _GROUP, consumer["name"])
