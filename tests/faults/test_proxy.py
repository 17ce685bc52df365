"""The bad network that the other tests rely on is as bad as it says."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests.stage.proxy import Proxy, open_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy before a server that says everything back, and ends when it is told to."""

    async def say_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(say_back, "127.0.0.1", 0)
    async with server, open_proxy(server.sockets[0].getsockname()[1]) as opened:
        yield opened


@asynccontextmanager
async def connection(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        async with asyncio.timeout(5):
            yield reader, writer
    finally:
        writer.transport.abort()


async def test_it_passes_everything_on_both_ways(proxy: Proxy) -> None:
    async with connection(proxy) as (reader, writer):
        writer.write(b"x" * 1_000_000)
        writer.write_eof()

        assert await reader.read() == b"x" * 1_000_000
        assert proxy.taken == 1


async def test_what_it_passes_on_can_come_late(proxy: Proxy) -> None:
    proxy.latency = 0.05
    async with connection(proxy) as (reader, writer):
        began = monotonic()
        writer.write(b"a")
        assert await reader.readexactly(1) == b"a"

        assert monotonic() - began >= 0.1


async def test_a_cut_resets_what_is_open_and_takes_what_comes(proxy: Proxy) -> None:
    async with connection(proxy) as (reader, writer):
        writer.write(b"a")
        await reader.readexactly(1)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read()

    async with connection(proxy) as (reader, writer):
        writer.write(b"a")
        assert await reader.readexactly(1) == b"a"


async def test_shut_it_refuses_until_it_is_opened_on_the_same_port(proxy: Proxy) -> None:
    await proxy.shut()
    with pytest.raises(ConnectionRefusedError):
        async with connection(proxy):
            pass

    await proxy.open()
    async with connection(proxy) as (reader, writer):
        writer.write(b"a")
        assert await reader.readexactly(1) == b"a"


async def test_half_open_it_takes_everything_and_answers_nothing_and_what_fell_silent_stays_so(proxy: Proxy) -> None:
    async with connection(proxy) as (reader, writer):
        writer.write(b"a")
        await reader.readexactly(1)
        proxy.half_open()
        async with connection(proxy) as (new_reader, new_writer):
            for each in (writer, new_writer):
                each.write(b"b")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await asyncio.gather(reader.read(1), new_reader.read(1))
        proxy.mend()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.read(1)

    async with connection(proxy) as (reader, writer):
        writer.write(b"a")
        assert await reader.readexactly(1) == b"a"


async def test_after_so_many_bytes_it_cuts(proxy: Proxy) -> None:
    proxy.allowance = 5
    async with connection(proxy) as (reader, writer):
        writer.write(b"abc")

        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(3)


async def test_an_end_can_come_late(proxy: Proxy) -> None:
    proxy.linger = 0.05
    async with connection(proxy) as (reader, writer):
        began = monotonic()
        writer.write_eof()

        assert await reader.read() == b""
        assert monotonic() - began >= 0.1
