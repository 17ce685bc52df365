"""Redis is killed, stopped, hung or flushed under several processes: it costs seconds, never a ticket, an answer or a panel."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.stage.crm import FOUND
from tests.stage.farm import FULL_SIZE, Company, Farm, open_farm
from tests.stage.helpdesk import REFRESH, WATCH
from tests.stage.redis import redis_on_stage
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.stage.crm import Crm
    from tests.stage.front_end import Watching
    from tests.stage.postgres import PostgreSQL
    from tests.stage.redis import RedisServer

pytestmark = pytest.mark.timed

AWAY_SECONDS = 30.0 if FULL_SIZE else 4.0
SOCKETS = 10
PROMISED_SECONDS = 5.0
QUICK_SECONDS = 2.0
GROWTH_MEGABYTES = 15.0


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A server that the tests may break."""
    with redis_on_stage() as server:
        yield server


@pytest.fixture(scope="module")
def farm(postgres: PostgreSQL, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """One server alone, one that is two processes, and a worker."""
    folder = tmp_path_factory.mktemp("farm")
    with (
        postgres.empty_database() as database,
        open_farm(folder, servers=1, workers=1, several=1, DATABASE_URL=postgres.url(database), REDIS_URL=redis.url) as opened,
    ):
        yield opened


@pytest.fixture(autouse=True)
async def _all_well(farm: Farm, redis: RedisServer) -> AsyncIterator[None]:
    """Redis is there before each test and again after it, and no process has ended."""
    await all_say(farm, "ok")
    before = [member.children() for member in farm.members]
    yield
    assert all(then <= member.children() for then, member in zip(before, farm.members, strict=True)), (
        "the first mail may start some"
    )
    assert all(member.alive for member in farm.members)


async def all_say(farm: Farm, status: str) -> None:
    """Wait until every process is ready and says so."""

    async def look() -> bool:
        answers = [await member.ready() for member in farm.members]
        assert {code for code, _ in answers} == {200}
        return all(document["status"] == status for _, document in answers)

    await eventually(look)


def kill(redis: RedisServer) -> Callable[[], None]:
    redis.kill()
    return redis.start


def stop(redis: RedisServer) -> Callable[[], None]:
    redis.stop()
    return redis.start


def pause(redis: RedisServer) -> Callable[[], None]:
    redis.pause()
    return redis.resume


@pytest.mark.timeout(60 + 2 * AWAY_SECONDS)
@pytest.mark.parametrize("fault", [kill, pause, *([stop] if FULL_SIZE else [])])
async def test_while_it_is_away_tickets_open_and_lookups_end_and_afterwards_every_socket_knows(
    farm: Farm, redis: RedisServer, crm: Crm, fault: Callable[[RedisServer], Callable[[], None]]
) -> None:
    crm.answers["/lookup"] = FOUND | {"name": "Before"}
    company = await farm.company()
    await company.connect(farm.servers[0], crm.url())
    async with watched(company, farm) as (ticket_id, sockets):
        memory = [member.memory for member in farm.members]

        left_to_workers = [await server.lookups_ended() for server in farm.servers]
        mend = await in_thread(fault, redis)
        crm.answers["/lookup"] = FOUND | {"name": "Meanwhile"}
        await company.front_end(farm.servers[0]).ask(REFRESH, id=ticket_id)
        await all_say(farm, "degraded")
        await mails_are_taken_quickly(company, farm, seconds=AWAY_SECONDS)
        panels = await company.settled(farm.servers[0], within=15)
        await in_thread(mend)
        async with asyncio.timeout(PROMISED_SECONDS):
            await all_see(sockets, "Meanwhile")
        crm.answers["/lookup"] = FOUND | {"name": "Afterwards"}
        await company.front_end(farm.servers[0]).ask(REFRESH, id=ticket_id)
        async with asyncio.timeout(PROMISED_SECONDS):
            await all_see(sockets, "Afterwards")

        assert {panel["status"] for panel in panels} == {"FOUND"}
        assert [await server.lookups_ended() for server in farm.servers] == left_to_workers
        assert max(member.memory - before for member, before in zip(farm.members, memory, strict=True)) < GROWTH_MEGABYTES


async def mails_are_taken_quickly(company: Company, farm: Farm, *, seconds: float) -> None:
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for server in farm.servers:
            number += 1
            began = time.monotonic()
            assert await company.mail(server, f"sender{number}@firma.cz") == 250
            assert time.monotonic() - began < QUICK_SECONDS
        await asyncio.sleep(seconds / 20)


async def test_a_redis_that_loses_everything_is_hardly_noticed(farm: Farm, redis: RedisServer, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND | {"name": "Before"}
    company = await farm.company()
    await company.connect(farm.servers[0], crm.url())
    async with watched(company, farm) as (ticket_id, sockets):
        await in_thread(redis.flush)
        crm.answers["/lookup"] = FOUND | {"name": "Afterwards"}
        await company.front_end(farm.servers[1]).ask(REFRESH, id=ticket_id)

        async with asyncio.timeout(PROMISED_SECONDS):
            await all_see(sockets, "Afterwards")


@pytest.mark.parametrize("refusal", ["CONFIG SET maxmemory 1", "SET disqua:lookups:urgent text"])
async def test_a_redis_that_refuses_costs_seconds(farm: Farm, redis: RedisServer, crm: Crm, refusal: str) -> None:
    crm.answers["/lookup"] = FOUND | {"name": "Before"}
    company = await farm.company()
    await company.connect(farm.servers[0], crm.url())
    async with watched(company, farm) as (ticket_id, sockets):
        await in_thread(redis.run, "DEL", "disqua:lookups:urgent")
        await in_thread(redis.run, *refusal.split())
        crm.answers["/lookup"] = FOUND | {"name": "Afterwards"}
        await company.front_end(farm.servers[1]).ask(REFRESH, id=ticket_id)

        await all_see(sockets, "Afterwards")
        await in_thread(redis.run, "CONFIG", "SET", "maxmemory", "0")
        await in_thread(redis.flush)


@asynccontextmanager
async def watched(company: Company, farm: Farm) -> AsyncIterator[tuple[str, list[Watching]]]:
    """A ticket, and sockets at every server that see its panel as it was before."""
    assert await company.mail(farm.servers[0]) == 250
    (ticket,) = await company.tickets(farm.servers[0])
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(company.front_end(server).watching(WATCH, id=ticket["id"]))
            for server in farm.servers
            for _ in range(SOCKETS)
        ]
        await all_see(sockets, "Before")
        yield ticket["id"], sockets


async def all_see(sockets: list[Watching], name: str) -> None:
    def sees(panel: Any) -> bool:  # noqa: ANN401
        return not panel["refreshing"] and panel["customer"]["name"] == name

    await asyncio.gather(*(socket.until(sees) for socket in sockets))
