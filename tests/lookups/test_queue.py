"""The bell and the runners behind it: eight at once, no ring lost, an orderly end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from domain.lookup import PER_CONNECTOR, LookupStatus, Occasion
from lookups.queue import Queue
from tests.lookups.room import arrived, at_work
from tests.stage.crm import NOT_FOUND
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    import pytest

    from domain.connector import Connector
    from domain.lookup import Lookup
    from tests.lookups.room import Room
    from tests.stage.crm import Crm, Request


async def fill(room: Room, count: int) -> None:
    """Queue this many lookups at each connector, and tell nobody."""
    for number in range(count):
        await room.request(await room.open_ticket(f"{number}@firma.cz"))


async def statuses(room: Room, connector: Connector) -> list[LookupStatus]:
    lines: list[Lookup] = await room.log(connector)
    return [line.status for line in lines]


async def test_one_ring_runs_all_that_is_queued(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 20)

    async with at_work(room) as queue:
        await queue.ring(room.workspace_id, connector.id)
        await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 20
    assert {request.json["email"] for request in crm.requests} == {f"{number}@firma.cz" for number in range(20)}


async def test_however_often_it_rings_eight_run_at_once(room: Room, crm: Crm) -> None:
    release = crm.hang()
    connector = await room.connect(crm.url())
    await fill(room, 20)

    async with at_work(room) as queue:
        await asyncio.gather(*(queue.ring(room.workspace_id, connector.id) for _ in range(100)))
        await arrived(crm, 8)
        await queue.ring(room.workspace_id, connector.id)
        release.set()
        await eventually(lambda: room.ended(connector))

    assert crm.open_at_most["/lookup"] == 8
    assert len(crm.requests) == 20


async def test_eight_run_at_once_for_each_connector(room: Room, crm: Crm) -> None:
    releases = [crm.hang("/crm"), crm.hang("/shop")]
    connectors = [await room.connect(crm.url("/crm")), await room.connect(crm.url("/shop"))]
    await fill(room, 10)

    async with at_work(room) as queue:
        for connector in connectors:
            await queue.ring(room.workspace_id, connector.id)
        await arrived(crm, 8, "/crm")
        await arrived(crm, 8, "/shop")
        for release in releases:
            release.set()
        for connector in connectors:
            await eventually(lambda connector=connector: room.ended(connector))  # type: ignore[misc]

    assert crm.open_at_most == {"/crm": 8, "/shop": 8}


async def test_no_ring_is_lost_whenever_it_comes(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()

    async with at_work(room) as queue:
        for _ in range(25):
            await room.request(ticket, Occasion.REFRESH_ASKED)
            await queue.ring(room.workspace_id, connector.id)
            await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 25


async def test_no_ring_is_lost_while_runners_come_and_go(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    tickets = [await room.open_ticket(f"{number}@firma.cz") for number in range(40)]

    async with at_work(room) as queue:
        for ticket in tickets:
            await room.request(ticket)
            await queue.ring(room.workspace_id, connector.id)
        await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 40


async def test_a_ring_without_a_queued_lookup_asks_nobody(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())

    async with at_work(room) as queue:
        await queue.ring(room.workspace_id, connector.id)

    assert crm.requests == []


async def test_a_ring_waits_for_nothing(room: Room, crm: Crm) -> None:
    crm.hang()
    connector = await room.connect(crm.url())
    await fill(room, 1)
    await room.queue.open()

    async with asyncio.timeout(1):
        await room.queue.ring(room.workspace_id, connector.id)

    await arrived(crm, 1)


async def test_before_it_is_open_a_ring_starts_nothing_and_the_next_one_does(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 1)

    await room.queue.ring(room.workspace_id, connector.id)
    assert await statuses(room, connector) == [LookupStatus.PENDING]

    async with at_work(room) as queue:
        await queue.ring(room.workspace_id, connector.id)
        await eventually(lambda: room.ended(connector))


async def test_the_end_waits_for_what_runs_and_leaves_the_rest_queued(room: Room, crm: Crm) -> None:
    release = crm.hang()
    connector = await room.connect(crm.url())
    await fill(room, 12)
    await room.queue.open()
    await room.queue.ring(room.workspace_id, connector.id)
    await arrived(crm, 8)

    closing = asyncio.create_task(room.queue.close())
    await asyncio.sleep(0)
    assert not closing.done()
    release.set()
    await closing

    assert sorted(await statuses(room, connector)) == [LookupStatus.NOT_FOUND] * 8 + [LookupStatus.PENDING] * 4
    assert len(crm.requests) == 8


async def test_after_the_end_a_ring_starts_nothing(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 1)
    await room.queue.open()
    await room.queue.close()

    await room.queue.ring(room.workspace_id, connector.id)

    assert await statuses(room, connector) == [LookupStatus.PENDING]
    assert crm.requests == []


async def test_a_queue_of_another_process_takes_up_what_the_first_one_left(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 3)
    next_one = Queue(room.runner)
    await next_one.open()

    await next_one.ring(room.workspace_id, connector.id)

    await eventually(lambda: room.ended(connector))
    await next_one.close()
    assert len(crm.requests) == 3


async def test_two_queues_over_one_table_send_each_request_once(room: Room, crm: Crm) -> None:
    async def slow(_request: Request) -> Any:  # noqa: ANN401 - an answer
        await asyncio.sleep(0.01)
        return NOT_FOUND

    crm.answers["/lookup"] = slow
    connector = await room.connect(crm.url())
    await fill(room, 40)
    other = Queue(room.runner)
    await other.open()

    async with at_work(room) as queue:
        await asyncio.gather(*(one.ring(room.workspace_id, connector.id) for one in (queue, other)))
        await eventually(lambda: room.ended(connector))
    await other.close()

    emails = [request.json["email"] for request in crm.requests]
    assert len(emails) == len(set(emails)) == 40


async def test_a_database_that_is_away_ends_the_runners_and_the_next_ring_starts_new_ones(
    room: Room, crm: Crm, capsys: pytest.CaptureFixture[str]
) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 3)
    said = ""

    async def all_have_given_up() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return said.count("lookups wait for the database") == PER_CONNECTOR

    async with at_work(room) as queue:
        await room.alter("ALTER TABLE lookups RENAME TO lookups_away")
        for _ in range(PER_CONNECTOR):
            await queue.ring(room.workspace_id, connector.id)
        await eventually(all_have_given_up)
        await room.alter("ALTER TABLE lookups_away RENAME TO lookups")
        await queue.ring(room.workspace_id, connector.id)
        await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 3


async def test_an_error_of_ours_ends_one_runner_and_the_next_ring_starts_a_new_one(
    room: Room, crm: Crm, caplog: pytest.LogCaptureFixture
) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 1)

    async with at_work(room) as queue:
        for _ in range(20):
            await room.alter("UPDATE lookups SET trigger = 'NONSENSE'")
            await queue.ring(room.workspace_id, connector.id)
            await eventually(lambda: _said(caplog, "NONSENSE"))
            caplog.clear()
        await room.alter("UPDATE lookups SET trigger = 'TICKET'")
        await queue.ring(room.workspace_id, connector.id)
        await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 1


async def _said(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text
