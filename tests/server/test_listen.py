"""Connections to a listening socket end, whatever their other ends do."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

import pytest

from server.listen import listen
from tests.stage.front_end import PATIENCE

MORE_THAN_FITS = 16 * 1024 * 1024
"""Bytes, into the buffers between two ends of a connection."""


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels wait for as long as the reader's machine is there")
async def test_a_connection_ends_whose_reader_takes_nothing_although_it_is_closed() -> None:
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(MORE_THAN_FITS))
        writer.close()
        with pytest.raises(TimeoutError):
            await writer.wait_closed()
        lost.set_result(None)

    with listen("127.0.0.1", 0, patience=timedelta(milliseconds=100)) as listener:
        async with await asyncio.start_server(answer, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname(), limit=1)
            async with asyncio.timeout(PATIENCE):
                await lost
            writer.transport.abort()
