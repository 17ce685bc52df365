"""The WebSocket protocol below the API, with a bound for what never becomes a message: pings, pongs and pieces of messages."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from graph.pace import Pace
from graph.socket import LINE

if TYPE_CHECKING:
    from websockets.http11 import Request

_BURST: Final = 200
_PER_SECOND: Final = 20.0
_SLICE: Final = 4096
"""Bytes read at a time: a flood is noticed before the rest of it has been taken apart."""
_POLICY_VIOLATION: Final = 1008


class SocketProtocol(WebSocketsSansIOProtocol):
    """Answers at once what needs no application, which therefore cannot hold it back; a flood of it ends the connection."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **options)
        self._pace = Pace(burst=_BURST, per_second=_PER_SECOND, clock=asyncio.get_running_loop().time)

    def data_received(self, data: bytes) -> None:
        """Take what came, slice by slice, until it is too much."""
        for start in range(0, len(data), _SLICE):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _SLICE])

    def handle_connect(self, event: Request) -> None:
        """Offer the application the short way down."""
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self.scope["extensions"][LINE] = {"line": self}

    def start_keepalive(self) -> None:
        """Begin to, now that it is open; what opened it is let go of, which would stay as long as the connection."""
        super().start_keepalive()
        self.request.headers.clear()  # the application has them in its scope
        self.response.headers.clear()

    def has_room(self) -> bool:
        """Whether the connection is open and its reader keeps up."""
        return self.conn.state is State.OPEN and self.writable.is_set() and not self.transport.is_closing()

    def send_at_once(self, text: bytes) -> None:
        """Send a text message, for which there is room: uvicorn's way without the waiting."""
        self.transport.write(Frame(Opcode.TEXT, text).serialize(mask=False))

    def lags(self) -> bool:
        """Whether its reader has not taken what was sent."""
        return not self.writable.is_set()

    async def caught_up(self) -> None:
        """Wait until its reader has, or the connection is lost."""
        await self.writable.wait()

    def abort(self) -> None:
        """End the connection without waiting for its reader to take the rest."""
        self.transport.abort()

    def handle_ping(self) -> None:
        """Answer, unless there are too many."""
        if self._in_time():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Take note, unless there are too many."""
        if self._in_time():
            super().handle_pong(event)

    def handle_text(self, event: Frame) -> None:
        """Take a message or the first piece of one."""
        if event.fin or self._in_time():
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Take a message or the first piece of one."""
        if event.fin or self._in_time():
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Take a piece of a message, which may be empty and one of millions."""
        if event.fin or self._in_time():
            super().handle_cont(event)

    def _in_time(self) -> bool:
        """Whether this is not one too many; else the connection ends."""
        if self._pace.step() == 0:
            return True
        if not self.transport.is_closing():
            self.conn.fail(_POLICY_VIOLATION, "Too many pings, pongs or pieces of messages")
            self.handle_parser_exception()
        return False
