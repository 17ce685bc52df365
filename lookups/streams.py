"""taskiq's streams in Redis, with the settings under which losing Redis costs seconds and nothing else."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from taskiq_redis import RedisStreamBroker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from taskiq import AckableMessage

_GROUP: Final = "disqua"
_READ_SECONDS: Final = 2.0  # less than redis-py's patience with a socket, which is 5 s
_RECLAIM_SECONDS: Final = 15.0
_LENGTH: Final = 100_000  # an entry that is read stays until it is trimmed
_AT_ONCE: Final = 16  # what one process reads and has not begun is what others wait for
_DEAD_SECONDS: Final = 3600.0
_log = structlog.get_logger(__name__)


class Stream(RedisStreamBroker):
    """One stream that outlives Redis's absence: stock, its listener dies with the first connection."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(
            url,
            queue_name=name,
            max_connection_pool_size=16,
            consumer_group_name=_GROUP,
            consumer_id="0",  # "$" would lose what was sent before the first worker came
            xread_block=round(_READ_SECONDS * 1000),
            xread_count=_AT_ONCE,
            idle_timeout=round(_RECLAIM_SECONDS * 1000),
            unacknowledged_lock_timeout=30,
            maxlen=_LENGTH,
            socket_connect_timeout=2,
            timeout=2,
        )

    async def startup(self) -> None:
        """Begin, whether Redis is there or not."""
        with suppress(RedisError, OSError):
            await super().startup()

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Messages without end; while Redis is away there are none."""
        pause = 0.1
        while True:
            try:
                async for message in super().listen():
                    pause = 0.1
                    yield message
            except (RedisError, OSError) as error:
                _log.warning("the queue is away", stream=self.queue_name, error=type(error).__name__)
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - to be apart from others, not secret
                pause = min(pause * 2, 2.0)
                with suppress(RedisError, OSError):
                    await self._declare_consumer_group()  # a Redis that lost everything lost the group, too

    async def shutdown(self) -> None:
        """Leave the group, so that no consumer of a name that nobody has any more is kept."""
        if self.is_worker_process:
            await self._forget([self.consumer_name])
        await super().shutdown()

    async def reachable(self) -> bool:
        """Whether Redis answers."""
        try:
            async with asyncio.timeout(1), Redis(connection_pool=self.connection_pool) as redis:
                return bool(await redis.ping())
        except (RedisError, OSError):
            return False

    async def tidy(self) -> None:
        """Forget the consumers whose process died."""
        with suppress(RedisError, OSError):
            async with Redis(connection_pool=self.connection_pool) as redis:
                consumers = await redis.xinfo_consumers(self.queue_name, _GROUP)
            await self._forget([one["name"] for one in consumers if not one["pending"] and one["idle"] > _DEAD_SECONDS * 1000])

    async def _forget(self, names: list[str]) -> None:
        with suppress(RedisError, OSError):
            async with asyncio.timeout(1), Redis(connection_pool=self.connection_pool) as redis:
                for name in names:
                    await redis.xgroup_delconsumer(self.queue_name, _GROUP, name)
