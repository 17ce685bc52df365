"""Sockets that subscribe at next to no cost: frames are parsed by hand, for the client must be cheaper than what it measures."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import struct
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from bench.documents import PANELS, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bench.target import Target

_CONNECTING_AT_ONCE: Final = 20
_PATIENCE_SECONDS: Final = 60.0
_LOOK_AGAIN_SECONDS: Final = 0.005
_SETTLING_SECONDS: Final = 1.0
_MARK: Final = re.compile(rb'"mark-(\d+)"')
_TEXT, _PING, _PONG = 0x1, 0x9, 0xA
_HEAD, _SHORT_HEAD, _SHORT = 4, 2, 126  # RFC 6455, 5.2


@dataclass(slots=True)
class Crowd:
    """What all subscribers of one server have seen of numbered events."""

    size: int
    sent: dict[int, float] = field(default_factory=dict)
    latencies: dict[int, list[float]] = field(default_factory=dict)
    acknowledged: int = 0
    faults: list[bytes] = field(default_factory=list)

    def take(self, number: int) -> None:
        """A subscriber has got an event."""
        if number in self.sent:
            self.latencies.setdefault(number, []).append(time.perf_counter() - self.sent[number])

    @property
    def frames(self) -> int:
        """How many have come."""
        return sum(map(len, self.latencies.values()))

    async def all_have(self, number: int) -> None:
        """Wait until nobody lacks this event."""
        await self._until(lambda: len(self.latencies.get(number, ())) >= self.size)

    async def all_acknowledged(self, count: int) -> None:
        """Wait until so many have been let in."""
        await self._until(lambda: self.acknowledged >= count)

    async def _until(self, condition: Callable[[], bool]) -> None:
        given_up_at = time.perf_counter() + _PATIENCE_SECONDS
        while not condition():
            assert not self.faults, self.faults[:3]
            assert time.perf_counter() < given_up_at, f"{self.acknowledged} of {self.size} came in"
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


class _Subscriber(asyncio.Protocol):
    def __init__(self, target: Target, crowd: Crowd) -> None:
        self._target = target
        self._crowd = crowd
        self._received = b""
        self._open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake (RFC 6455, 4.1)."""
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{self._target.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take what is whole."""
        self._received += data
        if not self._open:
            head, separator, rest = self._received.partition(b"\r\n\r\n")
            if not separator:
                return
            assert b" 101 " in head.splitlines()[0], head
            self._open, self._received = True, rest
            self._say({"type": "connection_init", "payload": {"Authorization": f"Bearer {self._target.token}"}})
        while (frame := _first_frame(self._received)) is not None:
            opcode, payload, self._received = frame
            self._hear(opcode, payload)

    def leave(self) -> None:
        """Go without a farewell."""
        assert self._transport is not None
        self._transport.abort()

    def _hear(self, opcode: int, payload: bytes) -> None:
        if opcode == _PING:
            self._write(_PONG, payload)
        elif mark := _MARK.search(payload):
            self._crowd.take(int(mark[1]))
        elif b'"connection_ack"' in payload:
            self._crowd.acknowledged += 1
            subscription = json.loads(request(PANELS, id=str(self._target.helpdesk.ticket(0))))
            self._say({"id": "1", "type": "subscribe", "payload": subscription})
        elif b'"next"' not in payload or b'"errors"' in payload:
            self._crowd.faults.append(payload)

    def _say(self, message: dict[str, object]) -> None:
        self._write(_TEXT, json.dumps(message).encode())

    def _write(self, opcode: int, payload: bytes) -> None:
        assert self._transport is not None
        length = len(payload)
        size = bytes([0x80 | length]) if length < _SHORT else struct.pack("!BH", 0x80 | _SHORT, length)
        self._transport.write(bytes([0x80 | opcode]) + size + bytes(4) + payload)  # masked with nothing


def _first_frame(received: bytes) -> tuple[int, bytes, bytes] | None:
    """Opcode, payload and what follows; None while it is not whole."""
    if len(received) < _SHORT_HEAD:
        return None
    length, start = received[1] & 127, _SHORT_HEAD
    if length == _SHORT:
        if len(received) < _HEAD:
            return None
        length, start = int.from_bytes(received[2:4], "big"), _HEAD
    end = start + length
    return (received[0] & 15, received[start:end], received[end:]) if len(received) >= end else None


@asynccontextmanager
async def subscribers(target: Target, count: int) -> AsyncIterator[Crowd]:
    """So many sockets that watch the panels of the oldest ticket, all let in and at rest."""
    loop, crowd, opened = asyncio.get_running_loop(), Crowd(count), list[_Subscriber]()
    for number in range(1, count + 1):
        _, subscriber = await loop.create_connection(lambda: _Subscriber(target, crowd), "127.0.0.1", target.port)
        opened.append(subscriber)
        if number % _CONNECTING_AT_ONCE == 0:
            await crowd.all_acknowledged(number)
    await crowd.all_acknowledged(count)
    await asyncio.sleep(_SETTLING_SECONDS)  # what they were sent first is theirs, too
    try:
        yield crowd
    finally:
        for subscriber in opened:
            subscriber.leave()
