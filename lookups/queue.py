"""The bell: tells whoever runs lookups that a workspace has queued ones.

The table of lookups is the queue; a ring only says that it is worth looking, so it may be lost, late or heard twice. What
a lost one costs is the time until the sweeper's next round.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from domain.identity import WorkspaceId
    from lookups.lanes import Lanes

_RING_SECONDS: Final = 0.5
_SILENCE_SECONDS: Final = 1.0  # after a ring that failed: who rings does not wait again and again
_log = structlog.get_logger(__name__)


class RingLost(Exception):
    """Nobody can hear the ring; the text says why in one word."""


class Bell(Protocol):
    """What carries rings to whoever runs lookups."""

    async def open(self) -> None:
        """Begin to ring, whether anybody can hear it or not."""

    async def close(self) -> None:
        """Ring no more."""

    async def ring(self, workspace_id: WorkspaceId) -> None:
        """Ring; raises RingLost."""

    async def listen(self) -> None:
        """Hear and answer until it is silenced."""

    def silence(self) -> None:
        """Hear nothing more."""

    async def reachable(self) -> bool:
        """Whether a ring could be heard now."""


class OwnBell:
    """Rings for the lanes of this very process."""

    def __init__(self, lanes: Lanes, *, urgent: bool) -> None:
        self._lanes = lanes
        self._urgent = urgent

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """There is nothing to close."""

    async def ring(self, workspace_id: WorkspaceId) -> None:
        """Have the lane look."""
        _ = self._lanes.ring(workspace_id, urgent=self._urgent)

    async def listen(self) -> None:
        """It is heard where it is rung."""

    def silence(self) -> None:
        """It is heard where it is rung."""

    async def reachable(self) -> bool:
        """Always."""
        return True


class Queue:
    """Rings for the lanes of this process, or over Redis for those of the workers.

    There are two bells, so that a lookup that an agent waits for goes before a backlog.
    """

    def __init__(self, lanes: Lanes, url: str | None = None, *, lost: Callable[[], None] = lambda: None) -> None:
        """``url`` is Redis's, None for bells inside this process; ``lost`` is told of each ring that nobody can hear."""
        self._bells = {urgent: _bell(lanes, url, urgent=urgent) for urgent in (True, False)}
        self._lanes = lanes
        self._lost = lost
        self._silent_until = 0.0

    async def open(self) -> None:
        """Begin to ring, whether Redis is there or not."""
        for bell in self._bells.values():
            await bell.open()

    async def close(self) -> None:
        """Ring no more."""
        for bell in self._bells.values():
            await bell.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Hear what rings over Redis until the block ends."""
        listeners = [asyncio.create_task(bell.listen()) for bell in self._bells.values()]
        try:
            yield
        finally:
            self._lanes.stop()  # a ring is answered when nothing more can be claimed: of a backlog that might take long
            for bell in self._bells.values():
                bell.silence()
            await asyncio.gather(*listeners)

    async def ring(self, workspace_id: WorkspaceId, *, urgent: bool) -> None:
        """Say that the workspace has queued lookups; never raises, for they stand in the table anyway."""
        if monotonic() < self._silent_until:
            self._lost()
            return
        try:
            async with asyncio.timeout(_RING_SECONDS):
                await self._bells[urgent].ring(workspace_id)
        except (RingLost, TimeoutError) as error:
            self._silent_until = monotonic() + _SILENCE_SECONDS
            self._lost()
            _log.warning("a ring is lost", workspace_id=str(workspace_id), error=str(error) or type(error).__name__)

    async def reachable(self) -> bool:
        """Whether a ring could be heard now."""
        return all(await asyncio.gather(*(bell.reachable() for bell in self._bells.values())))


def _bell(lanes: Lanes, url: str | None, *, urgent: bool) -> Bell:
    if url is None:
        return OwnBell(lanes, urgent=urgent)
    from lookups.bell import StreamBell  # noqa: PLC0415 - a process without Redis does without the megabytes of its clients

    return StreamBell(lanes, url, urgent=urgent)
