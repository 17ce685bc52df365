"""What carries announcements between processes: Redis, which may be away at any time without anybody losing more than time.

Broadcaster's own backends go deaf for good when their server restarts, without a word; this one keeps its connection, and
whenever it may have missed something it says so on every channel.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import deque
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import structlog
from broadcaster import BroadcastBackend, Event
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, parse_url
from redis.exceptions import ConnectionError as Away
from redis.exceptions import RedisError

from lookups.counts import Counts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

RESYNC: Final = "resync"
"""The message that stands for all that may have been missed: look again, whatever you watch."""

_EVERYBODY = "disqua:everybody"
"""The channel that every process hears, so that none is ever without a channel; all that is said here is ``RESYNC``."""
_INBOX = 10_000
_OUTBOX = 1_000
_SILENT_BEATS = 3
_PATIENT_BEATS = 2
_FIRST_DELAY_SECONDS = 0.05
_ACKNOWLEDGED_SECONDS = 1.0
_FAREWELL_SECONDS = 0.5
_PING: Final = ("PING",)
_log = structlog.get_logger(__name__)


class RedisCarrier(BroadcastBackend):
    """Redis's pub/sub over one connection; nothing here raises, and nothing waits for a Redis that is away.

    What this process publishes it hears at once, Redis or not. For the others it waits in a bounded outbox until Redis has
    taken it. One connection does both, so that one heartbeat tells the truth about both; that needs RESP3 (Redis 6).
    """

    def __init__(self, url: str, *, beat: timedelta, inbox: int = _INBOX, outbox: int = _OUTBOX) -> None:
        """``beat`` is the longest silence before Redis is asked for a sign of life; after three it counts as lost."""
        self.connected = False
        self.counts = Counts()
        self._beat = beat.total_seconds()
        self._kind, self._options = _connection_options(url, patience=_PATIENT_BEATS * self._beat)
        self._origin = ""
        self._wanted: set[str] = set()
        self._acknowledged: dict[str, asyncio.Event] = {}
        self._inbox = _Inbox(inbox)
        self._outbox: dict[tuple[str, str], None] = {}
        self._outbox_size = outbox
        self._errands: deque[tuple[str, ...]] = deque()
        self._unanswered: deque[tuple[str, str] | None] = deque()
        self._to_do = asyncio.Event()
        self._settled = asyncio.Event()
        self._was_connected = False
        self._told_away = False
        self._supervisor: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Begin to connect, and never cease until ``disconnect``."""
        self._origin = secrets.token_hex(8)  # not earlier: a process may yet fork
        self._supervisor = asyncio.create_task(self._stay_connected())

    async def disconnect(self) -> None:
        """Give what was published last a moment to leave, then let go of Redis."""
        if self.connected and not self._all_answered():
            self._settled.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await self._settled.wait()
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)

    async def subscribe(self, channel: str) -> None:
        """Want a channel; returns when Redis says that it is heard, or soon all the same: RESYNC follows when it is."""
        self._wanted.add(channel)
        acknowledged = self._acknowledged.setdefault(channel, asyncio.Event())
        self._run(("SUBSCRIBE", channel))
        if self.connected:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ACKNOWLEDGED_SECONDS):
                    await acknowledged.wait()

    async def unsubscribe(self, channel: str) -> None:
        """Want a channel no more."""
        self._wanted.discard(channel)
        self._acknowledged.pop(channel, None)
        self._run(("UNSUBSCRIBE", channel))

    async def publish(self, channel: str, message: Any) -> None:  # noqa: ANN401 - the signature is broadcaster's
        """Tell this process now and the others as soon as Redis can."""
        self._hear(channel, message)
        self._remember(channel, message)
        self._to_do.set()

    async def next_published(self) -> Event:
        """The next event; never raises, for nobody would start broadcaster's listener again."""
        return await self._inbox.next()

    # What goes out.

    def _run(self, errand: tuple[str, ...]) -> None:
        self._errands.append(errand)
        self._to_do.set()

    def _remember(self, channel: str, message: str) -> None:
        """Keep what the others have to hear; what becomes too much is one RESYNC for everybody."""
        if (_EVERYBODY, RESYNC) in self._outbox:
            return
        self._outbox[channel, message] = None
        if len(self._outbox) > self._outbox_size:
            self.counts.dropped += len(self._outbox)
            self._outbox = {(_EVERYBODY, RESYNC): None}

    async def _send(self, connection: Connection) -> None:
        """Batch by batch: what comes while one is unanswered waits for the next, and merges there."""
        while True:
            await self._to_do.wait()
            self._to_do.clear()
            if not self._unanswered and (commands := self._next_commands()):
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)

    def _next_commands(self) -> list[tuple[str, ...]]:
        commands = [*self._errands, *(("PUBLISH", channel, f"{self._origin}:{text}") for channel, text in self._outbox)]
        self._unanswered.extend(None for errand in self._errands if errand == _PING)
        self._unanswered.extend(self._outbox)
        self._errands.clear()
        self._outbox.clear()
        return commands

    def _all_answered(self) -> bool:
        return not (self._outbox or self._unanswered)

    # What comes in.

    async def _receive(self, connection: Connection) -> None:
        """Silence is counted in beats rather than by the clock, so that a loop that stood still blames nobody."""
        silent_beats = 0
        while silent_beats < _SILENT_BEATS:
            reply = await connection.read_response(timeout=self._beat, disconnect_on_error=False, push_request=True)
            if reply is None:
                silent_beats += 1
                self._run(_PING)
            else:
                silent_beats = 0
                self._take(reply)
        raise Away("no sign of life")

    def _take(self, reply: Any) -> None:  # noqa: ANN401 - whatever Redis said
        """A list was pushed; everything else answers the oldest command."""
        match reply:
            case [b"message", bytes(channel), bytes(text)]:
                origin, _, message = text.decode(errors="replace").partition(":")
                if origin != self._origin:
                    self._hear(channel.decode(errors="replace"), message)
            case [b"subscribe", bytes(channel), _]:
                self._now_heard(channel.decode(errors="replace"))
            case list():
                pass
            case _:
                self._unanswered.popleft()
                if not self._unanswered:
                    self._to_do.set()
                if self._all_answered():
                    self._settled.set()

    def _hear(self, channel: str, message: str) -> None:
        if channel == _EVERYBODY:
            self._resync()
        elif channel in self._wanted:
            dropped = self._inbox.put(channel, message)
            if dropped:
                self.counts.dropped += dropped
                self._resync()

    def _now_heard(self, channel: str) -> None:
        """What was said here before is lost."""
        if channel in self._wanted:
            self._inbox.put_resync(channel)
        if acknowledged := self._acknowledged.pop(channel, None):
            acknowledged.set()

    def _resync(self) -> None:
        self.counts.resyncs += 1
        for channel in self._wanted:
            self._inbox.put_resync(channel)

    # The connection.

    async def _stay_connected(self) -> None:
        delay = _FIRST_DELAY_SECONDS
        while True:
            began = monotonic()
            try:
                async with self._joined() as connection, asyncio.TaskGroup() as session:
                    session.create_task(self._send(connection))
                    session.create_task(self._receive(connection))
            except Exception as error:  # noqa: BLE001 - whatever it was, the next connection may be better
                self._tell_operator(error)
            lasted = monotonic() - began > _SILENT_BEATS * self._beat
            delay = _FIRST_DELAY_SECONDS if lasted else min(2 * delay, self._beat)
            await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - spreads load, guards nothing

    @asynccontextmanager
    async def _joined(self) -> AsyncIterator[Connection]:
        """Connected and hearing everybody; the acknowledgement of each wanted channel follows in its own time."""
        connection = self._kind(**self._options)
        try:
            async with asyncio.timeout(_PATIENT_BEATS * self._beat):
                await connection.connect()  # type: ignore[no-untyped-call]
                self._errands.clear()
                await connection.send_command("SUBSCRIBE", _EVERYBODY, *self._wanted, check_health=False)
                await connection.read_response(disconnect_on_error=False, push_request=True)
            self._begin()
            yield connection
        finally:
            self._end()
            with suppress(Exception):
                await connection.disconnect(nowait=True)

    def _begin(self) -> None:
        self.connected = True
        self.counts.reconnects += self._was_connected
        self.counts.resyncs += bool(self._wanted)
        self._was_connected = True
        self._to_do.set()
        if self._told_away:
            _log.warning("redis is back")
            self._told_away = False

    def _end(self) -> None:
        """What was sent and not answered has perhaps not been heard: it will be sent again."""
        self.connected = False
        unanswered = [announcement for announcement in self._unanswered if announcement]
        self._unanswered.clear()
        later, self._outbox = self._outbox, {}
        for channel, message in [*unanswered, *later]:
            self._remember(channel, message)

    def _tell_operator(self, error: Exception) -> None:
        """Once for each time that Redis goes away."""
        if not self._told_away:
            cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            _log.warning("redis is away: announcements stay in this process", error=type(cause).__name__)
            self._told_away = True


