"""What one process does another shows: mail comes in at the first, the second asks, whoever watches at the third sees it."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.stage.crm import FOUND
from tests.stage.farm import Farm, open_farm
from tests.stage.front_end import FrontEnd, Watching, send
from tests.stage.helpdesk import WATCH
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from websockets.asyncio.client import ClientConnection

    from tests.stage.crm import Crm
    from tests.stage.postgres import PostgreSQL
    from tests.stage.redis import RedisServer

TICKETS = 12
LETTERS = 900_000
PROMISED_SECONDS = 15.0
QUICK_SECONDS = 3.0
OPENED = "subscription { ticketOpened { subject messages { nodes { text } } } }"
OPEN = "mutation ($input: CreateTicketInput!) { createTicket(input: $input) { __typename } }"


@pytest.fixture(scope="module")
def farm(postgres: PostgreSQL, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    with (
        postgres.empty_database() as database,
        open_farm(folder, servers=2, workers=1, DATABASE_URL=postgres.url(database), REDIS_URL=redis_server.url) as opened,
    ):
        yield opened


async def test_a_mail_at_one_process_is_asked_by_another_and_seen_at_a_third(farm: Farm, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    release = crm.hang()
    (a, c), (b,) = farm.servers, farm.workers
    company = await farm.company()
    await company.connect(a, crm.url())

    assert await company.mail(a) == 250
    (ticket,) = await company.tickets(c)
    async with company.front_end(c).watching(WATCH, id=ticket["id"]) as watching:
        assert (await watching.next())["refreshing"]
        release.set()
        panel = await watching.until(lambda panel: not panel["refreshing"])

    assert panel["status"] == "FOUND"
    assert len(crm.requests) == 1

    async def counted() -> bool:
        return await b.lookups_ended() == 1

    await eventually(counted)
    assert [await server.lookups_ended() for server in (a, c)] == [0, 0]


@pytest.mark.timed
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
