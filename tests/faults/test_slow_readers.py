"""A front end that takes nothing hurts only itself, also where what it should take comes from another process."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.stage.farm import Farm, open_farm
from tests.stage.front_end import send
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from tests.stage.front_end import FrontEnd, Watching
    from tests.stage.postgres import PostgreSQL
    from tests.stage.redis import RedisServer

pytestmark = pytest.mark.timed

TICKETS = 12
LETTERS = 900_000
PROMISED_SECONDS = 15.0
QUICK_SECONDS = 3.0
OPENED = "subscription { ticketOpened { subject messages { nodes { text } } } }"
OPEN = "mutation ($input: CreateTicketInput!) { createTicket(input: $input) { __typename } }"


@pytest.fixture
def farm(postgres: PostgreSQL, redis_server: RedisServer, tmp_path: Path) -> Iterator[Farm]:
    with (
        postgres.empty_database() as database,
        open_farm(tmp_path, servers=2, workers=0, DATABASE_URL=postgres.url(database), REDIS_URL=redis_server.url) as opened,
    ):
        yield opened


async def test_who_takes_nothing_is_let_go_and_nobody_else_waits(farm: Farm) -> None:
    here, there = farm.servers
    company = await farm.company()
    letter = {"requesterEmail": "jan@firma.cz", "subject": "First", "text": "x" * LETTERS}
    delays = []

    async def open_here() -> int:
        return round((await there.numbers())["disqua_sockets"])

    async with narrow_socket(company.front_end(there)) as slow, company.front_end(there).watching(OPENED) as healthy:
        await send(slow, id="1", type="subscribe", payload={"query": OPENED})
        hearing = asyncio.gather(slow.recv(), healthy.next())
        while not hearing.done():  # a subscription begins some time after it was asked for
            await company.front_end(here).ask(OPEN, input=letter | {"text": "short"})
            await asyncio.wait([hearing], timeout=0.2)
        await hearing
        slow.transport.pause_reading()
        assert await open_here() == 2
        for number in range(TICKETS):
            await company.front_end(here).ask(OPEN, input=letter | {"subject": f"Long {number}"})
            committed = time.monotonic()
            await hears(healthy, f"Long {number}")
            delays.append(time.monotonic() - committed)

        async def alone() -> bool:
            return await open_here() == 1

        await eventually(alone, within=PROMISED_SECONDS)
        await company.front_end(here).ask(OPEN, input=letter | {"subject": "Afterwards"})
        await hears(healthy, "Afterwards")
        slow.transport.abort()
    assert max(delays) < QUICK_SECONDS


async def hears(watching: Watching, subject: str) -> None:
    await watching.until(lambda ticket: ticket["subject"] == subject)


@asynccontextmanager
async def narrow_socket(front_end: FrontEnd) -> AsyncIterator[ClientConnection]:
    """Signed in over a connection that has little room on its way."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    host, _, port = front_end.base_url.removeprefix("http://").partition(":")
    await asyncio.get_running_loop().sock_connect(narrow, (host, int(port)))
    async with front_end.signed_in(sock=narrow, max_queue=1, ping_interval=None, close_timeout=0) as connection:
        yield connection
