"""HTTP below the API: an answer leaves in one piece."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_AT_ONCE: Final = 64 * 1024  # bytes
_MOST_OF_A_HEAD: Final = 1024 * 1024
"""Bytes that bring no request any further: of a target, of headers, of trailers; all of them would be kept."""


class HTTPProtocol(HttpToolsProtocol):
    """Writes what an answer consists of at once: each write of its own is a system call, as dear as reading a ticket.

    Strangers may say as much as they like, but for what precedes or follows the body of a request.
    """

    _without_progress = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Gather what is written in one turn of the loop."""
        super().connection_made(cast("asyncio.Transport", _Gathering(transport, self.loop)))

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is a head without end."""
        self._without_progress += len(data)
        super().data_received(data)
        if self._without_progress > _MOST_OF_A_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of a request may have at most 1 MiB.")

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._without_progress = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, whose size is limited where it is read."""
        self._without_progress = 0
        super().on_body(body)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on as it came, behind what was answered on it before; with an answer under way, end it.

        Whoever still answers would never hear that the client has gone: the connection tells its new protocol alone.
        """
        gathering = cast("_Gathering", self.transport)
        before = cast("RequestResponseCycle | None", self.cycle)
        if before is not None and not before.response_complete:
            gathering.close()
            return
        gathering.flush()
        self.transport = gathering.transport
        super().handle_websocket_upgrade()


class _Gathering:
    """A transport that writes when the turn of the loop is over, or before that when it would hold too much back.

    Only the transport below knows that a reader lags behind, and has whoever writes wait.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._loop = loop
        self._gathered: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport can do
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        if not self._gathered:
            self._loop.call_soon(self.flush)
        self._gathered.append(data)
        self._size += len(data)
        if self._size > _AT_ONCE:
            self.flush()

    def close(self) -> None:
        self.flush()
        self.transport.close()

    def flush(self) -> None:
        gathered, self._gathered, self._size = self._gathered, [], 0
        if gathered and not self.transport.is_closing():
            with suppress(RuntimeError):  # uvloop's word for a reader that went away in this very turn
                self.transport.write(b"".join(gathered))
