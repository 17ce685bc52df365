"""A new version takes over process by process while mail, queries and sockets go on."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.stage.back_door import BackDoor
from tests.stage.crm import FOUND
from tests.stage.farm import Farm, open_farm
from tests.stage.helpdesk import LIST, WATCH
from tests.stage.mailers import mailing
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.stage.crm import Crm
    from tests.stage.farm import Company, Member
    from tests.stage.postgres import PostgreSQL
    from tests.stage.redis import RedisServer

pytestmark = pytest.mark.timed

SOCKETS = 5
GOING_AWAY = 1012


@pytest.fixture(scope="module")
def farm(postgres: PostgreSQL, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """One server alone, one that is two processes, and a worker."""
    folder = tmp_path_factory.mktemp("farm")
    with (
        postgres.empty_database() as database,
        open_farm(
            folder, servers=1, several=1, workers=1, DATABASE_URL=postgres.url(database), REDIS_URL=redis_server.url
        ) as opened,
    ):
        yield opened


async def test_a_hangup_replaces_every_process_while_mail_and_queries_and_sockets_go_on(farm: Farm, crm: Crm) -> None:
    _, several = farm.servers
    company = await connected_company(farm, crm)
    assert await company.mail(several, Subject="First") == 250
    (ticket,) = await company.tickets(several)
    before = several.children()

    async def replaced() -> bool:
        return len(several.children()) == len(before) and before.isdisjoint(several.children())

    async with mailing([company], [several], random.Random()) as mailers, asking(company, several):
        watchers = [asyncio.create_task(watch_until_sent_away(company, several, ticket["id"])) for _ in range(SOCKETS)]
        await mailers.more(5)
        several.hang_up()
        await eventually(replaced, within=50)
        codes = await asyncio.gather(*watchers)
        await mailers.more(5)

    assert set(codes) == {GOING_AWAY}
    assert set(mailers.codes) <= {250, 421}
    await all_ended_well(company, several, crm, ["First", *mailers.taken])


async def test_processes_of_two_versions_share_a_schema_that_has_grown(farm: Farm, postgres: PostgreSQL, crm: Crm) -> None:
    company = await connected_company(farm, crm)
    back_door = BackDoor(farm.settings["DATABASE_URL"])

    async with mailing([company], farm.servers, random.Random()) as mailers:
        await mailers.more(5)
        await in_thread(back_door.alter, "ALTER TABLE tickets ADD COLUMN closed boolean NOT NULL DEFAULT false")
        await in_thread(back_door.alter, "UPDATE alembic_version SET version_num = '9999'")
        await mailers.more(5)
        for member in (farm.servers[0], farm.workers[0]):
            assert await in_thread(member.stop) == 0
            await in_thread(member.launch)
            await in_thread(member.wait_until_alive)
            assert "the schema of a newer version" in member.log
        await mailers.more(5)

    await all_ended_well(company, farm.servers[1], crm, mailers.taken)


async def connected_company(farm: Farm, crm: Crm) -> Company:
    crm.answers["/lookup"] = FOUND
    company = await farm.company()
    await company.connect(farm.servers[0], crm.url())
    return company


async def all_ended_well(company: Company, server: Member, crm: Crm, subjects: list[str]) -> None:
    """Every mail has its ticket, every ticket its answer, and each was asked for once."""
    panels = await company.settled(server, within=15)
    assert Counter(ticket["subject"] for ticket in await company.tickets(server)) == Counter(subjects)
    assert [panel["status"] for panel in panels] == ["FOUND"] * len(subjects)
    assert set(Counter(request.json["ticket_id"] for request in crm.requests).values()) == {1}


@asynccontextmanager
async def asking(company: Company, server: Member) -> AsyncIterator[None]:
    """Query one after the other while the block runs; each must be answered."""
    going_on = True

    async def ask() -> None:
        while going_on:
            await company.front_end(server).ask(LIST)

    async with asyncio.TaskGroup() as group:
        group.create_task(ask())
        yield
        going_on = False


async def watch_until_sent_away(company: Company, server: Member, ticket_id: str) -> Any:  # noqa: ANN401
    """Watch until the process closes the socket; with which code. Whoever comes again at once sees the panel again."""
    code = None
    async with company.front_end(server).watching(WATCH, id=ticket_id) as watching:
        try:
            async with asyncio.timeout(50):
                while True:
                    await watching.socket.recv()
        except ConnectionClosed as closed:
            code = closed.rcvd and closed.rcvd.code
    async with company.front_end(server).watching(WATCH, id=ticket_id) as watching:
        await watching.next()
    return code
