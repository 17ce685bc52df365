"""The lanes: as many at once as may be, nobody's backlog before another's first, no ring lost, an orderly end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from domain.lookup import LookupStatus, Occasion
from lookups.lanes import Lanes
from tests.lookups.room import arrived, at_work
from tests.stage.crm import NOT_FOUND
from tests.stage.waiting import eventually

if TYPE_CHECKING:
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

    async with at_work(room) as lanes:
        lanes.ring(room.workspace_id)
        await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 20
    assert {request.json["email"] for request in crm.requests} == {f"{number}@firma.cz" for number in range(20)}


async def test_however_often_it_rings_eight_run_at_once(room: Room, crm: Crm) -> None:
    release = crm.hang()
    connector = await room.connect(crm.url())
    await fill(room, 20)

    async with at_work(room) as lanes:
        for _ in range(100):
            lanes.ring(room.workspace_id)
        await arrived(crm, 8)
        lanes.ring(room.workspace_id)
        release.set()
        await eventually(lambda: room.ended(connector))

    assert crm.open_at_most["/lookup"] == 8
    assert len(crm.requests) == 20


async def test_eight_run_at_once_for_each_connector(room: Room, crm: Crm) -> None:
    releases = [crm.hang("/crm"), crm.hang("/shop")]
    connectors = [await room.connect(crm.url("/crm")), await room.connect(crm.url("/shop"))]
    await fill(room, 10)

    async with at_work(room) as lanes:
        lanes.ring(room.workspace_id)
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

    async with at_work(room) as lanes:
        for _ in range(25):
            await room.request(ticket, Occasion.REFRESH_ASKED)
            lanes.ring(room.workspace_id)
            await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 25


async def test_no_ring_is_lost_while_runners_come_and_go(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    tickets = [await room.open_ticket(f"{number}@firma.cz") for number in range(40)]

    async with at_work(room) as lanes:
        for ticket in tickets:
            await room.request(ticket)
            lanes.ring(room.workspace_id)
        await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 40


async def test_a_ring_without_a_queued_lookup_asks_nobody(room: Room, crm: Crm) -> None:
    await room.connect(crm.url())

    async with at_work(room) as lanes:
        claims = lanes.ring(room.workspace_id)
        assert claims is not None
        await claims

    assert crm.requests == []


async def test_before_it_is_open_a_ring_starts_nothing_and_the_next_one_does(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 1)

    room.lanes.ring(room.workspace_id)
    assert await statuses(room, connector) == [LookupStatus.PENDING]

    async with at_work(room) as lanes:
        lanes.ring(room.workspace_id)
        await eventually(lambda: room.ended(connector))


async def test_the_end_waits_for_what_runs_and_leaves_the_rest_queued(room: Room, crm: Crm) -> None:
    release = crm.hang()
    connector = await room.connect(crm.url())
    await fill(room, 12)
    room.lanes.open()
    room.lanes.ring(room.workspace_id)
    await arrived(crm, 8)

    closing = asyncio.create_task(room.lanes.close())
    await asyncio.sleep(0)
    assert not closing.done()
    release.set()
    await closing

    assert sorted(await statuses(room, connector)) == [LookupStatus.NOT_FOUND] * 8 + [LookupStatus.PENDING] * 4
    assert len(crm.requests) == 8


async def test_after_the_end_a_ring_starts_nothing(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 1)
    room.lanes.open()
    await room.lanes.close()

    room.lanes.ring(room.workspace_id)

    assert await statuses(room, connector) == [LookupStatus.PENDING]
    assert crm.requests == []


async def test_the_lanes_of_another_process_takes_up_what_the_first_one_left(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 3)
    next_one = Lanes(room.runner)
    next_one.open()

    next_one.ring(room.workspace_id)

    await eventually(lambda: room.ended(connector))
    await next_one.close()
    assert len(crm.requests) == 3


async def test_two_processes_over_one_table_send_each_request_once(room: Room, crm: Crm) -> None:
    async def slow(_request: Request) -> Any:  # noqa: ANN401 - an answer
        await asyncio.sleep(0.01)
        return NOT_FOUND

    crm.answers["/lookup"] = slow
    connector = await room.connect(crm.url())
    await fill(room, 40)
    other = Lanes(room.runner)
    other.open()

    async with at_work(room) as lanes:
        for one in (lanes, other):
            one.ring(room.workspace_id)
        await eventually(lambda: room.ended(connector))
    await other.close()

    emails = [request.json["email"] for request in crm.requests]
    assert len(emails) == len(set(emails)) == 40


async def test_a_database_that_is_away_ends_the_claims_and_the_next_ring_starts_new_ones(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 3)

    async with at_work(room) as lanes:
        await room.take_away("lookups")
        for _ in range(3):
            claims = lanes.ring(room.workspace_id)
            assert claims is not None
            await claims
        await room.bring_back("lookups")
        lanes.ring(room.workspace_id)
        await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 3


async def test_an_error_of_ours_ends_the_claims_and_the_next_ring_starts_new_ones(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await fill(room, 1)

    async with at_work(room) as lanes:
        await room.alter("UPDATE lookups SET trigger = 'NONSENSE'")
        for _ in range(20):
            claims = lanes.ring(room.workspace_id)
            assert claims is not None
            with pytest.raises(ValueError, match="NONSENSE"):
                await claims
        await room.alter("UPDATE lookups SET trigger = 'TICKET'")
        lanes.ring(room.workspace_id)
        await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 1


async def test_a_backlog_that_fills_the_process_holds_no_other_workspace_longer_than_one_turn(room: Room, crm: Crm) -> None:
    order: list[str] = []

    async def answer(request: Request) -> Any:  # noqa: ANN401 - an answer
        order.append(request.json["email"])
        return NOT_FOUND

    crm.answers["/lookup"] = answer
    busy = await room.connect(crm.url())
    await fill(room, 6)
    first = room.workspace_id
    room.workspace_id = await room.add_workspace("support@other.example")
    calm = await room.connect(crm.url())
    await room.request(await room.open_ticket("calm@firma.cz"))
    lanes = Lanes(room.runner, slots=1)
    lanes.open()

    lanes.ring(first)
    lanes.ring(room.workspace_id)

    await eventually(lambda: room.ended(calm))
    room.workspace_id = first
    await eventually(lambda: room.ended(busy))
    await lanes.close()
    assert order.index("calm@firma.cz") <= 1


async def test_what_an_agent_waits_for_needs_no_slot_of_the_backlog(room: Room, crm: Crm) -> None:
    release = crm.hang("/slow")
    await room.connect(crm.url("/slow"))
    await fill(room, 1)
    first = room.workspace_id
    room.workspace_id = await room.add_workspace("support@other.example")
    quick = await room.connect(crm.url("/quick"))
    await room.request(await room.open_ticket("waiting@firma.cz"), Occasion.REFRESH_ASKED)
    lanes = Lanes(room.runner, slots=1, urgent_slots=1)
    lanes.open()
    lanes.ring(first)
    await arrived(crm, 1, "/slow")

    lanes.ring(room.workspace_id, urgent=True)
    await eventually(lambda: room.ended(quick))

    assert len(crm.asked("/slow")) == 1, "it holds the only slot all the time"
    release.set()
    await lanes.close()
