"""A bad network between two parts: late, cut, silent, slow to close, or with room for so many bytes only."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Link:
    """One connection from end to end."""

    ends: list[asyncio.StreamWriter]
    allowance: int | None
    silent: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        for end in self.ends:
            if not end.is_closing():
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()
        self.ended.set()


@dataclass
class Proxy:
    """Passes TCP on to a port of this machine; what it is told holds from now on, for open connections too."""

    target: int
    port: int = 0
    latency: float = 0.0
    """Seconds that each piece of data needs, either way."""
    linger: float = 0.0
    """Seconds by which the end of a connection arrives later."""
    allowance: int | None = None
    """Bytes that each connection made from now on passes, both ways together, before it is cut."""
    taken: int = 0
    """Connections taken so far."""
    _silent: bool = False
    _links: set[_Link] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        """Take connections, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        for link in [*self._links]:
            link.cut()

    async def shut(self) -> None:
        """Reset every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    def half_open(self) -> None:
        """Hold every connection, take new ones, and pass nothing on: neither end learns that the other is gone."""
        self._silent = True
        for link in self._links:
            link.silent = True

    def mend(self) -> None:
        """New connections work; those that fell silent stay so, as behind a router that has forgotten them."""
        self._silent = False

    async def close(self) -> None:
        await self.shut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link([writer], self.allowance, self._silent)
        self._links.add(link)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            link.ends.append(far_writer)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass_on(link, reader, far_writer))
                ways.create_task(self._pass_on(link, far_reader, writer))
        except* OSError:
            pass
        finally:
            self._links.discard(link)
            link.cut()

    async def _pass_on(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await asyncio.sleep(self.latency)
            if link.silent:
                await link.ended.wait()
            if link.allowance is not None:
                data, link.allowance = data[: link.allowance], max(0, link.allowance - len(data))
            writer.write(data)
            await writer.drain()
            if link.allowance == 0:
                raise ConnectionError("no bytes are left")
        if link.silent:
            await link.ended.wait()
        await asyncio.sleep(self.linger)
        if writer.can_write_eof():
            writer.write_eof()


@asynccontextmanager
async def open_proxy(target: int) -> AsyncIterator[Proxy]:
    """A proxy before a port of this machine, harmless until it is told otherwise."""
    proxy = Proxy(target)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
