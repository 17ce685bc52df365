"""The bells, inside one process and over Redis: who rings waits for nobody, and one of those who listen comes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from domain.lookup import Occasion
from lookups.lanes import Lanes
from lookups.queue import Queue
from tests.lookups.room import arrived, at_work
from tests.stage.process import free_port
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.lookups.room import Room
    from tests.stage.crm import Crm
    from tests.stage.redis import RedisServer


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """A Redis with nothing in it."""
    redis_server.flush()
    return redis_server


@asynccontextmanager
async def ringing(room: Room, url: str, lost: Callable[[], None] = lambda: None) -> AsyncIterator[Queue]:
    """The queue of a process that takes mail and runs no lookups."""
    queue = Queue(Lanes(room.runner), url, lost=lost)
    await queue.open()
    try:
        yield queue
    finally:
        await queue.close()


@asynccontextmanager
async def working(room: Room, url: str) -> AsyncIterator[Lanes]:
    """A process that runs lookups."""
    lanes = Lanes(room.runner)
    queue = Queue(lanes, url)
    await queue.open()
    lanes.open()
    try:
        async with queue.listening():
            yield lanes
    finally:
        await lanes.close()
        await queue.close()


async def fill(room: Room, count: int, occasion: Occasion = Occasion.TICKET_OPENED) -> None:
    """Queue this many lookups at each connector, and tell nobody."""
    for number in range(count):
        await room.request(await room.open_ticket(f"{occasion.trigger.lower()}{number}@firma.cz"), occasion)


@pytest.mark.parametrize("urgent", [True, False])
async def test_a_ring_inside_the_process_runs_what_is_queued(room: Room, crm: Crm, urgent: bool) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 3, Occasion.REFRESH_ASKED)

    async with at_work(room):
        await room.queue.ring(room.workspace_id, urgent=urgent)
        await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 3


async def test_a_ring_waits_for_no_endpoint(room: Room, crm: Crm) -> None:
    release = crm.hang()
    await room.connect(crm.url())
    await fill(room, 1)

    async with at_work(room):
        async with asyncio.timeout(1):
            await room.queue.ring(room.workspace_id, urgent=False)
        await arrived(crm, 1)
        release.set()


@pytest.mark.parametrize("urgent", [True, False])
async def test_a_ring_over_redis_is_heard_by_a_worker(room: Room, crm: Crm, redis: RedisServer, urgent: bool) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 3, Occasion.REFRESH_ASKED)

    async with ringing(room, redis.url) as queue, working(room, redis.url):
        await queue.ring(room.workspace_id, urgent=urgent)
        await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 3


async def test_what_rang_before_the_first_worker_came_is_heard(room: Room, crm: Crm, redis: RedisServer) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 1)

    async with ringing(room, redis.url) as queue:
        await queue.ring(room.workspace_id, urgent=False)
    async with working(room, redis.url):
        await eventually(lambda: room.ended(connector))


async def test_however_many_workers_there_are_each_request_is_sent_once_and_eight_at_once(
    room: Room, crm: Crm, redis: RedisServer
) -> None:
    release = crm.hang()
    connector = await room.connect(crm.url())
    await fill(room, 20)

    async with AsyncExitStack() as stack:
        queue = await stack.enter_async_context(ringing(room, redis.url))
        for _ in range(3):
            await stack.enter_async_context(working(room, redis.url))
        for _ in range(20):
            await queue.ring(room.workspace_id, urgent=False)
        await arrived(crm, 8)
        release.set()
        await eventually(lambda: room.ended(connector))

    assert crm.open_at_most["/lookup"] == 8
    assert len(crm.requests) == len({request.json["email"] for request in crm.requests}) == 20


async def test_a_worker_that_leaves_is_forgotten_by_redis(room: Room, crm: Crm, redis: RedisServer) -> None:
    async def consumers() -> object:
        return redis.run("XINFO", "CONSUMERS", "disqua:lookups", "disqua")

    async with ringing(room, redis.url) as queue, working(room, redis.url):
        await queue.ring(room.workspace_id, urgent=False)
        await eventually(consumers)

    assert await consumers() == []


async def test_a_redis_that_is_not_there_stops_nobody_and_the_ring_is_counted_as_lost(room: Room, crm: Crm) -> None:
    lost: list[str] = []
    connector = await room.connect(crm.url())
    await fill(room, 1)
    url = f"redis://127.0.0.1:{free_port()}/0"

    async with ringing(room, url, lambda: lost.append("ring")) as queue, working(room, url) as lanes:
        assert not await queue.reachable()
        async with asyncio.timeout(1):
            for _ in range(3):
                await queue.ring(room.workspace_id, urgent=False)
        lanes.ring(room.workspace_id)
        await eventually(lambda: room.ended(connector))

    assert lost == ["ring"] * 3


async def test_a_message_that_is_none_stops_no_worker(room: Room, crm: Crm, redis: RedisServer) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 1)

    async with ringing(room, redis.url) as queue, working(room, redis.url):
        for data in (b"\xff", b"{}", b'{"task_name": "other"}'):
            redis.run("XADD", "disqua:lookups", "*", "data", data)
        await queue.ring(room.workspace_id, urgent=False)
        await eventually(lambda: room.ended(connector))


@pytest.mark.timed
async def test_a_worker_that_is_told_to_end_leaves_its_backlog_to_others(room: Room, crm: Crm, redis: RedisServer) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 300)

    async with asyncio.timeout(10):
        async with ringing(room, redis.url) as queue, working(room, redis.url):
            await queue.ring(room.workspace_id, urgent=False)
            await arrived(crm, 8)

    pending = [line for line in await room.log(connector) if line.completed_at is None]
    assert len(pending) > 100
    async with room.database.operator_reading() as operator:
        assert (await operator.lookups.depth())["running"] == 0
