"""Endpoints on this machine: raw TCP, so that they can answer in ways that no server would."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from lookups.client import LookupClient
from lookups.guard import Guard
from tests.lookups.room import Room, open_room

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What an endpoint does once it has read a whole request."""

LOOPBACK = ip_network("127.0.0.0/8")


@dataclass(slots=True)
class Endpoint:
    """One that listens, with everything it was sent."""

    port: int
    scheme: str
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a connection has ended."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/lookup"


Listen = Callable[..., Awaitable[Endpoint]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Starts endpoints, over TLS where a context is given; the script runs again for every request on a connection."""
    servers: list[asyncio.Server] = []
    talks: set[asyncio.Task[None]] = set()

    async def start(script: Script, *, tls: ssl.SSLContext | None = None) -> Endpoint:
        endpoint = Endpoint(0, "https" if tls else "http")

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            endpoint.connections += 1
            task = asyncio.create_task(_talk(endpoint, script, reader, writer))
            talks.add(task)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        endpoint.port = server.sockets[0].getsockname()[1]
        return endpoint

    yield start
    for server in servers:
        server.close()
    for talk in talks:
        talk.cancel()
    await asyncio.gather(*talks, return_exceptions=True)
    for server in servers:
        await server.wait_closed()


async def _talk(endpoint: Endpoint, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                endpoint.requests.append(await _request(reader))
                await script(reader, writer)
    finally:
        writer.transport.abort()
        endpoint.closed.set()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: *(\d+)\r$", head, re.MULTILINE)
    return head + await reader.readexactly(int(length[1]) if length else 0)


@pytest.fixture
async def client() -> AsyncIterator[LookupClient]:
    """A client that may reach this machine, with the real budget."""
    async with LookupClient(Guard(allowed_networks=[LOOPBACK])) as open_client:
        yield open_client


@pytest.fixture
async def room(url: str) -> AsyncIterator[Room]:
    """Everything that asks, over a database of its own on each kind of server; the queue is shut until a test opens it."""
    async with open_room(url) as opened:
        yield opened
