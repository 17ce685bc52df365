"""The bell over Redis: a taskiq task for each ring, taken by whichever process listens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from redis.exceptions import RedisError
from taskiq.exceptions import TaskiqError
from taskiq.receiver import Receiver

from domain.identity import WorkspaceId
from lookups.queue import RingLost
from lookups.streams import Stream

if TYPE_CHECKING:
    from lookups.lanes import Lanes

_PAUSE_SECONDS: Final = 1.0
_TASKS_AT_ONCE: Final = 64
_log = structlog.get_logger(__name__)


class StreamBell:
    """One stream with its task."""

    def __init__(self, lanes: Lanes, url: str, *, urgent: bool) -> None:
        self._stream = Stream(url, "disqua:lookups:urgent" if urgent else "disqua:lookups")
        self._silenced = asyncio.Event()

        @self._stream.task("look")
        async def look(workspace_id: str) -> None:
            claims = lanes.ring(WorkspaceId(UUID(workspace_id)), urgent=urgent)
            if claims is not None and self._stream.is_worker_process:
                await asyncio.wait([claims])  # a process without a free slot leaves the next message to another one

        self._look = look

    async def open(self) -> None:
        """Begin to ring, whether Redis is there or not."""
        await self._stream.startup()

    async def close(self) -> None:
        """Ring no more."""
        await self._stream.shutdown()

    async def ring(self, workspace_id: WorkspaceId) -> None:
        """Leave a message; raises RingLost."""
        try:
            await self._look.kiq(str(workspace_id))
        except (TaskiqError, RedisError, OSError) as error:
            raise RingLost(type(error).__name__) from error

    async def listen(self) -> None:
        """Hear and answer until it is silenced."""
        self._stream.is_worker_process = True
        while not self._silenced.is_set():
            receiver = Receiver(self._stream, run_startup=False, validate_params=False, max_async_tasks=_TASKS_AT_ONCE)
            try:
                await receiver.listen(self._silenced)
            except Exception:  # noqa: BLE001 - whatever it was, the next one listens on
                _log.exception("listening to the queue failed")
                await asyncio.sleep(_PAUSE_SECONDS)

    def silence(self) -> None:
        """Hear nothing more."""
        self._silenced.set()
        self._stream.finish()

    async def reachable(self) -> bool:
        """Whether Redis answers."""
        return await self._stream.reachable()
