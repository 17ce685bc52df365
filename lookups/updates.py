"""Saying "look again" and waiting for it.

An announcement carries topics, never data: whoever watches reads the database again. A lost one costs
the time until the next look, never correctness.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NewType

import structlog
from broadcaster import Broadcast

from lookups.counts import Counts
from lookups.trace import here

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from domain.identity import ConnectorId, EmailAddress, WorkspaceId
    from lookups.carrier import RedisCarrier

Topic = NewType("Topic", str)

TICKETS: Final = Topic("tickets")
"""A ticket opened."""
CONNECTORS: Final = Topic("connectors")
"""A connector was made, changed or deleted."""

_STAGGER_SECONDS = 1.0
_READING_SECONDS = 0.0002
_log = structlog.get_logger(__name__)


def requester_topic(email: EmailAddress) -> Topic:
    """Something is known anew about this requester; the topic does not show the address."""
    return Topic(f"requester:{hashlib.sha256(email.encode()).hexdigest()[:24]}")


def log_topic(connector_id: ConnectorId) -> Topic:
    """A line of this connector's log began or ended."""
    return Topic(f"log:{connector_id}")


class Watch:
    """Remembers that something happened, however often it did: its memory does not grow."""

    def __init__(self, topics: Collection[Topic]) -> None:
        self.topics = frozenset(topics)
        self._happened = asyncio.Event()
        self._trace: str | None = None

    def happened(self, trace: str | None = None) -> None:
        """Wake whoever waits."""
        self._trace = trace or self._trace
        self._happened.set()

    async def wait(self, timeout: float) -> str | None:  # noqa: ASYNC109 - running out of patience is an ordinary wake-up here
        """Return when something happened since the last wait, or after ``timeout`` seconds all the same.

        The traceparent of what happened last, where it was traced.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._happened.wait()
        self._happened.clear()
        trace, self._trace = self._trace, None
        return trace


class _Station:
    """One workspace's channel in this process: a single subscription serves all its watches."""

    def __init__(self, broadcast: Broadcast, channel: str, stagger: Callable[[], float]) -> None:
        """``stagger`` gives the seconds after which a watch is woken by a RESYNC."""
        self.watches: set[Watch] = set()
        self._watching: dict[Topic, set[Watch]] = {}
        """Those who watch each topic: an announcement costs what it concerns, not all who watch."""
        self.listening = asyncio.Event()
        self.listener = asyncio.create_task(self._listen(broadcast, channel))
        self.listener.add_done_callback(lambda _: self.listening.set())  # nobody waits for ears that will not come
        self._stagger = stagger

    def add(self, watch: Watch) -> None:
        """Tell it of its topics from now on."""
        self.watches.add(watch)
        for topic in watch.topics:
            self._watching.setdefault(topic, set()).add(watch)

    def remove(self, watch: Watch) -> None:
        """Tell it nothing any more."""
        self.watches.remove(watch)
        for topic in watch.topics:
            self._watching[topic].remove(watch)
            if not self._watching[topic]:
                del self._watching[topic]

    async def _listen(self, broadcast: Broadcast, channel: str) -> None:
        async with broadcast.subscribe(channel) as subscriber:
            self.listening.set()
            while (event := await subscriber.get()) is not None:
                self._pass_on(event.message)

    def _pass_on(self, message: str) -> None:
        try:
            topics, trace = _read(message)
        except ValueError:
            self._resync()  # it may have been anything
        else:
            self._tell(topics, trace)

    def _tell(self, topics: frozenset[Topic], trace: str | None) -> None:
        for watch in set().union(*(self._watching.get(topic, ()) for topic in topics)):
            watch.happened(trace)

    def _resync(self) -> None:
        loop = asyncio.get_running_loop()
        for watch in self.watches:
            loop.call_later(self._stagger(), watch.happened)


class Updates:
    """Announcements between the parts of the system, in this process or over Redis: one channel for each workspace."""

    def __init__(self, url: str | None = None, *, beat: timedelta = timedelta(seconds=1)) -> None:
        """``url`` is Redis's, None keeps the announcements in this process; ``beat`` is that of Redis's heart.

        Raises ValueError for an address that is none.
        """
        self._redis = None if url is None else _redis_carrier(url, beat)
        self._broadcast = Broadcast("memory://", backend=self._redis)
        self._stations: dict[WorkspaceId, _Station] = {}
        self._watches = 0
        self.counts = Counts() if self._redis is None else self._redis.counts

    @property
    def connected(self) -> bool:
        """Whether announcements travel; away from Redis they still reach this process, and the others when it is back."""
        return self._redis is None or self._redis.connected

    async def open(self) -> None:
        """Begin to carry announcements; a Redis that is away is waited for behind everybody's back."""
        await self._broadcast.connect()

    async def close(self) -> None:
        """Stop listening and disconnect."""
        for station in self._stations.values():
            station.listener.cancel()
        await asyncio.gather(*(station.listener for station in self._stations.values()), return_exceptions=True)
        self._stations.clear()
        await self._broadcast.disconnect()

    async def announce(self, workspace_id: WorkspaceId, *topics: Topic) -> None:
        """Say that something about ``topics`` has been committed; never waits, and never raises: the commit stands anyway."""
        try:
            await self._broadcast.publish(_channel(workspace_id), _written(topics, here()))
        except Exception as error:  # noqa: BLE001 - whatever carries announcements may fail in its own ways
            _log.warning("announcement lost", workspace_id=str(workspace_id), error=type(error).__name__)

    @asynccontextmanager
    async def watch(self, workspace_id: WorkspaceId, *topics: Topic) -> AsyncIterator[Watch]:
        """Watch topics of a workspace; begin to watch first and read second, so that nothing falls between.

        Whatever may have been missed while Redis was away wakes every watch.
        """
        if workspace_id not in self._stations:
            self._stations[workspace_id] = _Station(self._broadcast, _channel(workspace_id), self._stagger)
        station = self._stations[workspace_id]
        await station.listening.wait()
        watch = Watch(topics)
        station.add(watch)
        self._watches += 1
        try:
            yield watch
        finally:
            self._watches -= 1
            station.remove(watch)

    def _stagger(self) -> float:
        """Spreads the reading of thousands over a second; a few need not wait."""
        return random.uniform(0, min(_STAGGER_SECONDS, self._watches * _READING_SECONDS))  # noqa: S311 - spreads load


def _redis_carrier(url: str, beat: timedelta) -> RedisCarrier:
    from lookups.carrier import RedisCarrier  # noqa: PLC0415 - a process without Redis does without the megabytes of its client

    return RedisCarrier(url, beat=beat)


def _channel(workspace_id: WorkspaceId) -> str:
    return f"disqua:workspace:{workspace_id}"


def _written(topics: Collection[Topic], trace: str | None) -> str:
    return json.dumps({"topics": topics} if trace is None else {"topics": topics, "trace": trace})


def _read(message: str) -> tuple[frozenset[Topic], str | None]:
    """What was announced, and the trace of whoever did; raises ValueError."""
    try:
        document = json.loads(message)
        return frozenset(document["topics"]), document.get("trace")
    except (AttributeError, KeyError, RecursionError, TypeError) as error:
        raise ValueError("this is no announcement") from error