class _Inbox:
    """What has been heard and not yet been passed on: never more than ``size`` messages and one RESYNC a channel."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._messages: deque[Event] = deque()
        self._resyncs: dict[str, None] = {}
        self._something = asyncio.Event()

    def put(self, channel: str, message: str) -> int:
        """Add a message; where it finds no room all are dropped: tells how many, and their channels need a RESYNC."""
        if len(self._messages) >= self._size:
            dropped = len(self._messages) + 1
            self._messages.clear()
            return dropped
        self._messages.append(Event(channel, message))
        self._something.set()
        return 0

    def put_resync(self, channel: str) -> None:
        """Add a RESYNC, unless the channel already has one to come."""
        self._resyncs[channel] = None
        self._something.set()

    async def next(self) -> Event:
        """The next event, RESYNC first."""
        while not (self._messages or self._resyncs):
            self._something.clear()
            await self._something.wait()
        if self._resyncs:
            return Event(self._resyncs.popitem()[0], RESYNC)
        return self._messages.popleft()


def check_address(url: str) -> None:
    """Raise ValueError, one line without a password, unless queue and announcements could connect as it says; none does."""
    try:
        kind, options = _connection_options(url, patience=1)
        as_the_queue: Connection = ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
        for connection in (as_the_queue, kind(**options)):
            if isinstance(connection, SSLConnection):
                connection.ssl_context.get()  # reads the files that it names
    except (AttributeError, OSError, RedisError, TypeError, ValueError) as error:
        reason = str(error).rpartition("() got an ")[2].splitlines()[0]
        raise ValueError(f"no connection can be made with these options: {reason}") from None


def _connection_options(url: str, *, patience: float) -> tuple[type[Connection], dict[str, Any]]:
    """The address's own options below ours; only the heartbeat may end a silence, and only ``_stay_connected`` reconnects."""
    options: dict[str, Any] = dict(parse_url(url))
    kind: type[Connection] = options.pop("connection_class", Connection)
    return kind, options | {
        "client_name": "disqua-updates",
        "decode_responses": False,
        "health_check_interval": 0,
        "protocol": 3,
        "retry_on_error": [],
        "retry_on_timeout": False,
        "socket_connect_timeout": patience,
        "socket_timeout": None,
    }
