"""HTTP below the API: an answer leaves in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio


class HTTPProtocol(HttpToolsProtocol):
    """Writes what an answer consists of at once: each write of its own is a system call, as dear as reading a ticket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Gather what is written in one turn of the loop."""
        super().connection_made(cast("asyncio.Transport", _Gathering(transport, self.loop)))

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on as it came."""
        self.transport = cast("_Gathering", self.transport).transport
        super().handle_websocket_upgrade()


class _Gathering:
    """A transport that writes when the turn of the loop is over."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._loop = loop
        self._gathered: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport can do
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered.append(data)

    def close(self) -> None:
        self._flush()
        self.transport.close()

    def _flush(self) -> None:
        if self._gathered:
            self.transport.write(b"".join(self._gathered))
            self._gathered.clear()
