"""The bell: tells whoever runs lookups that a workspace has queued ones.

The table of lookups is the queue; a ring only says that it is worth looking, so it may be lost, late or heard twice. What
a lost one costs is the time until the sweeper's next round.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from redis.exceptions import RedisError
from taskiq import AsyncBroker, InMemoryBroker
from taskiq.exceptions import TaskiqError
from taskiq.receiver import Receiver

from domain.identity import WorkspaceId
from lookups.lanes import Lanes
from lookups.streams import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_RING_SECONDS: Final = 0.5
_SILENCE_SECONDS: Final = 1.0  # after a ring that failed: who rings does not wait again and again
_TASKS_AT_ONCE: Final = 64
_log = structlog.get_logger(__name__)


class Queue:
    """Rings for the lanes of this process, or over Redis for those of the workers.

    There are two bells, so that a lookup that an agent waits for goes before a backlog.
    """

    def __init__(self, lanes: Lanes, url: str | None = None, *, lost: Callable[[], None] = lambda: None) -> None:
        """``url`` is Redis's, None for bells inside this process; ``lost`` is told of each ring that nobody can hear."""
        self._bells = {
            True: _Bell(_broker(url, "disqua:lookups:urgent"), lanes, urgent=True),
            False: _Bell(_broker(url, "disqua:lookups"), lanes, urgent=False),
        }
        self._lanes = lanes
        self._lost = lost
        self._silent_until = 0.0

    async def open(self) -> None:
        """Begin to ring, whether Redis is there or not."""
        for bell in self._bells.values():
            await bell.broker.startup()

    async def close(self) -> None:
        """Ring no more."""
        for bell in self._bells.values():
            await bell.broker.shutdown()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Hear what rings over Redis until the block ends."""
        finished = asyncio.Event()
        listeners = [asyncio.create_task(bell.listen(finished)) for bell in self._bells.values()]
        try:
            yield
        finally:
            self._lanes.stop()  # a ring is answered when nothing more can be claimed: of a backlog that might take long
            finished.set()
            for bell in self._bells.values():
                if isinstance(bell.broker, Stream):
                    bell.broker.finish()
            await asyncio.gather(*listeners)

    async def ring(self, workspace_id: WorkspaceId, *, urgent: bool) -> None:
        """Say that the workspace has queued lookups; never raises, for they stand in the table anyway."""
        if monotonic() < self._silent_until:
            self._lost()
            return
        try:
            async with asyncio.timeout(_RING_SECONDS):
                await self._bells[urgent].look.kiq(str(workspace_id))
        except (TaskiqError, RedisError, OSError, TimeoutError) as error:
            self._silent_until = monotonic() + _SILENCE_SECONDS
            self._lost()
            _log.warning("a ring is lost", workspace_id=str(workspace_id), error=type(error).__name__)

    async def reachable(self) -> bool:
        """Whether a ring could be heard now."""
        streams = (bell.broker for bell in self._bells.values() if isinstance(bell.broker, Stream))
        return all(await asyncio.gather(*(stream.reachable() for stream in streams)))


class _Bell:
    """One broker with its task."""

    def __init__(self, broker: AsyncBroker, lanes: Lanes, *, urgent: bool) -> None:
        self.broker = broker

        @broker.task("look")
        async def look(workspace_id: str) -> None:
            claims = lanes.ring(WorkspaceId(UUID(workspace_id)), urgent=urgent)
            if claims is not None and broker.is_worker_process:
                await asyncio.wait([claims])  # a process without a free slot leaves the next message to another one

        self.look = look

    async def listen(self, finished: asyncio.Event) -> None:
        """Hear until it is finished."""
        self.broker.is_worker_process = True
        while not finished.is_set():
            receiver = Receiver(self.broker, run_startup=False, validate_params=False, max_async_tasks=_TASKS_AT_ONCE)
            try:
                await receiver.listen(finished)
            except Exception:  # noqa: BLE001 - whatever it was, the next one listens on
                _log.exception("listening to the queue failed")
                await asyncio.sleep(_SILENCE_SECONDS)


def _broker(url: str | None, name: str) -> AsyncBroker:
    return InMemoryBroker() if url is None else Stream(url, name)
