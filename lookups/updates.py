"""Saying "look again" and waiting for it.

An announcement carries topics, never data: whoever watches reads the database again. A lost one costs
the time until the next look, never correctness.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, NewType

import structlog
from broadcaster import Broadcast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from domain.identity import EmailAddress, WorkspaceId

Topic = NewType("Topic", str)

TICKETS: Final = Topic("tickets")
"""A ticket opened."""
CONNECTORS: Final = Topic("connectors")
"""A connector was made, changed or deleted."""

_PUBLISH_SECONDS = 1.0
_log = structlog.get_logger(__name__)


def requester_topic(email: EmailAddress) -> Topic:
    """Something is known anew about this requester; the topic does not show the address."""
    return Topic(f"requester:{hashlib.sha256(email.encode()).hexdigest()[:24]}")


class Watch:
    """Remembers that something happened, however often it did: its memory does not grow."""

    def __init__(self, topics: Collection[Topic]) -> None:
        self.topics = frozenset(topics)
        self._happened = asyncio.Event()

    def happened(self) -> None:
        """Wake whoever waits."""
        self._happened.set()

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 - running out of patience is an ordinary wake-up here
        """Return when something happened since the last wait, or after ``timeout`` seconds all the same."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._happened.wait()
        self._happened.clear()


class _Station:
    """One workspace's channel in this process: a single subscription serves all its watches."""

    def __init__(self, broadcast: Broadcast, workspace_id: WorkspaceId) -> None:
        self.watches: set[Watch] = set()
        self.listening = asyncio.Event()
        self.listener = asyncio.create_task(self._listen(broadcast, _channel(workspace_id)))

    async def _listen(self, broadcast: Broadcast, channel: str) -> None:
        async with broadcast.subscribe(channel) as subscriber:
            self.listening.set()
            while (event := await subscriber.get()) is not None:
                topics = frozenset(json.loads(event.message))
                for watch in self.watches:
                    if watch.topics & topics:
                        watch.happened()


class Updates:
    """Announcements between the parts of the system: one channel for each workspace."""

    def __init__(self, url: str = "memory://") -> None:
        self._broadcast = Broadcast(url)
        self._stations: dict[WorkspaceId, _Station] = {}

    async def open(self) -> None:
        """Connect to whatever carries the announcements."""
        await self._broadcast.connect()

    async def close(self) -> None:
        """Stop listening and disconnect."""
        for station in self._stations.values():
            station.listener.cancel()
        await asyncio.gather(*(station.listener for station in self._stations.values()), return_exceptions=True)
        self._stations.clear()
        await self._broadcast.disconnect()

    @property
    def connected(self) -> bool:
        """Whether announcements travel now."""
        return True

    async def announce(self, workspace_id: WorkspaceId, *topics: Topic) -> None:
        """Say that something about ``topics`` has been committed; never raises, for the commit stands anyway."""
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                await self._broadcast.publish(_channel(workspace_id), json.dumps(topics))
        except Exception as error:  # noqa: BLE001 - whatever carries announcements may fail in its own ways
            _log.warning("announcement lost", workspace_id=str(workspace_id), error=type(error).__name__)

    @asynccontextmanager
    async def watch(self, workspace_id: WorkspaceId, *topics: Topic) -> AsyncIterator[Watch]:
        """Watch topics of a workspace; begin to watch first and read second, so that nothing falls between."""
        if workspace_id not in self._stations:
            self._stations[workspace_id] = _Station(self._broadcast, workspace_id)
        station = self._stations[workspace_id]
        await station.listening.wait()
        watch = Watch(topics)
        station.watches.add(watch)
        try:
            yield watch
        finally:
            station.watches.discard(watch)


def _channel(workspace_id: WorkspaceId) -> str:
    return f"workspace:{workspace_id}"
